"""Cards that are added to a release's index: refused, approved, compiled, signed, rolled back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.graphs.onnx_export import export_onnx
from recognition.card_sets.card_set import read_card_set
from recognition.card_sets.scan import decode_image
from recognition.recogniser import Recogniser
from recognition.sample_cards.drawing import draw_card_set
from recognition.search.index import ReferenceIndex
from recognition.views.camera import camera_views
from registry.contract import Contract
from tests.e2e.cloud import BIN, LENIENT, Cloud, started, until
from tests.e2e.handmade import register_student
from tests.export.student import SEED, random_student, write_artifact

CLI = str(BIN / "cards")
FIRST, SECOND = (f"student-efficientnet-lite0-stage2-v{number}" for number in (1, 2))
CONTRACT = Contract(size=32, embedding_dim=768)
#: Without MLflow, which nothing here writes to; the student's weights are random.
SETTINGS = {**LENIENT, "mlflow": "none"}


@dataclass(frozen=True)
class Released:
    """A deployment with the release of a version.

    Attributes:
        cloud: Its local cloud.
        release: The release's id.
        cards: The folder of its cards.
        more: A folder of three cards that are new, one of them with an old one's print, and of
            one that the release has.
    """

    cloud: Cloud
    release: str
    cards: Path
    more: Path

    def add(self, *options: str) -> dict[str, Any]:
        return dict(
            self.cloud.json(
                CLI, "index", "add", self.release, "--cards", str(self.more), "--json", *options
            )
        )

    def refusal(self, release: str, folder: Path) -> str:
        """The one line that the command ends with."""
        done = self.cloud.run(CLI, "index", "add", release, "--cards", str(folder))
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def versions(self) -> list[dict[str, Any]]:
        group = self.cloud.deployment.group_name
        listed = self.cloud.client("sagemaker").list_model_packages(ModelPackageGroupName=group)
        return list(listed["ModelPackageSummaryList"])


def channel(cloud: Cloud, name: str = "stable") -> dict[str, Any] | None:
    s3, bucket = cloud.client("s3"), cloud.deployment.release_bucket
    key = f"channels/{name}.json"
    if not s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"):
        return None
    return dict(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))


def release_of(cloud: Cloud, version: str) -> str | None:
    """The release in the stable channel, where it is that version's."""
    found = channel(cloud)
    return str(found["release"]) if found and found["name"] == version else None


def is_stable(cloud: Cloud, arn: str) -> bool:
    """Whether the version says that it is in the stable channel: the publisher's last step."""
    found = cloud.client("sagemaker").describe_model_package(ModelPackageName=arn)
    return str(found.get("ModelLifeCycle", {}).get("Stage")) == "Stable"


