"""An artifact is checked before anything is compiled from it."""

from __future__ import annotations

import ast
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.student_artifact import StudentArtifactError, read_artifact
from recognition.acceptance.false_accepts import FALSE_ACCEPTS
from registry.contract import ContractError
from registry.untrusted.archives import ArchiveError
from tests.export.conftest import CARDS, Exported
from tests.export.student import QUERY_VIEWS_PER_CARD, SEED, UNSEEN_VIEWS, pack


def test_whole_artifact_is_read(artifact: Path, exported: Exported, tmp_path: Path) -> None:
    read = read_artifact(artifact, tmp_path / "into")
    assert read.contract == exported.contract
    assert read.model.read_bytes() == exported.model.read_bytes()
    parts = (*read.split.known, *read.split.unseen_validation, *read.split.unseen_test)
    assert sorted(parts) == list(exported.cards.card_ids) and len(parts) == CARDS
    assert read.reference.shape == (QUERY_VIEWS_PER_CARD * len(read.split.known), 768)
    assert read.reference_ids[::QUERY_VIEWS_PER_CARD] == list(read.split.known)
    assert (read.seed, read.unseen_views, read.top1) == (SEED, UNSEEN_VIEWS, 0.5)
    assert (read.backbone, read.views_per_card) == ("small-student", QUERY_VIEWS_PER_CARD)


def drop(name: str) -> Callable[[Path], None]:
    return lambda content: (content / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda content: (content / name).write_text(text) and None


def edit(name: str, **values: object) -> Callable[[Path], None]:
    def change(content: Path) -> None:
        document = json.loads((content / name).read_text())
        (content / name).write_text(json.dumps({**document, **values}))

    return change


def reference(**values: object) -> Callable[[Path], None]:
    def change(content: Path) -> None:
        with np.load(content / "reference.npz") as saved:
            arrays = {**saved, **values}
        np.savez(content / "reference.npz", **arrays)

    return change


def pickled(content: Path) -> None:
    with np.load(content / "reference.npz") as saved:
        arrays = dict(saved)
    arrays["card_ids"] = np.array([object()] * len(arrays["card_ids"]), dtype=object)
    np.savez(content / "reference.npz", **arrays)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("model.onnx"), "holds no model.onnx; only students"),
        (drop("config.json"), "config.json cannot be read"),
        (drop("split.json"), "split.json cannot be read"),
        (drop("reference.npz"), "reference.npz"),
        (drop("evaluation.json"), "evaluation.json cannot be read"),
        (write("split.json", "[]"), "split.json is no JSON object"),
        (write("split.json", "{"), "split.json cannot be read"),
        (write("split.json", "{}"), "KeyError: 'known'"),
        (write("reference.npz", "PK\x03\x04"), "reference.npz"),
        (edit("split.json", known=[]), "leaves a part without cards"),
        (edit("split.json", unseen_test=[]), "leaves a part without cards"),
        (edit("split.json", known=7), "split.json"),
        (edit("config.json", unseen_views="many"), "config.json"),
        (edit("config.json", unseen_views=0), "0 views of unseen cards"),
        (edit("config.json", unseen_views=10**9), "both must be 1 to 1000000"),
        (edit("config.json", false_accepts=0), "false_accepts is 0.0, must be above 0"),
        (edit("config.json", false_accepts=float("nan")), "false_accepts is nan"),
        (edit("config.json", false_accepts="few"), "config.json"),
        (edit("evaluation.json", top1=None), "evaluation.json"),
        (reference(per_card=np.int64(-1)), "-1 query views"),
        (reference(embeddings=np.ones((3, 768), np.float32)), "reference.npz holds"),
        (reference(embeddings=np.zeros((40, 768), np.float32)), "of another length than 1"),
        (reference(views_digest=np.asarray("none")), "views_digest is no SHA-256"),
        (pickled, "reference.npz"),
    ],
)
def test_each_fault_is_one_clear_line(
    artifact: Path, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    change(artifact / "content")
    pack(artifact / "content", artifact / "model.tar.gz")
    with pytest.raises(StudentArtifactError) as caught:
        read_artifact(artifact, tmp_path / "into")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_artifact_takes_the_false_accept_target_of_the_configuration(
    artifact: Path, tmp_path: Path
) -> None:
    assert read_artifact(artifact, tmp_path / "without").false_accepts == FALSE_ACCEPTS
    edit("config.json", false_accepts=0.05)(artifact / "content")
    pack(artifact / "content", artifact / "model.tar.gz")
    assert read_artifact(artifact, tmp_path / "with").false_accepts == 0.05


def test_embeddings_that_are_no_numbers_are_refused(artifact: Path, tmp_path: Path) -> None:
    with np.load(artifact / "content" / "reference.npz") as saved:
        embeddings = saved["embeddings"].copy()
    embeddings[2, 5] = np.nan
    reference(embeddings=embeddings)(artifact / "content")
    pack(artifact / "content", artifact / "model.tar.gz")
    with pytest.raises(StudentArtifactError, match="another length than 1"):
        read_artifact(artifact, tmp_path / "into")


def test_contract_that_this_code_does_not_follow_is_refused(artifact: Path, tmp_path: Path) -> None:
    edit("contract.json", channels="BGR")(artifact / "content")
    pack(artifact / "content", artifact / "model.tar.gz")
    with pytest.raises(ContractError, match="channels is 'BGR'"):
        read_artifact(artifact, tmp_path / "into")


def test_there_must_be_an_archive(tmp_path: Path) -> None:
    with pytest.raises(StudentArtifactError, match=r"model\.tar\.gz: is missing"):
        read_artifact(tmp_path, tmp_path / "into")


def test_archive_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("../outside")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(ArchiveError, match="points outside"):
        read_artifact(tmp_path, tmp_path / "into")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    ("shape", "body", "words"),
    [
        ("(100000000000, 64)", b"", "shorter than it says"),
        ("(1500000000,)", bytes(1_500_000_000 // 64), "shorter than it says"),
    ],
)
def test_arrays_are_refused_before_room_is_made_for_them(
    artifact: Path, tmp_path: Path, shape: str, body: bytes, words: str
) -> None:
    header = io.BytesIO()
    fields = {"descr": "<f4", "fortran_order": False, "shape": ast.literal_eval(shape)}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(artifact / "content" / "reference.npz", "w", zipfile.ZIP_DEFLATED) as npz:
        npz.writestr("embeddings.npy", header.getvalue() + body)
    pack(artifact / "content", artifact / "model.tar.gz")
    with pytest.raises(StudentArtifactError, match=words):
        read_artifact(artifact, tmp_path / "into")


def test_arrays_are_bounded_by_what_they_unpack_to(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.student_artifact._ARRAYS_LIMIT", 1000)
    with pytest.raises(StudentArtifactError, match="more than 1000 bytes"):
        read_artifact(artifact, tmp_path / "into")
