"""Published weights that a model descends from, and the licence of each.

A model begins with weights that somebody else has trained, or learns from a teacher that did. Each
is one line of text, which stands in the model's ``config.json``, in its model card and in the
manifest of every release made of it: name, SHA-256, licence.

Example:
    >>> from registry.weight_origins import WeightOrigin, read_origins
    >>> line = WeightOrigin("lite0==0.1.0", "ab" * 32, "Apache-2.0").line
    >>> [(each.name, each.licence) for each in read_origins(line)]
    [('lite0==0.1.0', 'Apache-2.0')]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: SPDX's word for a licence that nobody has stated.
NOT_STATED = "NOASSERTION"
#: SPDX has no identifier of its own for it; the form is SPDX's for such licences.
DINOV3_LICENCE = "LicenseRef-DINOv3"
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", re.ASCII)
_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._:=/@+-]{0,149}) sha256:(?P<sha256>[0-9a-f]{64}) "
    rf"(?P<licence>{_LICENCE.pattern})",
    re.ASCII,
)
_SHORT_DIGEST = 12


class WeightOriginError(ValueError):
    """A line that is no origin of weights; shows it."""


@dataclass(frozen=True)
class WeightOrigin:
    """Published weights.

    Attributes:
        name: A package with its version, a model of the hub, or a file.
        sha256: Hex digest of the file; of weights that the hub's client has loaded, of the
            tensors.
        licence: SPDX identifier, or :data:`NOT_STATED`.
    """

    name: str
    sha256: str
    licence: str

    @property
    def line(self) -> str:
        """The form that :func:`read_origins` reads."""
        return f"{self.name} sha256:{self.sha256} {self.licence}"

    @property
    def short(self) -> str:
        """For a text of limited length: the digest by its beginning."""
        return f"{self.name} ({self.licence}, {self.sha256[:_SHORT_DIGEST]})"

    def to_dict(self) -> dict[str, str]:
        """The form that stands in a manifest."""
        return {"name": self.name, "sha256": self.sha256, "licence": self.licence}


def word(text: str) -> str:
    """A file's or a model's name as it can stand in a line: no white space, 150 characters."""
    return re.sub(r"[^A-Za-z0-9._:=/@+-]+", "-", text).strip("-._:=/@+")[:150] or "weights"


def is_licence(text: str) -> bool:
    """Whether this has the form of an SPDX identifier."""
    return _LICENCE.fullmatch(text) is not None


def read_origins(*texts: str) -> tuple[WeightOrigin, ...]:
    """The origins in texts of one line each, in order and without repetition.

    Raises:
        WeightOriginError: A line has another form.
    """
    found: dict[WeightOrigin, None] = {}
    for line in "\n".join(texts).splitlines():
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise WeightOriginError(
                f"{line[:80]!r}: is no origin of weights; expected NAME sha256:DIGEST LICENCE"
            )
        found[WeightOrigin(**match.groupdict())] = None
    return tuple(found)


def origin_of(row: Mapping[str, Any]) -> WeightOrigin:
    """Reads :meth:`WeightOrigin.to_dict`'s form back.

    Raises:
        WeightOriginError: A value is missing or has another form.
    """
    try:
        (origin,) = read_origins(f"{row['name']} sha256:{row['sha256']} {row['licence']}")
    except (KeyError, TypeError, ValueError) as error:
        raise WeightOriginError(f"weights: {error}") from None
    return origin


def write_origins(origins: Iterable[WeightOrigin]) -> str:
    """One line each."""
    return "\n".join(dict.fromkeys(origin.line for origin in origins))
