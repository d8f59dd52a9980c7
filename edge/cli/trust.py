"""``cards-edge trust``: which signing key this device believes, pinned once by a person."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge.cli.command import Commands, Options, fail, options_of, show
from edge.state.folder import StateFolder
from edge.state.record import changed_record
from registry.releases.signatures.trust import (
    TrustedDeployment,
    fingerprint,
    read_key_to_pin,
    read_trust_file,
    trust_file,
)

_GROUP = 4


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "trust",
        parents=[common],
        help="pin the deployment's signing key, once",
        description="Pins a deployment's signing key on this device. The deployment's "
        "administrator writes the file with: cards release trust --out FILE. Compare the "
        "fingerprint with the one that the same command shows there. Without FILE: shows what is "
        "pinned.",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a trust file")
    parser.add_argument(
        "--fingerprint", metavar="HEX", help="the fingerprint that the key must have"
    )
    parser.add_argument("--replace", action="store_true", help="replace the key that is pinned")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    options = options_of(arguments)
    if arguments.file is None:
        from edge.stored_release import pinned

        _show(options, pinned(options.folder), "is pinned")
        return 0
    found = read_key_to_pin(arguments.file)
    shown = fingerprint(found.keys[-1])
    wanted = arguments.fingerprint and "".join(arguments.fingerprint.split()).replace(":", "")
    if wanted and wanted.lower() != shown:
        fail(f"--fingerprint: the key has the fingerprint {shown}; it is not trusted")
    before = _pinned(options.folder)
    if before == found:
        _show(options, found, "is pinned already")
        return 0
    if before is not None and not arguments.replace:
        fail(
            f"{before.identity}: another key is pinned, {fingerprint(before.keys[-1])}; updates "
            "follow a change that the pinned key has signed. To pin this one: --replace"
        )
    if not wanted:
        _confirm(found)
    options.folder.make()
    if before is not None and before.identity != found.identity:
        # Each deployment numbers its statements by itself.
        with changed_record(options.folder) as record:
            record.forget_deployment()
    options.folder.write(options.folder.trust, trust_file(found))
    _show(options, found, "pinned; updates accept this key only")
    return 0


def _pinned(folder: StateFolder) -> TrustedDeployment | None:
    try:
        return read_trust_file(folder.trust)
    except FileNotFoundError:
        return None


def _confirm(found: TrustedDeployment) -> None:
    if not sys.stdin.isatty():
        fail(
            f"{found.identity}: nobody can be asked to compare the fingerprint; name it with "
            "--fingerprint"
        )
    shown = fingerprint(found.keys[-1])
    print(f"{found.identity}, bucket {found.bucket}\nfingerprint {_grouped(shown)}")
    try:
        answer = input("Is this the fingerprint of the deployment's signing key? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "y":
        fail("not pinned")


def _show(options: Options, found: TrustedDeployment, text: str) -> None:
    shown = fingerprint(found.keys[-1])
    show(
        options,
        {"deployment": found.identity, "bucket": found.bucket, "fingerprint": shown},
        f"deployment  {found.identity}",
        f"bucket      {found.bucket}",
        f"fingerprint {_grouped(shown)}",
        text,
    )


def _grouped(text: str) -> str:
    return " ".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))
