"""Requests to this machine itself are sent directly, whatever proxy the environment names."""

from __future__ import annotations

from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")


def names_a_proxy(environment: MutableMapping[str, str]) -> bool:
    """Whether an environment names a proxy for any scheme."""
    return any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES)


def excepted_hosts(environment: MutableMapping[str, str]) -> list[str]:
    """The hosts that an environment asks without its proxy; lower case wins, as in most clients."""
    listed = next((environment[name] for name in _EXCEPTIONS if environment.get(name)), "")
    return [host.strip() for host in listed.split(",") if host.strip()]


def bypass_proxy(environment: MutableMapping[str, str]) -> None:
    """Adds the loopback interface to the hosts that are asked without the proxy.

    boto3, MLflow and the commands that this one starts read these variables.

    Args:
        environment: Changed in place, and only where it names a proxy.
    """
    if names_a_proxy(environment):
        hosts = excepted_hosts(environment)
        # Python's clients read it as "no proxy at all" only where it stands alone.
        listed = "*" if "*" in hosts else ",".join(dict.fromkeys([*hosts, *LOOPBACK]))
        environment.update(dict.fromkeys(_EXCEPTIONS, listed))
