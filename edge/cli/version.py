"""The version of this program."""

from __future__ import annotations

import importlib.metadata

NAME = "cards-edge"


def version() -> str:
    """Name and version of the distribution, for example ``cards-edge 0.1.0``."""
    try:
        return f"{NAME} {importlib.metadata.version(NAME)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{NAME} from its source"
