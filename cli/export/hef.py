"""``cards hef``: what is in a HEF file, and whether it is one for this device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from recognition.hef import Hef, Stream

app = typer.Typer(
    no_args_is_help=True,
    help="""
    HEF files, the Hailo chips' executables: read and checked without the licensed compiler.

    \b
    cards hef inspect release/model.hef
    cards hef verify release/model.hef --arch hailo8l
    """,
)
File = Annotated[Path, typer.Argument(help="A HEF file.", show_default=False)]
#: What each header version protects its contents by.
_SUMS = {0: "MD5", 1: "CRC-32", 2: "XXH3", 3: "XXH3"}


@app.command(epilog="Example: cards hef inspect release/model.hef --json")
def inspect(file: File, as_json: AsJson = False) -> None:
    """Says what a HEF holds: chip, compiler, networks, inputs and outputs with their quantisation.

    Its checksum is verified first; a damaged file is refused and nothing of it is shown.
    """
    from cli.console import print_json, print_line
    from recognition.file_digest import file_sha256

    hef = _read(file)
    if as_json:
        print_json(_document(file, hef))
        return
    print_line(f"{file}: {file.stat().st_size:,} bytes, SHA-256 {file_sha256(file)}")
    print_line(f"header       version {hef.version}, {_SUMS[hef.version]} of its contents is right")
    print_line(f"architecture {hef.architecture}")
    print_line(f"compiler     {hef.sdk_version or 'not said'}")
    print_line(f"networks     {', '.join(name or 'unnamed' for name in hef.networks) or 'none'}")
    for stream in hef.streams:
        print_line(f"{stream.direction:<12} {_line(stream)}")
    print_line(f"host         {hef.host_operations} operations are left to it")


@app.command(epilog="Example: cards hef verify release/model.hef --arch hailo8l")
def verify(
    file: File,
    arch: Annotated[str, typer.Option(help="The chip that it must be for.")] = "hailo8l",
    contract: Annotated[
        Path | None,
        typer.Option(help="The model's contract.json: it must also be a card model of that."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Checks that a HEF is intact, and made for a chip; exits with 1 and the reason if not.

    With --contract also that it is a card model: one network, the camera's bytes in, one embedding
    out, nothing left to the host.
    """
    from cli.console import print_json, print_line
    from cli.export.contract_file import read_contract
    from recognition.hef import ARCHITECTURES, HefError, require_card_model

    if arch not in ARCHITECTURES.values():
        known = ", ".join(dict.fromkeys(ARCHITECTURES.values()))
        raise CliError(f"--arch {arch}: is none of {known}")
    hef = _read(file)
    if hef.architecture != arch:
        raise CliError(
            f"{file}: made for {hef.architecture}, not for {arch}; compile it for {arch}"
        )
    if contract is not None:
        try:
            require_card_model(hef, read_contract(contract))
        except HefError as error:
            raise CliError(f"{file}: {error}") from None
    if as_json:
        print_json(_document(file, hef))
    else:
        what = "intact, a card model" if contract else "intact"
        print_line(f"{file}: {what}, for {arch}")


def _read(file: Path) -> Hef:
    from recognition.hef import HefError, read_hef

    try:
        return read_hef(file)
    except HefError as error:
        raise CliError(str(error)) from None
    except OSError as error:
        raise CliError(f"{file}: cannot be read ({error.strerror or error})") from None


def _document(file: Path, hef: Hef) -> dict[str, Any]:
    from dataclasses import asdict

    from recognition.file_digest import file_sha256

    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "sha256": file_sha256(file),
        "checksum": _SUMS[hef.version],
        **asdict(hef),
    }


def _line(stream: Stream) -> str:
    shape = "x".join(map(str, stream.shape))
    line = (
        f"{stream.name}: {shape}, {stream.item_bytes} byte a value, zero point "
        f"{stream.zero_point:g}, scale {stream.scale:.6g}"
    )
    if len({*stream.feature_scales}) > 1 or len({*stream.feature_zero_points}) > 1:
        scales = stream.feature_scales
        return f"{line}; by feature scale {min(scales):.6g} to {max(scales):.6g}"
    if stream.item_bytes not in (1, 2):
        return line
    ends = (0, 256**stream.item_bytes - 1)
    low, high = ((value - stream.zero_point) * stream.scale for value in ends)
    return f"{line}: {low:.4g} to {high:.4g}"
