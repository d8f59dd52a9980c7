"""Embeds what a model is judged on, once by each runtime, a group of images at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.calibration import Pixels
from export.fidelity.embedding_shards import EmbeddingShards
from export.fidelity.gate import Embeddings
from export.fidelity.held_out import HeldOut, Views
from recognition.acceptance import FALSE_ACCEPTS, FLOAT_NOISE, QUANTISED_NOISE
from recognition.retrieval import Evaluation, evaluate

Floats = NDArray[np.float32]


class Runtime(Protocol):
    """Something that runs a model."""

    def embed(self, images: Pixels) -> Floats:
        """uint8 (N, S, S, 3) to float32 (N, D), rows of length 1."""
        ...


@dataclass(frozen=True)
class Measured:
    """What one runtime made of the held-out images, and how good that is."""

    embeddings: Embeddings
    evaluation: Evaluation


def measure(
    held_out: HeldOut,
    runtimes: Mapping[str, Runtime],
    say: Callable[[str], None] = lambda line: None,
    shards: EmbeddingShards | None = None,
    false_accepts: float = FALSE_ACCEPTS,
) -> dict[str, Measured]:
    """Embeds and evaluates; every image is made once for all runtimes.

    Args:
        held_out: The images.
        runtimes: By stage.
        say: Told what is being done.
        shards: Where what an interrupted job has embedded is found, and kept.
        false_accepts: Share of unknown cards' views that a threshold may accept.
    """
    parts = ("gallery", "queries", "outside", "outside_test", "outside_gallery")
    rows = {part: embed(getattr(held_out, part), runtimes, part, say, shards) for part in parts}
    found = {}
    for stage in runtimes:
        gallery, queries, outside, outside_test, outside_gallery = (rows[p][stage] for p in parts)
        found[stage] = Measured(
            Embeddings(gallery, queries),
            evaluate(
                gallery,
                held_out.gallery.card_ids,
                queries,
                held_out.queries.card_ids,
                outside,
                outside_test,
                unseen_gallery=outside_gallery,
                unseen_gallery_ids=held_out.outside_gallery.card_ids,
                unseen_test_ids=held_out.outside_test.card_ids,
                unseen_validation_ids=held_out.outside.card_ids,
                false_accepts=false_accepts,
                noise=FLOAT_NOISE if stage == "onnx" else QUANTISED_NOISE,
            ),
        )
        say(f"{stage}: top-1 {found[stage].evaluation.top1:.3f}")
        for warning in found[stage].evaluation.warnings:
            say(f"{stage}: {warning}")
    return found


def embed(
    views: Views,
    runtimes: Mapping[str, Runtime],
    name: str = "",
    say: Callable[[str], None] = lambda line: None,
    shards: EmbeddingShards | None = None,
) -> dict[str, Floats]:
    """Every image by every runtime: float32 (N, D) by stage."""
    rows: dict[str, Floats] = {}
    done = 0
    for images in views.groups():
        for stage, runtime in runtimes.items():
            found = shards.find(stage, images) if shards else None
            if found is None:
                found = runtime.embed(images)
                if shards:
                    shards.keep(stage, images, found)
            # Once and for all: a list of groups and their concatenation are twice as much.
            if stage not in rows:
                rows[stage] = np.empty((len(views), found.shape[1]), dtype=np.float32)
            rows[stage][done : done + len(images)] = found
        done += len(images)
        if done < len(views):  # a set that fits one group needs no line
            say(f"embedded {done:,} of {len(views):,}: {name}")
    return rows


def swapped(views: Views, rows: Sequence[int], runtime: Runtime) -> Floats:
    """float32 (len(rows), D): some of the images, red and blue exchanged."""
    images = np.stack([views.image(row)[..., ::-1] for row in rows])
    return runtime.embed(np.ascontiguousarray(images))
