"""Who may ask the page's server."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from edge.serve.access import Access, AddressError, Refused, access_for, host_name

TOKEN = "a-token-of-the-shop"
OWN = {"Host": "127.0.0.1:8080", "X-Cards-Edge": "1"}


@pytest.fixture
def local() -> Access:
    return access_for("127.0.0.1", 8080)


@pytest.fixture
def network() -> Access:
    return access_for("0.0.0.0", 8080, ("Shop-Pi.local",), TOKEN)


@pytest.mark.parametrize(
    "name", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LOCALHOST:8080"]
)
def test_this_machines_names_are_answered(local: Access, name: str) -> None:
    local.check_host({"Host": name})


@pytest.mark.parametrize(
    "name",
    ["evil.example:8080", "127.0.0.1:9", "127.0.0.1", "10.0.0.5:8080", "", "a b:8080",
     "127.0.0.1:8080@evil", "localhost.evil.example:8080"],
)  # fmt: skip
def test_name_that_leads_here_from_elsewhere_is_refused(local: Access, name: str) -> None:
    with pytest.raises(Refused) as refused:
        local.check_host({"Host": name})
    assert refused.value.status == HTTPStatus.MISDIRECTED_REQUEST


def test_request_of_the_own_page_is_answered(local: Access) -> None:
    local.check_caller(OWN, "http")
    local.check_caller({**OWN, "Origin": "http://127.0.0.1:8080"}, "http")


@pytest.mark.parametrize(
    "more",
    [{"X-Cards-Edge": ""}, {"Origin": "http://evil.example"}, {"Origin": "null"},
     {"Origin": "https://127.0.0.1:8080"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_request_of_another_page_is_refused(local: Access, more: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        local.check_caller({**OWN, **more}, "http")
    assert refused.value.status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("name", ["192.168.1.7:8080", "shop-pi.local:8080", "[fe80::1]:8080"])
def test_addresses_and_given_names_are_answered_in_the_network(network: Access, name: str) -> None:
    network.check_host({"Host": name})
    with pytest.raises(Refused):
        network.check_host({"Host": "evil.example:8080"})


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", "Bearer ü"]
)
def test_request_without_the_token_is_refused(network: Access, given: str | None) -> None:
    headers = {**OWN, **({"Authorization": given} if given else {})}
    with pytest.raises(Refused) as refused:
        network.check_caller(headers, "http")
    assert refused.value.status == HTTPStatus.UNAUTHORIZED
    network.check_caller({**OWN, "Authorization": f"Bearer {TOKEN}"}, "http")


def test_another_address_than_loopback_always_has_a_token() -> None:
    made = access_for("192.168.1.7", 8080).token
    assert made is not None and len(made) >= 20
    assert access_for("192.168.1.7", 8080).token != made
    assert access_for("::1", 8080).token is None


@pytest.mark.parametrize(
    ("address", "token"),
    [("shop", None), ("127.0.0.1", "short"), ("127.0.0.1", "with space in it")],
)
def test_address_or_token_that_cannot_be_used_is_refused(address: str, token: str | None) -> None:
    with pytest.raises(AddressError):
        access_for(address, 8080, (), token)


def test_port_may_be_left_out_where_it_is_the_schemes_own() -> None:
    assert host_name("shop.local", 80) == "shop.local"
    assert host_name("shop.local", 8080) is None
