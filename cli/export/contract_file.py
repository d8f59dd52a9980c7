"""A model's ``contract.json``, as a command is given it."""

from __future__ import annotations

import json
from pathlib import Path

from cli.errors import CliError
from registry.contract import Contract, ContractError


def read_contract(path: Path) -> Contract:
    """Reads a preprocessing contract.

    Raises:
        CliError: No such file, or no contract.
    """
    try:
        return Contract.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CliError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError, ContractError) as error:
        raise CliError(f"{path}: is no contract ({error})") from None
