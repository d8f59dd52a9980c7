"""Who may ask the server for something: pure decisions over a request's headers.

Any page that a browser in the same network shows can send requests here. So requests must name
this server as their host (a foreign name may be made to lead here), changes and answers must come
from this server's own page, and beyond this machine a token is needed.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

#: Random characters of a token, as :func:`new_token` makes them, and the fewest that are taken.
_TOKEN_BYTES, SHORTEST_TOKEN = 18, 16
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,128}", re.ASCII)
#: A header that a form or an image of another page cannot send.
OWN_HEADER = "X-Cards-Edge"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Refused(Exception):
    """A request that is not answered: its status and one line that says why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class AddressError(ValueError):
    """An address, name or token that cannot be used; says what to do."""


@dataclass(frozen=True)
class Access:
    """Whose requests are answered.

    Attributes:
        names: Host names and addresses that a request may be for, lower case; every numeric
            address is one where a token is needed.
        port: Of the server.
        token: What a request must know; None on the loopback interface.
    """

    names: frozenset[str]
    port: int
    token: str | None

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Refuses a request for another server's name.

        Raises:
            Refused: With 421.
        """
        name = host_name(headers.get("Host", ""), self.port)
        if name is None or not (name in self.names or (self.token and _is_address(name))):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server is not asked by that name; start it with --name NAME to allow it",
            )

    def check_caller(self, headers: Mapping[str, str], scheme: str) -> None:
        """Refuses a request that is not from this server's own page, or without its token.

        Raises:
            Refused: With 401 or 403.
        """
        origin = headers.get("Origin")
        own = f"{scheme}://{headers.get('Host', '')}"
        foreign = origin is not None and origin.lower() != own.lower()
        if foreign or headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Refused(HTTPStatus.FORBIDDEN, "the request comes from another page")
        if headers.get(OWN_HEADER) != "1":
            raise Refused(HTTPStatus.FORBIDDEN, f"the header {OWN_HEADER}: 1 is missing")
        if self.token is None:
            return
        kind, _, given = headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode(), self.token.encode())
        if kind.lower() != "bearer" or not known:
            raise Refused(
                HTTPStatus.UNAUTHORIZED, "the token is missing or wrong; open the address again "
                "that cards-edge serve has printed",
            )  # fmt: skip


def access_for(
    address: str, port: int, names: tuple[str, ...] = (), token: str | None = None
) -> Access:
    """The rule for a server on an address.

    Args:
        address: Numeric; beyond loopback a token is made where none is given.
        port: Of the server.
        names: More names by which it is asked, such as ``shop-pi.local``.
        token: 16 to 128 letters, digits and ``. _ ~ -``.

    Raises:
        AddressError: An address that is none, or a token that is too short.
    """
    try:
        where = ipaddress.ip_address(address)
    except ValueError:
        raise AddressError(
            f"{address}: not a numeric address; use 127.0.0.1, or 0.0.0.0 for every interface"
        ) from None
    if token is not None and not _TOKEN.fullmatch(token):
        raise AddressError(
            f"the token must have {SHORTEST_TOKEN} to 128 letters, digits, dots, hyphens, "
            "underscores or tildes; leave it out to get a random one"
        )
    known = {name.lower().rstrip(".") for name in names}
    if where.is_loopback:
        return Access(frozenset(known | set(LOOPBACK_NAMES) | {str(where)}), port, token)
    return Access(frozenset(known | set(LOOPBACK_NAMES)), port, token or new_token())


def new_token() -> str:
    """A random token, 144 bits."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def host_name(header: str, port: int) -> str | None:
    """The name in a ``Host`` header, lower case and without brackets; None for another port or a
    header that is none. Browsers leave the port out where it is the scheme's own."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", header)
    if found is None or (port not in (80, 443) if found[2] is None else int(found[2]) != port):
        return None
    return found[1].strip("[]").lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
