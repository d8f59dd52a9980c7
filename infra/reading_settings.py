"""Reads the settings from the CDK's context: types, unknown names, values from the command line."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any

from infra.setting_checks import Check, between
from infra.settings import CONTEXT_KEY, Settings, SettingsError
from registry.compilation.gate_thresholds import HIGH, LOW


def load_settings(context: Mapping[str, Any], account: str | None = None) -> Settings:
    """Reads the settings from the app's context.

    Args:
        context: The CDK app's context: the ``cards`` object and any ``cards.<path>`` overrides.
        account: Where it is deployed to; None where that is open.

    Raises:
        SettingsError: An unknown key, a value of the wrong type or out of its range.
    """
    document = context.get(CONTEXT_KEY, {})
    if not isinstance(document, Mapping):
        raise SettingsError(
            f"{CONTEXT_KEY}: must be an object in cdk.json; "
            f"override one value by its path, such as -c {CONTEXT_KEY}.environment=prod"
        )
    tree = _copied(document)
    for key, value in context.items():
        if key.startswith(f"{CONTEXT_KEY}."):
            _override(tree, key, value)
    settings = typing.cast(Settings, _build(Settings, CONTEXT_KEY, tree))
    if account in settings.reader_accounts:
        raise SettingsError(
            f"{CONTEXT_KEY}.reader_accounts: {account} is the account that this is deployed to, "
            "which needs no such right: remove it"
        )
    return settings


@dataclass(frozen=True)
class _Typed:
    """A value from the command line: text, to be read by the type of the field it is for."""

    text: str


def _copied(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _copied(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
    }


def _override(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")[1:]
    for parent in parents:
        child = tree.setdefault(parent, {})
        if not isinstance(child, dict):
            raise SettingsError(f"{key}: {parent} is a single value, nothing lies below it")
        tree = child
    tree[last] = _Typed(value) if isinstance(value, str) else value


def _build(cls: type, path: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{path}: must be an object with {_known(cls)}")
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in hints:
            raise SettingsError(f"{path}.{key}: no such setting; {path} has {_known(cls)}")
    built: dict[str, Any] = {}
    for item in fields(cls):
        if item.name not in values:
            continue
        where, value, hint = f"{path}.{item.name}", values[item.name], hints[item.name]
        if is_dataclass(hint):
            built[item.name] = _build(typing.cast(type, hint), where, value)
            continue
        value = _read(where, hint, value)
        fault = None if value is None else _check_of(item)(value)
        if fault:
            raise SettingsError(f"{where}: {value!r} {fault}")
        built[item.name] = value
    return cls(**built)


def _check_of(item: Field[Any]) -> Check:
    """A threshold of the gate declares its range, every other setting its check."""
    if LOW in item.metadata:
        return between(item.metadata[LOW], item.metadata[HIGH])
    check: Check = item.metadata["check"]
    return check


def _known(cls: type) -> str:
    return ", ".join(item.name for item in fields(cls))


def _read(where: str, hint: Any, value: Any) -> Any:
    """The value in its field's type; a whole number is taken for a fraction, a flag for neither."""
    if typing.get_origin(hint) is tuple:
        return _listed(where, value)
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    optional = type(None) in kinds
    kind = next(entry for entry in kinds if entry is not type(None))
    if isinstance(value, _Typed):
        value = _parsed(kind, optional, value.text)
    if value is None and optional:
        return None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        expected = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        null = " or null" if optional else ""
        raise SettingsError(f"{where}: {value!r} must be {expected[kind]}{null}")
    return value


def _parsed(kind: type, optional: bool, text: str) -> Any:
    if optional and text in ("", "null"):
        return None
    if kind is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _listed(where: str, value: Any) -> tuple[str, ...]:
    """A list of texts; on the command line as JSON, or separated by commas."""
    if isinstance(value, _Typed):
        text = value.text.strip()
        if text in ("", "null"):
            value = []
        elif text.startswith("["):
            value = _parsed(list, False, text)
        else:
            value = [each.strip() for each in text.split(",")]
    if not isinstance(value, list) or not all(type(each) is str for each in value):
        raise SettingsError(f"{where}: {value!r} must be a list of texts")
    return tuple(value)
