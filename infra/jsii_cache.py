"""Where the CDK's library unpacks its packages: nowhere that lasts, without a writable home.

jsii, by which Python calls the CDK, keeps unpacked packages below the home directory and ends with
a stack trace where it cannot (a service's user, a container). Without that cache it unpacks them
into a temporary folder each time, which takes some seconds.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

SWITCH, FOLDER = "JSII_RUNTIME_PACKAGE_CACHE", "JSII_RUNTIME_PACKAGE_CACHE_ROOT"


def choose_cache(environment: MutableMapping[str, str]) -> None:
    """Switches jsii's cache off where its folder cannot be made; a choice of the user's is kept.

    Args:
        environment: Changed in place.
    """
    if environment.get(SWITCH) or environment.get(FOLDER):
        return
    home = Path(environment.get("HOME") or Path.home())
    # The first that exists decides whether the folders below it can be made.
    folder = home / ".cache" / "aws" / "jsii" / "package-cache"
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        environment[SWITCH] = "disabled"
