"""The student's ``model.tar.gz`` as the compile job finds it: unpacked, and checked."""

from __future__ import annotations

import json
import lzma
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.acceptance.false_accepts import FALSE_ACCEPTS
from recognition.card_sets.split import Split
from recognition.file_digest import file_sha256
from registry.contract import LARGEST_SIZE, Contract
from registry.untrusted.archives import extract
from registry.weight_origins import WeightOrigin, read_origins

ARCHIVE = "model.tar.gz"
_LIMIT = 2 * 1024**3
_JSON_LIMIT = 64 * 1024**2
_VIEWS_LIMIT = 1_000_000
_STRANGERS_LIMIT = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Bytes of all arrays in ``reference.npz``, unpacked.
_ARRAYS_LIMIT = 1024**3
#: What reading JSON of an unexpected form, or a damaged ``.npz``, raises.
_DAMAGE = (
    *(OSError, KeyError, TypeError, ValueError, EOFError, RuntimeError, MemoryError),
    AttributeError,
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


class StudentArtifactError(ValueError):
    """An artifact that cannot be compiled; names the file and the cause."""


@dataclass(frozen=True)
class StudentArtifact:
    """What a student's training job left.

    Attributes:
        model: The ONNX graph that ships.
        backbone: Its architecture, by timm's name.
        split: Which cards are known, and which are held out.
        reference: float32 (Q, D): PyTorch's embeddings of the query views of the known cards.
        reference_ids: Card id of each.
        seed: Of the run; the views are rendered again from it.
        views_per_card: Query views of each known card.
        views_digest: Of the query views' pixels as training rendered them; empty where the
            artifact does not say.
        unseen_views: Views of the held-out cards of each part, in all.
        false_accepts: The false-accept rate that the threshold is to hold.
        drawn_strangers: How many drawn cards help to set the threshold.
        printing_margin: How far a printing must be before its artwork's next to be named, as the
            training job chose it.
        top1: What the training job measured with PyTorch.
        sha256: Of the archive, in hex.
        camera_side: Side of the camera's picture that views are rendered as, in pixels.
        weights: Published weights that the student descends from.
        scans_digest: Of every scan of the cards, as training read them
            (:func:`recognition.views.digest.scans_digest`); empty where the artifact does not say.
    """

    model: Path
    contract: Contract
    backbone: str
    split: Split
    reference: NDArray[np.float32]
    reference_ids: list[str]
    seed: int
    views_per_card: int
    views_digest: str
    unseen_views: int
    false_accepts: float
    top1: float
    sha256: str = ""
    scans_digest: str = ""
    camera_side: int = 0
    weights: tuple[WeightOrigin, ...] = ()
    drawn_strangers: int = 0
    printing_margin: float = 0.0


def read_artifact(folder: Path, into: Path, expected_sha256: str | None = None) -> StudentArtifact:
    """Unpacks and checks the student's archive.

    Args:
        folder: Holds ``model.tar.gz``.
        into: Where to unpack it.
        expected_sha256: Hex digest of the archive that was approved; None where nobody says.

    Raises:
        StudentArtifactError: It is another archive; a file is missing or not what it should be.
        ArchiveError: The archive is damaged or unsafe.
    """
    archive = folder / ARCHIVE
    if not archive.is_file():
        raise StudentArtifactError(f"{archive}: is missing")
    sha256 = file_sha256(archive)
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise StudentArtifactError(
            f"{archive.name}: has the digest {sha256[:12]}…, and what was registered and approved "
            f"has {expected_sha256[:12]}…; somebody has replaced it, train it again"
        )
    extract(archive, into, _LIMIT)
    model = into / "model.onnx"
    if not model.is_file():
        raise StudentArtifactError(
            f"{archive.name}: holds no model.onnx; only students can be compiled, train it again"
        )
    config = _json(into / "config.json")
    split = _json(into / "split.json")
    contract = Contract.from_dict(_json(into / "contract.json"))
    try:
        parts = Split(
            tuple(map(str, split["known"])),
            tuple(map(str, split["unseen_validation"])),
            tuple(map(str, split["unseen_test"])),
        )
        # Arrays only: a pickled object in the file is refused by numpy.
        _require_small(into / "reference.npz")
        with np.load(into / "reference.npz", allow_pickle=False) as saved:
            reference = np.asarray(saved["embeddings"], dtype=np.float32)
            ids = [str(card_id) for card_id in saved["card_ids"]]
            seed, per_card = int(saved["seed"]), int(saved["per_card"])
            views_digest = str(saved["views_digest"]) if "views_digest" in saved else ""
            scans_digest = str(saved["scans_digest"]) if "scans_digest" in saved else ""
        unseen_views, backbone = int(config["unseen_views"]), str(config["backbone"])
        # Students from before there was such a setting have the default.
        false_accepts = float(config.get("false_accepts", FALSE_ACCEPTS))
        camera_side = int(config.get("camera_side", 0))
        weights = read_origins(
            *(str(config.get(key, "")) for key in ("initial_weights", "inherited_weights"))
        )
        drawn_strangers = int(config.get("drawn_strangers", 0))
        evaluation = _json(into / "evaluation.json")
        top1 = float(evaluation["top1"])
        # Students from before there was a rule name the nearest printing.
        printing_margin = float(evaluation.get("rule", {}).get("printing_margin", 0.0))
    except _DAMAGE as error:
        raise StudentArtifactError(
            f"{archive.name}: split.json, config.json, evaluation.json or reference.npz is not "
            f"what a student's training job writes ({type(error).__name__}: {error})"
        ) from None
    if not (parts.known and parts.unseen_validation and parts.unseen_test):
        raise StudentArtifactError(f"{archive.name}: split.json leaves a part without cards")
    if not (1 <= per_card <= _VIEWS_LIMIT and 1 <= unseen_views <= _VIEWS_LIMIT):
        raise StudentArtifactError(
            f"{archive.name}: {per_card} query views of a card and {unseen_views} views of unseen "
            f"cards; both must be 1 to {_VIEWS_LIMIT}"
        )
    if not 0 <= camera_side <= LARGEST_SIZE:
        raise StudentArtifactError(
            f"{archive.name}: config.json: camera_side is {camera_side}, must be 0 to "
            f"{LARGEST_SIZE}"
        )
    if not 0 <= drawn_strangers <= _STRANGERS_LIMIT:
        raise StudentArtifactError(
            f"{archive.name}: config.json: drawn_strangers is {drawn_strangers}, must be 0 to "
            f"{_STRANGERS_LIMIT}"
        )
    if not 0 <= printing_margin <= 2:
        raise StudentArtifactError(
            f"{archive.name}: evaluation.json: printing_margin is {printing_margin}, must be 0 to 2"
        )
    if not 0 < false_accepts < 1:
        raise StudentArtifactError(
            f"{archive.name}: config.json: false_accepts is {false_accepts}, must be above 0 and "
            "below 1"
        )
    for key, digest in (("views_digest", views_digest), ("scans_digest", scans_digest)):
        if digest and not _SHA256.fullmatch(digest):
            raise StudentArtifactError(f"{archive.name}: reference.npz: {key} is no SHA-256 in hex")
    if reference.shape != (len(ids), contract.embedding_dim) or not len(ids):
        raise StudentArtifactError(
            f"{archive.name}: reference.npz holds {reference.shape} for {len(ids)} views of "
            f"{contract.embedding_dim} dimensions"
        )
    if not np.isfinite(reference).all() or not np.allclose(
        (reference**2).sum(axis=1), 1, atol=1e-3
    ):
        raise StudentArtifactError(
            f"{archive.name}: reference.npz holds embeddings of another length than 1"
        )
    return StudentArtifact(
        model=model,
        contract=contract,
        backbone=backbone,
        split=parts,
        reference=reference,
        reference_ids=ids,
        seed=seed,
        views_per_card=per_card,
        views_digest=views_digest,
        unseen_views=unseen_views,
        false_accepts=false_accepts,
        top1=top1,
        sha256=sha256,
        scans_digest=scans_digest,
        camera_side=camera_side,
        weights=weights,
        drawn_strangers=drawn_strangers,
        printing_margin=printing_margin,
    )


def _require_small(path: Path) -> None:
    """Refuses a ``.npz`` whose members unpack to more, or whose headers promise more.

    NumPy makes room for what a member's header says before it reads the member.
    """
    with zipfile.ZipFile(path) as packed:
        members = packed.infolist()
        total = sum(member.file_size for member in members)
        if len(members) > 64 or total > _ARRAYS_LIMIT:
            raise ValueError(f"reference.npz: more than {_ARRAYS_LIMIT} bytes or 64 arrays")
        for member in members:
            with packed.open(member) as content:
                version = np.lib.format.read_magic(content)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(version)
                if read is None:
                    raise ValueError(f"reference.npz: {member.filename}: format {version}")
                shape, _, dtype = read(content)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise ValueError(f"reference.npz: {member.filename} is shorter than it says")


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _JSON_LIMIT:
            raise StudentArtifactError(f"{path.name}: is longer than {_JSON_LIMIT} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudentArtifactError(f"model.tar.gz: {path.name} cannot be read ({error})") from None
    if not isinstance(document, dict):
        raise StudentArtifactError(f"model.tar.gz: {path.name} is no JSON object")
    return document
