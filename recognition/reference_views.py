"""Reference views: images in a release, with the answers that its model gave when it was measured.

A device runs them before it takes a release, and compares its own answers with these: the same file
may be whole and signed, and yet be run wrongly by another runtime, driver or chip.

>>> import numpy as np
>>> chosen_rows(np.array([0.9, 0.71, 0.8]), np.array([0.2, 0.1, 0.79]), threshold=0.7, count=1)
[0]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.acceptance.rounding_noise import QUANTISED_NOISE
from recognition.atomic_files import atomic_file

#: The file in a release.
REFERENCE_VIEWS = "reference_views.npz"
#: An answer is clear where rounding of an 8-bit network, several times over, leaves it as it is.
CLEAR = 4 * QUANTISED_NOISE
_FILE_LIMIT = 64 * 2**20
_VIEWS_LIMIT = 64
_FIELDS = ("views", "embeddings", "card_ids", "similarities", "threshold", "tolerance")


class ReferenceViewsError(ValueError):
    """A file that holds no reference views; names it and says why."""


@dataclass(frozen=True)
class ReferenceViews:
    """Some views, and what the release's model answers to them.

    Attributes:
        views: uint8 RGB (N, S, S, 3), S the contract's size.
        embeddings: float32 (N, D), rows of length 1, by the model that ships.
        card_ids: The most similar card of each.
        similarities: (N,): its cosine.
        threshold: Cosine from which the answer counts.
        cosine_mean: Least mean cosine of a device's embeddings to these.
        cosine_each: Least cosine of each.
    """

    views: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    card_ids: tuple[str, ...]
    similarities: tuple[float, ...]
    threshold: float
    cosine_mean: float
    cosine_each: float

    @property
    def answers(self) -> tuple[str | None, ...]:
        """The card that each view shows; None where it is none that the release knows."""
        return tuple(
            card_id if similarity >= self.threshold else None
            for card_id, similarity in zip(self.card_ids, self.similarities, strict=True)
        )


def chosen_rows(
    first: NDArray[np.floating], second: NDArray[np.floating], threshold: float, count: int
) -> list[int]:
    """Rows whose answers are clear, evenly spaced; the clearest where there are too few.

    Args:
        first: (N,): cosine of the most similar card.
        second: (N,): cosine of the next one.
        threshold: Cosine from which an answer counts.
        count: How many rows, at most.
    """
    to_threshold = np.abs(first - threshold)
    # Of a rejected view it is all the same which card is the most similar.
    clear = np.where(first >= threshold, np.minimum(to_threshold, first - second), to_threshold)
    rows = np.flatnonzero(clear >= CLEAR)
    if len(rows) < count:
        rows = np.sort(np.argsort(-clear, kind="stable")[:count])
    places = [place * len(rows) // count for place in range(min(count, len(rows)))]
    return [int(rows[place]) for place in places]


def write_reference_views(path: Path, reference: ReferenceViews) -> None:
    """Writes the file, whole or not at all; the same views give the same bytes."""
    with atomic_file(path) as partial:
        np.savez_compressed(
            partial,
            views=reference.views,
            embeddings=reference.embeddings,
            card_ids=np.array(reference.card_ids),
            similarities=np.array(reference.similarities, dtype=np.float64),
            threshold=np.float64(reference.threshold),
            tolerance=np.array([reference.cosine_mean, reference.cosine_each]),
        )


def read_reference_views(path: Path) -> ReferenceViews:
    """Reads the file of a verified release.

    Raises:
        ReferenceViewsError: It cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > _FILE_LIMIT:
            raise ReferenceViewsError(f"{path}: larger than {_FILE_LIMIT // 2**20} MiB")
        with np.load(path, allow_pickle=False) as archive:
            fields = {name: archive[name] for name in _FIELDS}
    except ReferenceViewsError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy have their own kinds
        raise ReferenceViewsError(f"{path}: cannot be read ({error})") from None
    if fault := _fault(fields):
        raise ReferenceViewsError(f"{path}: {fault}")
    mean, each = map(float, fields["tolerance"])
    return ReferenceViews(
        views=fields["views"],
        embeddings=fields["embeddings"],
        card_ids=tuple(map(str, fields["card_ids"])),
        similarities=tuple(map(float, fields["similarities"])),
        threshold=float(fields["threshold"]),
        cosine_mean=mean,
        cosine_each=each,
    )


def _fault(fields: dict[str, NDArray[Any]]) -> str | None:
    views, embeddings = fields["views"], fields["embeddings"]
    count = len(views) if views.ndim == 4 else 0
    if views.dtype != np.uint8 or not 0 < count <= _VIEWS_LIMIT or views.shape[3] != 3:
        return (
            f"views must be uint8 (1 to {_VIEWS_LIMIT}, S, S, 3), not {views.dtype} {views.shape}"
        )
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or len(embeddings) != count:
        return f"embeddings must be float32 ({count}, D), not {embeddings.dtype} {embeddings.shape}"
    if fields["card_ids"].shape != (count,) or fields["card_ids"].dtype.kind != "U":
        return f"card_ids must be {count} texts"
    if fields["similarities"].shape != (count,) or fields["similarities"].dtype != np.float64:
        return f"similarities must be {count} numbers"
    if fields["threshold"].shape != () or fields["tolerance"].shape != (2,):
        return "threshold must be one number and tolerance two"
    numbers = [fields[name] for name in ("embeddings", "similarities", "threshold", "tolerance")]
    if not all(each.dtype.kind == "f" and np.isfinite(each).all() for each in numbers):
        return "a number is not finite"
    return None
