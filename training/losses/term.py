"""What a loss term declares about itself, and what it is given. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from registry.names import STUDENT, TEACHER

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: The largest weight that a term takes.
HEAVIEST = 1e4


class TermError(TypeError):
    """A loss term that is declared incompletely or wrongly: a mistake in this program."""


class Need(Enum):
    """What a term cannot do without."""

    #: Clean scans among the fed images.
    SCANS = "scans"
    #: The teacher's embeddings.
    TEACHER = "teacher"
    #: Both networks' feature maps; the teacher's, so these include :attr:`TEACHER`.
    MAPS = "maps"
    #: One initial direction for each known card.
    PROTOTYPES = "prototypes"


@dataclass(frozen=True)
class Setting:
    """A number that a recipe may set.

    Attributes:
        default: Where no recipe sets it.
        low: The lowest value that is taken.
        high: The highest.
    """

    default: float
    low: float
    high: float


@dataclass(frozen=True)
class LossInputs:
    """One batch's embeddings; float32, not normalised.

    Attributes:
        views: (B, D) the trained model's, of camera views.
        scans: (n, D) likewise of the clean scans of the first n rows; n may be 0.
        cards: (B,) card numbers, -1 for a virtual card.
        teacher_views: (B, D) the teacher's targets for the views; None without a teacher.
        teacher_scans: (B, D) the teacher's embeddings of every row's clean scan; likewise.
        view_maps: (B, C, h, w) the trained model's map of the views, where a term needs it.
        teacher_maps: (B, E, H, W) the teacher's; likewise.
        pictures: int64 (B,) which picture each row is, where the teacher's answers are kept.
    """

    views: Tensor
    scans: Tensor
    cards: Tensor
    teacher_views: Tensor | None = None
    teacher_scans: Tensor | None = None
    view_maps: Tensor | None = None
    teacher_maps: Tensor | None = None
    pictures: Tensor | None = None

    @property
    def trained(self) -> list[Tensor]:
        """What the trained model answered: every term acts through these."""
        answers = (self.views, self.scans, self.view_maps)
        return [answer for answer in answers if answer is not None and answer.requires_grad]

    @property
    def embeddings(self) -> Tensor:
        """(B + n, D): views, then scans."""
        import torch

        return torch.cat([self.views, self.scans])

    def teacher_embeddings(self) -> tuple[Tensor, Tensor]:
        """The teacher's (B + n, D) in the rows of :attr:`embeddings`, and (B, D) of all scans.

        Raises:
            ValueError: There is no teacher.
        """
        import torch

        if self.teacher_views is None or self.teacher_scans is None:
            raise ValueError("this loss term needs a teacher, and there is none")
        fed = self.teacher_scans[: len(self.scans)]
        return torch.cat([self.teacher_views, fed]), self.teacher_scans

    def maps(self) -> tuple[Tensor, Tensor]:
        """The trained model's map and the teacher's.

        Raises:
            ValueError: One of them is missing.
        """
        if self.view_maps is None or self.teacher_maps is None:
            raise ValueError("this loss term needs both networks' maps")
        return self.view_maps, self.teacher_maps


@dataclass(frozen=True)
class TermContext:
    """What a term's trained part is built from.

    Attributes:
        seed: Of its initial weights.
        prototypes: (known cards, D) initial directions; None where the run has none.
        map_channels: Channels of the student's and of the teacher's map; likewise.
    """

    seed: int
    prototypes: Tensor | None = None
    map_channels: tuple[int, int] | None = None


#: Scalar loss of a batch, with the term's settings by name and its trained part.
Compute = Callable[["LossInputs", Mapping[str, float], "nn.Module | None"], "Tensor"]


@dataclass(frozen=True)
class LossTerm:
    """A loss term: everything that the program knows about it.

    Attributes:
        name: As in ``weight_<name>``; the name of its file.
        model_types: Whose training can have it: ``teacher``, ``student`` or both.
        compute: The loss of a batch, before its weight.
        needs: What it cannot do without.
        settings: By the name under which a recipe sets them.
        build: Makes the part that is trained with the model; None where there is none.

    Raises:
        TermError: The declaration is incomplete or wrong.
    """

    name: str
    model_types: frozenset[str]
    compute: Compute
    needs: frozenset[Need] = frozenset()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    build: Callable[[TermContext], nn.Module] | None = None

    def __post_init__(self) -> None:
        label = f"loss term {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise TermError(f"{label}: the name must be lower-case letters, digits and _")
        if not self.model_types or self.model_types - {TEACHER, STUDENT}:
            raise TermError(f"{label}: model_types must be of {TEACHER} and {STUDENT}")
        if not callable(self.compute):
            raise TermError(f"{label}: has no function to compute it with")
        if self.needs - set(Need):
            raise TermError(f"{label}: needs {self.needs - set(Need)}, which nothing provides")
        if self.needs_teacher and TEACHER in self.model_types:
            raise TermError(f"{label}: needs a teacher, so it cannot train one")
        if Need.PROTOTYPES in self.needs and self.build is None:
            raise TermError(f"{label}: needs prototypes and has no part that is built of them")
        for key, each in self.settings.items():
            if not _NAME.fullmatch(key) or key.startswith("weight_"):
                raise TermError(f"{label}: {key!r} is no name of a setting")
            if not each.low <= each.default <= each.high:
                raise TermError(f"{label}: {key} is {each.default} where nothing sets it, and "
                                f"must be {each.low} to {each.high}")  # fmt: skip

    @property
    def needs_teacher(self) -> bool:
        """Whether it learns from a teacher's answers."""
        return bool(self.needs & {Need.TEACHER, Need.MAPS})

    @property
    def weight(self) -> str:
        """The setting that holds its weight."""
        return f"weight_{self.name}"


def checked(modules: Mapping[str, object]) -> dict[str, LossTerm]:
    """The terms that modules declare, by name, in the order of their names.

    Args:
        modules: By file name without its ending; each must declare ``TERM``.

    Raises:
        TermError: A module declares none, or one of another name; or two declare one setting.
    """
    found: dict[str, LossTerm] = {}
    owner: dict[str, str] = {}
    for name, module in sorted(modules.items()):
        term = getattr(module, "TERM", None)
        if not isinstance(term, LossTerm):
            raise TermError(f"training/losses/terms/{name}.py: declares no TERM of type LossTerm")
        if term.name != name:
            raise TermError(f"training/losses/terms/{name}.py: its TERM is named {term.name!r}")
        for key in term.settings:
            if key in owner:
                raise TermError(f"loss terms {owner[key]} and {name}: both declare {key}")
            owner[key] = name
        found[name] = term
    return found
