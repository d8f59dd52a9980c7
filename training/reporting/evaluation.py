"""What a trained model is worth, on views and cards that training never saw.

The gallery is the known cards' clean scans. Queries are camera views of another stream than the
training's. Settings are chosen by the validation figures alone (other views of the known cards,
and other unseen cards than the test's). Views are rendered, embedded and freed in groups, and
several processes take a part of the cards each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recognition.acceptance.printing_margin import choose_printing_margin
from recognition.card_sets.artworks import artworks_of
from recognition.card_sets.pack import PixelRows
from recognition.evaluation_metrics import Evaluation
from recognition.retrieval import evaluate
from recognition.sample_cards.drawn_set import DrawnSet, views_of_strangers
from recognition.search.frames import FRAMES
from recognition.search.gallery import l2_normalise
from recognition.views.camera import Stream, views_per_card
from recognition.views.digest import card_digest, views_digest
from training.config import TrainingConfig
from training.data.batches import CardDataset, Pixels
from training.data.normaliser import Normaliser
from training.distributed.ranks import SINGLE_PROCESS, Ranks, gather_objects
from training.errors import TrainingError
from training.loop.training_loop import SCORE

Floats = NDArray[np.float32]
#: Images that a network sees at a time. On a processor a batch's activations should fit its caches:
#: EfficientNet-Lite2 at 112 px took 21 ms of one core an image in batches of 256, and 16 ms of 32.
_BATCH, _BATCH_ON_A_PROCESSOR = 256, 32
#: Views that are in memory at a time, about.
_GROUP = 2048
_SAMPLE = 16


@dataclass(frozen=True)
class ModelEmbedder:
    """A model with all that it takes to embed uint8 images."""

    model: nn.Module
    config: TrainingConfig
    device: torch.device

    def embed(self, images: Pixels | PixelRows) -> Floats:
        """uint8 (N, S, S, 3) to L2-normalised float32 (N, D).

        Always in float32, whatever the precision of training: that is what ships, and what the
        exported graph is compared with.

        Raises:
            TrainingError: The model answers something that has no direction.
        """
        answers = self.answers(images)
        if not len(answers):
            return answers
        try:
            return l2_normalise(answers)
        except ValueError as error:
            raise TrainingError(f"the trained model's {error}") from None

    def answers(self, images: Pixels | PixelRows) -> Floats:
        """As :meth:`embed`, not normalised: float32 (N, D) of any length."""
        normalise = Normaliser(self.config, self.device)
        self.model.eval()
        if not len(images):
            return np.empty((0, self.config.embedding_dim), np.float32)
        size = _BATCH_ON_A_PROCESSOR if self.device.type == "cpu" else _BATCH
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), size):
                answer = self.model(normalise(np.asarray(images[start : start + size])))
                rows.append(answer.float().cpu().numpy())
        return np.concatenate(rows)

    def embed_together(self, images: Pixels | PixelRows, ranks: Ranks) -> Floats:
        """As :meth:`embed`, each process a part of the images, all of them for everyone."""
        found = gather_objects(self.embed(images[_share(len(images), ranks)]), ranks)
        return np.concatenate([rows for rows in found if len(rows)])


@dataclass(frozen=True)
class EmbeddedViews:
    """Camera views, embedded.

    Attributes:
        embeddings: float32 (Q, D), normalised, in rendering order.
        card_ids: Card id of each.
        teacher: float32 (Q, D'), the teacher's of the same views; None without one.
        digest: Tells these views' pixels from others (``recognition.views.digest``).
        sample: uint8 (n, S, S, 3), the first few of them.
    """

    embeddings: Floats
    card_ids: list[str]
    teacher: Floats | None
    digest: str
    sample: Pixels


@dataclass(frozen=True)
class TrainingResult:
    """Everything that was measured after training.

    Attributes:
        test: On the query stream and the test part of the unseen cards: what is reported.
        validation: On the validation stream and the validation part: what settings are chosen by.
        similarity: Mean cosine between student and teacher on the validation views; None for a
            teacher.
        seen: The query views of the known cards behind ``test``.
        gallery: float32 (K, D), of the known cards' clean scans.
        unknown: float32 (U, D), of views of the test part's unseen cards.
        unknown_ids: Card id of each.
        artworks: By card id the name of the artwork that it is a printing of.
    """

    test: Evaluation
    validation: Evaluation
    similarity: float | None
    seen: EmbeddedViews
    gallery: Floats
    unknown: Floats
    unknown_ids: Sequence[str]
    artworks: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The form of ``evaluation.json``."""
        document = self.test.to_dict()
        document["validation"] = self.validation.to_dict()
        if self.similarity is not None:
            document["similarity"] = self.similarity
        return document

    def metrics(self) -> dict[str, float]:
        """The finite scalars, for the registry and for tracking."""
        flat = self.test.metrics()
        flat["validation_top1"] = self.validation.top1
        if self.validation.top1_unseen is not None:
            flat["validation_top1_unseen"] = self.validation.top1_unseen
        if self.similarity is not None:
            flat["similarity"] = self.similarity
        return flat


def evaluate_model(
    embedder: ModelEmbedder,
    cards: CardDataset,
    teacher: ModelEmbedder | None = None,
    ranks: Ranks = SINGLE_PROCESS,
) -> TrainingResult:
    """Renders the held-out views and measures retrieval, rejection and zero-shot recognition.

    Every process of a run must call it; each gets the whole outcome.
    """
    config, split = cards.config, cards.split
    gallery = embedder.embed_together(cards.gallery, ranks)
    total, unseen = config.query_views, config.unseen_views
    queries = embed_views(embedder, cards, split.known, "query", total, ranks, fewest=FRAMES)
    test = embed_views(embedder, cards, split.unseen_test, "query", unseen, ranks, fewest=FRAMES)
    outside = _outside(embedder, cards, ranks)
    strangers = _strangers(embedder, cards, ranks)
    known = cards.card_set.only(split.known)
    assert not isinstance(known, DrawnSet)
    artworks = artworks_of(known, config.contract, config.render_threads)
    validated, seen = _validate(embedder, cards, gallery, outside, ranks, teacher)
    margin = choose_printing_margin(gallery, split.known, seen.embeddings, seen.card_ids, artworks)
    measured = evaluate(
        gallery,
        split.known,
        queries.embeddings,
        queries.card_ids,
        outside.embeddings,
        test.embeddings,
        unseen_gallery=embedder.embed_together(cards.unseen_gallery(split.unseen_test), ranks),
        unseen_gallery_ids=split.unseen_test,
        unseen_test_ids=test.card_ids,
        unseen_validation_ids=outside.card_ids,
        strangers=strangers[0] if strangers else None,
        stranger_ids=strangers[1] if strangers else None,
        artworks=artworks,
        printing_margin=margin,
        false_accepts=config.false_accepts,
    )
    similarity = None
    if seen.teacher is not None:
        similarity = float((seen.embeddings * seen.teacher).sum(axis=1).mean(dtype=np.float64))
    return TrainingResult(
        measured,
        validated,
        similarity,
        queries,
        gallery,
        test.embeddings,
        test.card_ids,
        artworks,
    )


def validate_model(
    embedder: ModelEmbedder, cards: CardDataset, ranks: Ranks = SINGLE_PROCESS
) -> dict[str, float]:
    """The validation figures of a model that is still in training.

    Early stopping follows their mean: known cards and cards that nothing was trained on count
    alike.
    """
    gallery = embedder.embed_together(cards.gallery, ranks)
    found, _ = _validate(embedder, cards, gallery, _outside(embedder, cards, ranks), ranks)
    unseen = found.top1_unseen or 0.0
    return {
        "validation_top1": found.top1,
        "validation_top1_unseen": unseen,
        SCORE: (found.top1 + unseen) / 2,
    }


def _outside(embedder: ModelEmbedder, cards: CardDataset, ranks: Ranks) -> EmbeddedViews:
    wanted, total = cards.split.unseen_validation, cards.config.unseen_views
    return embed_views(embedder, cards, wanted, "validation", total, ranks, fewest=FRAMES)


def _strangers(
    embedder: ModelEmbedder, cards: CardDataset, ranks: Ranks
) -> tuple[Floats, list[str]] | None:
    """Embeddings of views of drawn cards and the card of each; None where none are asked for."""
    drawn = DrawnSet.of(cards.config.drawn_strangers)
    counts = np.asarray(views_of_strangers(len(drawn.cards), FRAMES))
    source = replace(cards, card_set=drawn)
    found = []
    for per_card in np.unique(counts):
        ids = tuple(np.asarray(drawn.card_ids)[counts == per_card].tolist())
        total = int(per_card) * len(ids)
        found.append(embed_views(embedder, source, ids, "validation", total, ranks))
    if not found:
        return None
    rows = np.concatenate([views.embeddings for views in found])
    return rows, [card_id for views in found for card_id in views.card_ids]


def _validate(
    embedder: ModelEmbedder,
    cards: CardDataset,
    gallery: Floats,
    outside: EmbeddedViews,
    ranks: Ranks,
    teacher: ModelEmbedder | None = None,
) -> tuple[Evaluation, EmbeddedViews]:
    config, split = cards.config, cards.split
    total = config.validation_views
    seen = embed_views(embedder, cards, split.known, "validation", total, ranks, teacher)
    others = embedder.embed_together(cards.unseen_gallery(split.unseen_validation), ranks)
    found = evaluate(
        gallery,
        split.known,
        seen.embeddings,
        seen.card_ids,
        outside.embeddings,
        outside.embeddings,
        unseen_gallery=others,
        unseen_gallery_ids=split.unseen_validation,
        unseen_test_ids=outside.card_ids,
        unseen_validation_ids=outside.card_ids,
        false_accepts=config.false_accepts,
    )
    return found, seen


def embed_views(
    embedder: ModelEmbedder,
    cards: CardDataset,
    card_ids: tuple[str, ...],
    stream: Stream,
    total: int,
    ranks: Ranks = SINGLE_PROCESS,
    teacher: ModelEmbedder | None = None,
    fewest: int = 1,
) -> EmbeddedViews:
    """Renders camera views of cards and embeds them, a group of cards at a time.

    Args:
        embedder: The model.
        cards: The card set.
        card_ids: Known or unseen cards.
        stream: ``validation`` or ``query``.
        total: Views wished for in all; each card gets the same number.
        ranks: Each process takes a part of the cards; all of them get everything.
        teacher: Embeds the same views, where given.
        fewest: Views of each card at least.
    """
    ids = cards.card_set.only(card_ids).card_ids
    per_card = views_per_card(total, len(ids), fewest)
    part = ids[_share(len(ids), ranks)]
    student_rows, teacher_rows, digests = [], [], []
    sample: Pixels = cards.gallery[:0]
    step = max(1, _GROUP // per_card)
    for start in range(0, len(part), step):
        group = part[start : start + step]
        views, _ = cards.views(group, stream, per_card * len(group))
        student_rows.append(embedder.embed(views))
        if teacher is not None:
            teacher_rows.append(teacher.embed(views))
        digests += [card_digest(views[i : i + per_card]) for i in range(0, len(views), per_card)]
        sample = sample if len(sample) else views[:_SAMPLE].copy()
    found = gather_objects((student_rows, teacher_rows, digests, sample), ranks)
    taught = [rows for each in found for rows in each[1]]
    return EmbeddedViews(
        embeddings=np.concatenate([rows for each in found for rows in each[0]]),
        card_ids=[card_id for card_id in ids for _ in range(per_card)],
        teacher=np.concatenate(taught) if taught else None,
        digest=views_digest([digest for each in found for digest in each[2]]),
        sample=next((each[3] for each in found if len(each[3])), sample),
    )


def _share(count: int, ranks: Ranks) -> slice:
    """One process's part of so many rows: neighbours, as even as can be."""
    return slice(count * ranks.rank // ranks.world, count * (ranks.rank + 1) // ranks.world)
