"""The teacher's answers to a student's batches, asked for once or every time.

With ``teacher_views`` a stage has that many distinct views of each card. The teacher answers about
each when it first comes up; its answers are kept, in half precision, and used again when the view
comes round. That costs no pass of its own and nothing on disk: 8 views of 17,592 cards are 216 MB.
They are part of every checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.data.batches import Batch, CardDataset, Images
from training.data.normaliser import Normaliser
from training.distributed.machine import autocast
from training.distributed.ranks import SINGLE_PROCESS, Ranks
from training.losses.term import LossInputs, Need
from training.losses.terms import TERMS
from training.models.networks import Teacher
from training.reporting.evaluation import ModelEmbedder


@dataclass(frozen=True)
class Answer:
    """The teacher's answer to a batch; None where no term asks.

    Attributes:
        views: float32 (B, D), of the views.
        scans: float32 (B, D), of the clean scans.
        maps: float32 (B, E, H, W), patch tokens of the views.
        pictures: int64 (B,), which picture each row is; where answers are kept.
    """

    views: Tensor | None = None
    scans: Tensor | None = None
    maps: Tensor | None = None
    pictures: Tensor | None = None


class TeacherTargets:
    """The teacher's answers.

    The known cards' clean scans are embedded once. Views and virtual cards are embedded when they
    come up, or when they first do.

    Attributes:
        known: float32 (K, D), of the known cards' clean scans.
        needed: Whether a term learns from the teacher at all.
        with_maps: Whether a term compares maps.
        asked: Images that the teacher was asked about so far, by this process.
    """

    def __init__(
        self,
        teacher: ModelEmbedder,
        model: Teacher,
        cards: CardDataset,
        ranks: Ranks = SINGLE_PROCESS,
    ) -> None:
        config = cards.config
        self._model, self._teacher = model, teacher
        self._normalise = Normaliser(teacher.config, teacher.device)
        self._of_views = config.distillation_target == "view"
        used = [TERMS[name] for name in config.terms]
        self.needed = any(term.needs_teacher for term in used)
        self.with_maps = any(Need.MAPS in term.needs for term in used)
        gallery = teacher.embed_together(cards.gallery, ranks)
        self.known = torch.from_numpy(gallery).to(teacher.device)
        self.asked = len(cards.gallery)
        self._turns = config.teacher_views
        self._views: _AnswerCache | None = None
        self._scans: _AnswerCache | None = None
        if self._turns and self.needed:
            pictures = len(cards.gallery) * self._turns
            self._views = _AnswerCache(pictures, self.known) if self._of_views else None
            self._scans = _AnswerCache(pictures, self.known) if config.virtual_share else None

    @torch.no_grad()
    def of(self, batch: Batch) -> Answer:
        """Targets of the views and of the clean scans."""
        if not self.needed:
            return Answer()
        pictures = batch.sources * self._turns + batch.turns if self._turns else None
        numbers = torch.from_numpy(batch.cards).to(self.known.device)
        scans = self.known[numbers.clamp_min(0)]
        virtual = batch.cards < 0
        if virtual.any():
            rows = np.flatnonzero(virtual)
            scans[numbers < 0] = self._answers(self._scans, pictures, batch.scans, rows)
        which = None if pictures is None else torch.from_numpy(pictures).to(self.known.device)
        if not self._of_views:
            return Answer(scans, scans, pictures=which)
        if self.with_maps:
            views, maps = self._ask(batch.views, with_map=True)
            return Answer(views, scans, maps, which)
        rows = np.arange(len(batch.cards))
        views = self._answers(self._views, pictures, batch.views, rows)
        return Answer(views, scans, pictures=which)

    def remember(self, inputs: LossInputs) -> None:
        """Keeps the answers about a whole batch, whichever process asked for them."""
        if inputs.pictures is None or inputs.teacher_views is None or inputs.teacher_scans is None:
            return
        if self._views is not None:
            self._views.keep(inputs.pictures.cpu().numpy(), inputs.teacher_views)
        if self._scans is not None:
            virtual = inputs.cards < 0
            pictures = inputs.pictures[virtual].cpu().numpy()
            self._scans.keep(pictures, inputs.teacher_scans[virtual])

    def state_dict(self) -> dict[str, Tensor]:
        """The kept answers, by what they are about."""
        state: dict[str, Tensor] = {}
        for name, kept in (("views", self._views), ("scans", self._scans)):
            if kept is not None:
                state |= {f"{name} {key}": value for key, value in kept.state_dict().items()}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Goes on from :meth:`state_dict`."""
        for name, kept in (("views", self._views), ("scans", self._scans)):
            if kept is not None:
                kept.load_state_dict({key: state[f"{name} {key}"] for key in ("there", "values")})

    def _answers(
        self,
        kept: _AnswerCache | None,
        pictures: np.ndarray | None,
        images: Images,
        rows: np.ndarray,
    ) -> Tensor:
        """Answers about some rows of images: kept ones, and new ones where there is none."""
        if kept is None or pictures is None:
            return self._ask(images[rows], with_map=False)[0]
        wanted = pictures[rows]
        missing = kept.missing(wanted)
        if len(missing):
            answers, _ = self._ask(images[rows[missing]], with_map=False)
            kept.keep(wanted[missing], answers)
        return kept.of(wanted)

    def _ask(self, images: Images, with_map: bool) -> tuple[Tensor, Tensor | None]:
        maps = None
        self.asked += len(images)
        with autocast(self._teacher.config, self._teacher.device):
            if with_map:
                embeddings, maps = self._model.forward_with_map(self._normalise(images))
                maps = maps.float()
            else:
                embeddings = self._model(self._normalise(images))
        return functional.normalize(embeddings.float(), dim=1), maps


class _AnswerCache:
    """Answers by the picture's number."""

    def __init__(self, pictures: int, like: Tensor) -> None:
        self._values = torch.zeros(pictures, like.shape[1], dtype=torch.float16, device=like.device)
        # On the host: which ones are there is asked before every step.
        self._there = np.zeros(pictures, dtype=bool)

    def of(self, pictures: np.ndarray) -> Tensor:
        """float32 (n, D), of pictures that have an answer."""
        return self._values[torch.from_numpy(pictures).to(self._values.device)].float()

    def missing(self, pictures: np.ndarray) -> np.ndarray:
        """Which places of a list of pictures have no answer yet."""
        return np.flatnonzero(~self._there[pictures])

    def keep(self, pictures: np.ndarray, answers: Tensor) -> None:
        """Takes answers (n, D); those that are there stay."""
        new = self.missing(pictures)
        if len(new):
            places = torch.from_numpy(pictures[new]).to(self._values.device)
            rows = torch.from_numpy(new).to(answers.device)
            self._values[places] = answers[rows].to(self._values.dtype)
            self._there[pictures[new]] = True

    def state_dict(self) -> dict[str, Tensor]:
        """Which pictures have an answer, and the answers in their order."""
        there = torch.from_numpy(self._there)
        return {"there": there, "values": self._values[there.to(self._values.device)]}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Goes on from :meth:`state_dict`."""
        self._there = state["there"].numpy().copy()
        self._values[state["there"].to(self._values.device)] = state["values"].to(
            self._values.device
        )
