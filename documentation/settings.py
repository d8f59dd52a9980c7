"""The reference page of the settings: what ``cdk.json`` may have under ``cards``."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from documentation.tables import code, table
from infra.settings import CONTEXT_KEY, Settings

_ENTRY = re.compile(r"^    (\w+): (.*(?:\n(?:     .*|$))*)", re.MULTILINE)


@dataclass(frozen=True)
class Setting:
    """A setting by its dotted name, for example ``cards.compile.gate.top1_drop``."""

    name: str
    kind: str
    default: Any
    meaning: str


def page() -> str:
    """The page, as Markdown."""
    rows = [
        [code(each.name), each.kind, code(json.dumps(each.default)), each.meaning]
        for each in settings()
    ]
    return "\n\n".join(
        [
            "# Settings",
            "Generated from the code. They are in `cdk.json` under `cards`; "
            "`cdk deploy -c cards.environment=prod` overrides one. "
            "An unknown key or a wrong value is refused before anything is deployed.",
            table(["Setting", "Type", "Default", "Meaning"], rows) + "\n",
        ]
    )


def settings() -> list[Setting]:
    """Every setting, in the order of the code."""
    return list(_settings_of(Settings, CONTEXT_KEY))


def _settings_of(kind: Any, prefix: str) -> Iterator[Setting]:
    hints, meanings = get_type_hints(kind), meanings_of(kind)
    for each in fields(kind):
        name, hint = f"{prefix}.{each.name}", hints[each.name]
        if is_dataclass(hint):
            yield from _settings_of(hint, name)
        else:
            words = str(each.type).replace("tuple[str, ...]", "list of str")
            yield Setting(name, words.replace("None", "null"), _default(each), meanings[each.name])


def meanings_of(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of its attributes, each in one line."""
    attributes = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found = {name: " ".join(text.split()) for name, text in _ENTRY.findall(attributes)}
    return {name: text.replace("``", "`").replace("None ", "null ") for name, text in found.items()}


def _default(each: Field[Any]) -> Any:
    return None if each.default is MISSING else each.default
