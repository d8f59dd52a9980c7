"""The wheel of Hailo's Dataflow Compiler, which its user downloads: is it one for this chip?"""

from __future__ import annotations

import hmac
import re
from pathlib import Path

from cli.errors import CliError
from recognition.file_digest import file_sha256

_NAME = re.compile(
    r"hailo_dataflow_compiler-(?P<version>(?P<major>[0-9]+)\.[0-9]+\.[0-9]+)(?:\+[A-Za-z0-9.]+)?"
    r"-(?:py3-none|cp3[0-9]{1,2}-cp3[0-9]{1,2})-linux_x86_64\.whl",
    re.ASCII,
)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: The line of compilers for Hailo-8 and 8L; 5 is for Hailo-10 and 15.
MAJOR = "3"


def check_wheel(wheel: Path, sha256: str) -> str:
    """Holds a wheel to its name and its digest.

    Args:
        wheel: The file.
        sha256: Its digest as Hailo's download page or a colleague says it.

    Returns:
        The compiler's version.

    Raises:
        CliError: It is no such wheel, one for other chips, or not the file of that digest.
    """
    found = _NAME.fullmatch(wheel.name)
    if not found:
        raise CliError(
            f"--wheel {wheel.name}: is no wheel of the Dataflow Compiler; Hailo's Developer Zone "
            f"has it as hailo_dataflow_compiler-{MAJOR}.….whl"
        )
    if found["major"] != MAJOR:
        raise CliError(
            f"--wheel {wheel.name}: version {found['version']} is for other chips (5 is for "
            f"Hailo-10 and Hailo-15); Hailo-8L needs {MAJOR}.x"
        )
    if not _SHA256.fullmatch(sha256.lower()):
        raise CliError("--sha256: must be 64 hexadecimal digits: sha256sum WHEEL prints them")
    try:
        digest = file_sha256(wheel)
    except OSError as error:
        raise CliError(f"--wheel {wheel}: cannot be read ({error.strerror or error})") from None
    if not hmac.compare_digest(digest, sha256.lower()):
        raise CliError(
            f"--wheel {wheel.name}: its SHA-256 is {digest[:16]}…, not {sha256[:16].lower()}…; "
            "download it again"
        )
    return found["version"]