def approve(cloud: Cloud, arn: str) -> None:
    cloud.client("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved"
    )


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of its own: the other tests count versions."""
    with started(tmp_path_factory.mktemp("added-cards")) as running:
        running.bootstrap()
        running.deploy(SETTINGS)
        yield running


@pytest.fixture(scope="module")
def folders(deployment: Cloud) -> tuple[Path, Path]:
    drawn = deployment.folder / "drawn"
    draw_card_set(drawn, 14, seed=SEED, height=192)
    cards, more = deployment.folder / "cards", deployment.folder / "more"
    shutil.copytree(drawn, cards)
    for card in sorted(drawn.iterdir())[4:6]:
        shutil.copytree(cards / card.name, more / card.name)
        shutil.rmtree(cards / card.name)
    kept = sorted(cards.iterdir())
    shutil.copytree(kept[0], more / kept[0].name)
    shutil.copytree(kept[1], more / "reprint-1")
    return cards, more


@pytest.fixture(scope="module")
def released(deployment: Cloud, folders: tuple[Path, Path]) -> Released:
    """A student of random weights: how well it recognises is not what is tested."""
    folder, more = folders
    cards = read_card_set(folder, CONTRACT)
    views, _ = camera_views(
        cards.first_scans(CONTRACT, scale=2), cards.card_ids,
        size=CONTRACT.size, seed=SEED, stream="calibration", per_card=4,
    )  # fmt: skip
    student = random_student(CONTRACT, views)
    made = deployment.folder / "student"
    made.mkdir()
    export_onnx(student, CONTRACT, made / "model.onnx", views[:8])
    write_artifact(made / "job", cards, CONTRACT, student, (made / "model.onnx").read_bytes())
    body = (made / "job/model.tar.gz").read_bytes()
    pushed = deployment.json(CLI, "data", "push", str(folder), "--json")
    arn = register_student(
        deployment,
        deployment.deployment.group_name,
        deployment.deployment.training_bucket,
        FIRST,
        body,
        records_archive=True,
        CardSetUri=pushed["uri"],
        CardSetDigest=pushed["digest"],
    )
    approve(deployment, arn)
    release = until(lambda: release_of(deployment, FIRST), 180, "the first release is in stable")
    until(lambda: is_stable(deployment, arn), 180, "the version says that it is in stable")
    return Released(deployment, str(release), folder, more)


@pytest.fixture(scope="module")
def added(released: Released) -> dict[str, Any]:
    return released.add()


@pytest.fixture(scope="module")
def grown(released: Released, added: dict[str, Any]) -> Path:
    """The pulled release of the version with the added cards."""
    cloud = released.cloud
    approve(cloud, added["arn"])
    until(lambda: release_of(cloud, SECOND), 180, "the release with the added cards is in stable")
    cloud.must(CLI, "release", "trust", "--yes")
    folder = cloud.folder / "release"
    cloud.must(CLI, "release", "pull", "--out", str(folder))
    return folder


def test_unsuitable_folders_and_releases_are_refused_and_nothing_is_registered(
    released: Released, tmp_path: Path
) -> None:
    before = released.versions()
    unknown = released.refusal(f"{FIRST}.onnx-int8-00000000", released.more)
    assert f"{FIRST}.onnx-int8-00000000" in unknown
    assert "nothing is added" in released.refusal(released.release, released.cards)
    changed = Path(shutil.copytree(released.more, tmp_path / "changed"))
    old = next(card for card in sorted(changed.iterdir()) if (released.cards / card.name).is_dir())
    shutil.copy(next((changed / "reprint-1").iterdir()), old / "second.png")
    assert f"{old.name}: is in the card set already" in released.refusal(released.release, changed)
    assert released.versions() == before


def test_added_cards_wait_for_approval_in_a_version_of_the_same_model(
    released: Released, added: dict[str, Any]
) -> None:
    assert (added["outcome"], added["name"]) == ("registered", SECOND)
    assert sorted(added["new"]) == sorted(
        card.name for card in released.more.iterdir() if not (released.cards / card.name).is_dir()
    )
    assert len(added["new"]) == added["added"] == 3 and len(added["present"]) == 1
    assert [["reprint-1" in pair for pair in added["twins"]]] == [[True]]
    sagemaker = released.cloud.client("sagemaker")
    first, second = (
        sagemaker.describe_model_package(ModelPackageName=row["ModelPackageArn"])
        for row in sorted(released.versions(), key=lambda row: str(row["ModelPackageArn"]))
        if "-stage2-" in row["ModelPackageDescription"].partition(":")[0]
    )
    ours, theirs = (each["CustomerMetadataProperties"] for each in (second, first))
    assert ours["ModelArchive"] == theirs["ModelArchive"]
    assert ours["ParentModelPackageArn"] == first["ModelPackageArn"]
    assert ours["CardSetDigest"] == added["cards_digest"] != theirs["CardSetDigest"]
    assert (ours["AddedCards"], float(ours["Top1Added"])) == (
        "3",
        pytest.approx(added["metrics"]["top1_added"], rel=1e-5),
    )


def test_repeating_the_command_finds_the_version(
    released: Released, added: dict[str, Any], tmp_path: Path
) -> None:
    before = released.versions()
    again = released.add("--work", str(tmp_path))
    assert (again["outcome"], again["arn"]) == ("already registered", added["arn"])
    assert released.versions() == before


def test_approval_releases_the_same_model_with_an_index_of_all_cards(
    released: Released, added: dict[str, Any], grown: Path
) -> None:
    manifest = json.loads((grown / "manifest.json").read_text())
    assert manifest["source"]["arn"] == added["arn"]
    assert manifest["card_set"]["digest"] == added["cards_digest"]
    assert FIRST in [row["name"] for row in manifest["lineage"]]
    assert manifest["gate"]["verdict"] == "passed"
    released.cloud.must(CLI, "release", "verify", str(grown))
    cards = set(ReferenceIndex.load(grown).card_ids)
    assert set(added["new"]) <= cards
    s3, bucket = released.cloud.client("s3"), released.cloud.deployment.release_bucket
    body = s3.get_object(Bucket=bucket, Key=f"releases/{released.release}/manifest.json")["Body"]
    before = json.loads(body.read())["files"]
    assert before["model.onnx"]["sha256"] == manifest["files"]["model.onnx"]["sha256"]
    rows = json.loads(
        s3.get_object(Bucket=bucket, Key=f"releases/{released.release}/index.json")["Body"].read()
    )
    assert cards - set(added["new"]) == set(rows.values())


def test_added_card_is_recognised_and_its_figures_are_in_the_report(
    released: Released, added: dict[str, Any], grown: Path
) -> None:
    recogniser = Recogniser.load(grown)
    distinct = [card for card in added["new"] if card != "reprint-1"]
    for card in distinct:
        scan = next((released.more / card).iterdir())
        found = recogniser.recognise(decode_image(scan.read_bytes()))
        assert found.candidates[0][0] == card and found.similarity > 0.99
    figures = json.loads((grown / "fidelity.json").read_text())["figures"]
    assert figures["added_cards"] == 3 and figures["added_queries"] > 0
    measured = added["metrics"]
    # The float model on this machine, and the 8-bit model of the job, on the same views.
    assert figures["top1_added"] == pytest.approx(measured["top1_added"], abs=0.35)
    assert np.isfinite(figures["false_accept_rate_before"])


def test_rolling_back_returns_to_the_index_without_the_cards(
    released: Released, grown: Path
) -> None:
    released.cloud.must(CLI, "release", "rollback", "--reason", "the new set has a mistake")
    until(
        lambda: release_of(released.cloud, FIRST) == released.release,
        60,
        "the first release is in stable again",
    )
