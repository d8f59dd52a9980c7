"""What the approver's page says that a training job cannot see: the registry and the deployment.

Whoever submits the job looks it up (``cards train``) and sends it along, as variables of the job
and, for the live version, as a channel with its archives. The page says when that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from registry.untrusted.text import aws_line

#: SageMaker's limit of a variable's value.
VALUE_LIMIT = 512
_YES = "true"


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
        price: What a compile job takes and costs, in words.
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
    price: str = ""
    console: str = ""

    def variables(self) -> dict[str, str]:
        """By name of a field its text; what is not known is left out.

        >>> PageFacts(line=("a-v1", "b-v1"), four_eyes=True).variables()
        {'line': 'a-v1 b-v1', 'four_eyes': 'true'}
        """
        texts = {each.name: getattr(self, each.name) for each in fields(self)}
        texts |= {"line": " ".join(self.line), "four_eyes": _YES if self.four_eyes else ""}
        return {name: aws_line(text, VALUE_LIMIT) for name, text in texts.items() if text}

    @classmethod
    def read(cls, given: Mapping[str, str]) -> PageFacts:
        """Reads what :meth:`variables` gives; other names are left out."""
        known = {each.name for each in fields(cls)} - {"line", "four_eyes"}
        values: dict[str, Any] = {name: text for name, text in given.items() if name in known}
        values["line"] = tuple(given.get("line", "").split())
        return cls(four_eyes=given.get("four_eyes") == _YES, **values)
