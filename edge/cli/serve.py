"""``cards-edge serve``: a page for the shop's network."""

from __future__ import annotations

import argparse
import ssl
from functools import partial
from pathlib import Path
from typing import Any

from edge.cli.command import Commands, fail, options_of, show, tell
from edge.cli.status import status
from edge.state.folder import StateFolder
from registry.clock import utc_now

_TOKEN_LIMIT = 1024


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "serve",
        parents=[common],
        help="a page on which a telephone takes a photograph and reads the card",
        description="Serves one page: take or choose a photograph, read which card it is. By "
        "itself it answers this machine alone. Another address needs a token, which the printed "
        "address carries; over plain HTTP anybody in the network can read it, so name a "
        "certificate where that matters. The live camera of a browser needs HTTPS or this "
        "machine itself; a photograph works always. Ends with Ctrl-C.",
    )
    parser.add_argument(
        "--address", default="127.0.0.1", help="numeric; 0.0.0.0 for the whole network"
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument(
        "--name", action="append", default=[], help="a name by which this device is asked, such "
        "as shop-pi.local; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--token-file", type=Path, help="a file with the token; a random one is made without it"
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="for HTTPS, with its chain")
    parser.add_argument("--key", type=Path, metavar="PEM", help="the certificate's private key")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from edge.guarded_recogniser import GuardedRecogniser
    from edge.serve.access import AddressError, access_for
    from edge.serve.answers import answer_photograph
    from edge.serve.server import PageServer

    options = options_of(arguments)
    token = _token(arguments.token_file) if arguments.token_file else None
    guarded = GuardedRecogniser(options.folder)
    try:
        # Checked before the address is bound; the port is known only then.
        token = access_for(arguments.address, 0, (), token).token
        server = PageServer(
            arguments.address,
            arguments.port,
            lambda port: access_for(arguments.address, port, tuple(arguments.name), token),
            answer=partial(answer_photograph, guarded),
            status=partial(page_status, options.folder),
            log=tell,
            certificate=_certificate(arguments.certificate, arguments.key),
        )
    except (AddressError, OverflowError) as error:
        fail(str(error))
    address = f"{server.scheme}://{_shown(arguments)}:{server.server_address[1]}/"
    if server.access.token is not None:
        address += f"#token={server.access.token}"
    show(options, {"address": address}, address)
    with server:
        server.serve_forever()
    return 0


def page_status(folder: StateFolder) -> dict[str, Any]:
    """What the page says of the release."""
    found = status(folder, utc_now())
    checked = (
        f"Last checked for a newer one on {found['checked'][:10]}. " if found["checked"] else ""
    )
    return {
        "release": found["release"],
        "runtime": found["runtime"],
        "freshness": f"{checked}Its statement: {found['statement']}.",
    }


def _shown(arguments: argparse.Namespace) -> str:
    name = str(arguments.name[0] if arguments.name else arguments.address)
    return f"[{name}]" if ":" in name else name


def _token(file: Path) -> str:
    with file.open(encoding="ascii", errors="replace") as opened:
        return opened.read(_TOKEN_LIMIT).strip()


def _certificate(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            fail("--key needs --certificate")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        fail(f"{certificate}: no certificate with its private key ({error})")
    return context
