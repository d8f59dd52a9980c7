"""The real OpenSSF Model Signing tool, in an environment of its own, kept between runs."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

# sigstore 4.5.1 has dropped a package that this version of the tool imports.
REQUIREMENTS = ("model-signing==1.1.1", "sigstore<4.5.1")
_NO_INDEX = re.compile(
    r"NewConnectionError|name resolution|ConnectTimeout|ReadTimeout|ProxyError|Network is unreach|"
    r"Connection refused|Connection to \S+ timed out"
)


def model_signing_python() -> Path:
    """The interpreter that has the tool; installed at the first call, about 94 MB.

    Skips the test, saying so, only where the package index cannot be reached.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(" ".join((*REQUIREMENTS, version)).encode()).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"cards-model-signing-{digest}"
    python, complete = place / "bin" / "python", place / "complete"
    if complete.is_file():
        return python
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    install = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--retries", "1", *REQUIREMENTS],
        capture_output=True,
        text=True,
    )
    if install.returncode and _NO_INDEX.search(install.stderr):
        pytest.skip(f"the package index cannot be reached: {install.stderr.strip()[-300:]}")
    assert install.returncode == 0, install.stderr
    complete.touch()
    return python


def verify_with_tool(folder: Path, public_key: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command that docs/trust.md names."""
    return subprocess.run(
        [
            *(str(model_signing_python()), "-m", "model_signing", "verify", "key", str(folder)),
            *("--signature", str(folder / "model.sig"), "--public_key", str(public_key)),
        ],
        capture_output=True,
        text=True,
    )


def verify_provenance_with_tool(folder: Path, public_key: Path) -> subprocess.CompletedProcess[str]:
    """The DSSE envelope, by the library that the tool brings along (securesystemslib)."""
    code = (
        "import json, pathlib, sys\n"
        "from cryptography.hazmat.primitives.serialization import load_pem_public_key\n"
        "from securesystemslib.dsse import Envelope\n"
        "from securesystemslib.signer import SSlibKey\n"
        "document = json.loads(pathlib.Path(sys.argv[1]).read_text())\n"
        "key = load_pem_public_key(pathlib.Path(sys.argv[2]).read_bytes())\n"
        "keyid = document['signatures'][0]['keyid']\n"
        "Envelope.from_dict(document).verify([SSlibKey.from_crypto(key, keyid=keyid)], 1)\n"
    )
    return subprocess.run(
        [str(model_signing_python()), "-c", code, str(folder / "provenance.sig"), str(public_key)],
        capture_output=True,
        text=True,
    )
