"""What the approver's page says that a training job cannot see: the registry and the deployment.

Whoever submits the job looks it up (``cards train``) and sends it along, as variables of the job
and, for the live version, as a channel with its archives. The page says when that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from registry.untrusted.text import aws_line

#: Begins the name of each of the job's variables that :class:`PageFacts` gives.
PREFIX = "CARDS_PAGE_"
#: SageMaker's limit of a variable's value.
VALUE_LIMIT = 512
_YES = "true"
#: Fields that hold several words; none of them has a blank.
_LISTS = ("line", "submitted_by")


@dataclass(frozen=True)
class PageFacts:
    """What was known when the job was submitted; empty is not known.

    Attributes:
        message: The words of the person who submitted it.
        live: Name of the version that devices had.
        live_model: SHA-256 of its ``model.tar.gz``.
        live_output: SHA-256 of its ``output.tar.gz``.
        live_note: Why nothing is compared with a live version.
        line: Names of the versions that the model descends from, the oldest first.
        compiler: What an approved version is compiled with, in words.
        stable_channel: What moves the stable channel.
        four_eyes: Whether who submitted the training may not approve.
        submitted_by: Principal ids of who submitted the training; of a resumed job the first, then
            who resumed it last.
        price: What a compile job takes and costs, in words.
        held: The release that a person holds the stable channel at.
        console: Address of the console's page with the versions.
    """

    message: str = ""
    live: str = ""
    live_model: str = ""
    live_output: str = ""
    live_note: str = ""
    line: tuple[str, ...] = ()
    compiler: str = ""
    stable_channel: str = ""
    four_eyes: bool = False
    submitted_by: tuple[str, ...] = ()
    price: str = ""
    held: str = ""
    console: str = ""

    def environment(self) -> dict[str, str]:
        """The job's variables; what is not known is left out.

        >>> PageFacts(line=("a-v1", "b-v1"), four_eyes=True).environment()
        {'CARDS_PAGE_LINE': 'a-v1 b-v1', 'CARDS_PAGE_FOUR_EYES': 'true'}
        """
        texts = {each.name: getattr(self, each.name) for each in fields(self)}
        texts |= {name: " ".join(getattr(self, name)) for name in _LISTS}
        texts["four_eyes"] = _YES if self.four_eyes else ""
        return {
            f"{PREFIX}{name.upper()}": aws_line(text, VALUE_LIMIT)
            for name, text in texts.items()
            if text
        }

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> PageFacts:
        """Reads what :meth:`environment` gives; other variables are left out."""
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environment.items()
            if name.startswith(PREFIX)
        }
        known = {each.name for each in fields(cls)} - {*_LISTS, "four_eyes"}
        values: dict[str, Any] = {name: text for name, text in given.items() if name in known}
        values |= {name: tuple(given.get(name, "").split()) for name in _LISTS}
        return cls(four_eyes=given.get("four_eyes") == _YES, **values)
