"""From the card channel to batches of camera views.

An identity is a card id, however many scans it has. Views for training are rendered while the
model trains, by background threads; a batch is a function of the configuration and its step
alone, so that two runs see the same batches and a resumed one goes on where it was.

Virtual cards: a patch of one known card laid on another, with colours exchanged and sometimes
mirrored, is a card that nobody knows. Telling thousands of those apart teaches what tells cards
apart in general, where a few hundred known ones would be learnt by heart. They are rendered like
real ones and never take part in evaluation.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recognition.card_sets.card_set import Card, require_digest
from recognition.card_sets.pack import AnySet, PixelRows, open_card_set
from recognition.card_sets.scan import stretch
from recognition.card_sets.split import Split, split_cards
from recognition.sample_cards.drawn_set import DrawnSet
from recognition.views.camera import (
    Stream,
    camera_view,
    camera_views,
    single_threaded_opencv,
    view_generator,
    views_per_card,
)
from training.config import STUDENT_STAGES, TEACHER_STAGES, TrainingConfig
from training.distributed.ranks import SINGLE_PROCESS, Ranks

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]
#: Batches on a GPU are tensors there.
Images = Pixels | Tensor

#: Each stage takes its training views from a range of its own, so that a student's second stage
#: does not see the first one's views again.
_FIRST_VIEW = {stage: 10**7 * i for i, stage in enumerate(TEACHER_STAGES + STUDENT_STAGES)}
#: Share of a batch that shows variants, where there are any.
_VARIANT_SHARE = 0.5
_CHANNEL_ORDERS = tuple(itertools.permutations(range(3)))


class DataError(ValueError):
    """A card channel that cannot be trained on; names it, the cause and the remedy."""


@dataclass(frozen=True)
class CardDataset:
    """A card set, split; in memory, or packed and mapped into it.

    Attributes:
        card_set: What was read, with its digest and its problems; or cards that are drawn.
        split: Which cards are known; the others are never trained on.
        scans: uint8 (R, n, n, 3), every scan of the known cards, large enough for views at the
            camera's resolution.
        scan_ids: Card id of each row.
        gallery: uint8 (K, S, S, 3), the first scan of each known card, as the contract has it.
    """

    config: TrainingConfig
    card_set: AnySet | DrawnSet
    split: Split
    scans: Pixels | PixelRows
    scan_ids: tuple[str, ...]
    gallery: Pixels | PixelRows

    @classmethod
    def load(cls, channel: Path, config: TrainingConfig, digest: str | None = None) -> CardDataset:
        """Reads and splits the channel's folder.

        Args:
            channel: The folder.
            config: The run's configuration.
            digest: Of the card set that was submitted; None where nobody says.

        Raises:
            CardSetError: Nothing usable in it, too few cards to hold any out, or another set than
                the one that was submitted.
        """
        card_set = open_card_set(channel, config.contract)
        require_digest(card_set, digest)
        split = split_cards(
            card_set.card_ids, config.seed, config.held_out_share, config.validation_share or None
        )
        known = card_set.only(split.known)
        scans, scan_ids = known.all_scans(config.contract, scale=config.scan_scale)
        return cls(config, card_set, split, scans, scan_ids, known.first_scans(config.contract))

    @property
    def split_cards(self) -> tuple[Card, ...]:
        """The cards of every part of the split, in the order of their ids."""
        parts = (self.split.known, self.split.unseen_validation, self.split.unseen_test)
        return self.card_set.only(card_id for part in parts for card_id in part).cards

    def unseen_gallery(self, card_ids: tuple[str, ...]) -> Pixels | PixelRows:
        """uint8 (n, S, S, 3): the first scans of cards that are not known, in order of the ids."""
        return self.card_set.only(card_ids).first_scans(self.config.contract)

    def views(
        self, card_ids: tuple[str, ...], stream: Stream, total: int
    ) -> tuple[Pixels, list[str]]:
        """Camera views of the cards' first scans for an evaluation.

        Args:
            card_ids: Known or unseen cards.
            stream: ``validation`` or ``query``.
            total: Views wished for in all; each card gets the same number.

        Returns:
            uint8 (n, S, S, 3) and the card id of each.
        """
        chosen = self.card_set.only(card_ids)
        scans = np.asarray(chosen.first_scans(self.config.contract, scale=self.config.scan_scale))
        per_card = views_per_card(total, len(chosen.cards))
        views, _ = camera_views(
            scans,
            chosen.card_ids,
            size=self.config.image_size,
            seed=self.config.seed,
            stream=stream,
            per_card=per_card,
            threads=self.config.render_threads,
            camera_side=self.config.camera_side,
        )
        return views, [card_id for card_id in chosen.card_ids for _ in range(per_card)]


@dataclass(frozen=True)
class Batch:
    """What one step is trained on.

    Attributes:
        views: uint8 (B, S, S, 3) camera views.
        scans: uint8 (B, S, S, 3) clean scans of the same cards.
        cards: int64 (B,) number of the known card, -1 for a virtual card; a variant's number
            begins where the cards' own end.
        fed: How many of the scans, the first ones, the trained model sees beside the views.
        sources: int64 (B,) number of the known card that a row was made from, virtual or not.
        turns: int64 (B,) number of its view; with its source it says which picture this is.
    """

    views: Images
    scans: Images
    cards: Numbers
    fed: int
    sources: Numbers
    turns: Numbers

    def part(self, place: int, parts: int) -> Batch:
        """One of equal parts, each with its share of the scans that are fed.

        Raises:
            ValueError: The batch does not divide.
        """
        if parts == 1:
            return self
        fed, rest = self.fed // parts, (len(self.cards) - self.fed) // parts
        if fed * parts != self.fed or rest * parts != len(self.cards) - self.fed:
            raise ValueError(f"{len(self.cards)} rows, {self.fed} fed: no {parts} equal parts")
        begin = self.fed + place * rest
        rows = np.r_[place * fed : (place + 1) * fed, begin : begin + rest]
        return Batch(
            self.views[rows],
            self.scans[rows],
            self.cards[rows],
            fed,
            self.sources[rows],
            self.turns[rows],
        )


class Batches:
    """The run's batches, in order, rendered ahead by background threads.

    Args:
        cards: The card set.
        steps: Where to stop.
        ranks: The process that they are for; it gets its part of every batch.
    """

    def __init__(self, cards: CardDataset, steps: int, ranks: Ranks = SINGLE_PROCESS) -> None:
        self._cards = cards
        self._config = cards.config
        self._ranks = ranks
        self._places = self._ranks.rows(cards.config)
        self._steps = steps
        self._rows: dict[str, list[int]] = {}
        for row, card_id in enumerate(cards.scan_ids):
            self._rows.setdefault(card_id, []).append(row)
        self._ids = list(self._rows)
        self._variants = self._config.variants_of(len(self._ids))
        self._orders: dict[int, Numbers] = {}

    def begin(self, first: int = 0) -> Iterator[Batch]:
        """The batches from a step on; a resumed run begins later."""
        ahead: deque[Future[Batch]] = deque()
        with single_threaded_opencv(), ThreadPoolExecutor(self._config.render_threads) as pool:
            try:
                for step in range(first, self._steps):
                    ahead.append(pool.submit(self.batch, step))
                    if len(ahead) > self._config.prefetch:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def batch(self, step: int) -> Batch:
        """The batch of one step; the same for every call."""
        config = self._config
        rows = len(self._places)
        cards, sources, turns = (np.empty(rows, np.int64) for _ in range(3))
        scans: list[Pixels] = []
        generators: list[np.random.Generator] = []
        for row, slot in enumerate(self._places):
            epoch, place = divmod(step * config.batch_size + slot, len(self._ids))
            card = int(self._order(epoch)[place])
            turn = epoch % config.teacher_views if config.teacher_views else epoch
            rng = view_generator(
                config.seed, "train", self._ids[card], _FIRST_VIEW[config.stage] + turn
            )
            scan = self._scan(card, rng)
            cards[row] = sources[row] = card
            turns[row] = turn
            if rng.random() < config.virtual_share:
                other = self._scan(int(rng.integers(len(self._ids))), rng)
                scan = virtual_card(scan, other, rng)
                cards[row] = -1
            elif self._variants > 1 and rng.random() < _VARIANT_SHARE:
                variant = int(rng.integers(1, self._variants))
                scan = card_variant(scan, variant)
                cards[row] = card + variant * len(self._ids)
            scans.append(scan)
            generators.append(rng)
        views, clean = self._render(scans, generators)
        fed = config.fed_scans // self._ranks.world
        return Batch(views, clean, cards, fed, sources, turns)

    def _render(
        self, scans: Sequence[Pixels], generators: Sequence[np.random.Generator]
    ) -> tuple[Images, Images]:
        """A view of each scan, and each scan as the contract has it."""
        size = self._config.image_size
        views = [
            camera_view(scan, size, rng, camera_side=self._config.camera_side)
            for scan, rng in zip(scans, generators, strict=True)
        ]
        return np.stack(views), np.stack([stretch(scan, size) for scan in scans])

    def _scan(self, card: int, rng: np.random.Generator) -> Pixels:
        rows = self._rows[self._ids[card]]
        row = rows[0] if len(rows) == 1 else rows[int(rng.integers(len(rows)))]
        return np.asarray(self._cards.scans[row])

    def _order(self, epoch: int) -> Numbers:
        """The order of the cards in one pass over them."""
        found = self._orders.get(epoch)
        if found is None:
            name = f"order|{self._config.seed}|{self._config.stage}|{epoch}"
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
            found = np.random.default_rng(seed).permutation(len(self._ids))
            # Threads work on neighbouring epochs only; old ones would pile up.
            self._orders = {e: o for e, o in self._orders.items() if e > epoch - 3} | {epoch: found}
        return found


def card_variant(scan: Pixels, variant: int) -> Pixels:
    """Another identity of the same make: a card mirrored, or with other colours.

    A mirrored card is a card that nobody has, and telling it from the card itself takes the same
    marks as telling any two cards apart. A small set becomes a larger one to learn from.

    Args:
        scan: uint8 (s, s, 3).
        variant: 0 for the card itself, up to ``MOST_VARIANTS - 1``: odd ones are mirrored, and
            each two share an order of the colour channels.
    """
    order = _CHANNEL_ORDERS[variant // 2]
    turned = scan[:, ::-1] if variant % 2 else scan
    return np.ascontiguousarray(turned[:, :, order])


def virtual_card(base: Pixels, patch: Pixels, rng: np.random.Generator) -> Pixels:
    """A card that does not exist: part of one scan laid on another.

    Args:
        base: uint8 (s, s, 3), a clean scan.
        patch: uint8 (s, s, 3), the scan that a rectangle is taken from, at its own place.
        rng: Chooses the rectangle (a tenth to half of the area), each scan's order of colour
            channels, and whether the result is mirrored.
    """
    side = base.shape[0]
    card = base[:, :, _CHANNEL_ORDERS[int(rng.integers(6))]]
    share = rng.uniform(0.1, 0.5)
    stretch_by = rng.uniform(0.6, 1.6)
    height = int(side * min(1.0, (share * stretch_by) ** 0.5))
    width = int(side * min(1.0, (share / stretch_by) ** 0.5))
    top = int(rng.integers(side - height + 1))
    left = int(rng.integers(side - width + 1))
    order = _CHANNEL_ORDERS[int(rng.integers(6))]
    window = (slice(top, top + height), slice(left, left + width))
    card[window] = patch[window][:, :, order]
    if rng.random() < 0.5:
        card = card[:, ::-1]
    return np.ascontiguousarray(card)
