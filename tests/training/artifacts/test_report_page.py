"""The page that a training job makes says what its evaluation, the registry and MLflow have."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from registry.names import REPORT_PAGE_LIMIT
from registry.versions.metadata import kept_metrics
from registry.versions.report_page import PAGE_FILE
from reports.evidence import EVIDENCE
from reports.figures import from_metadata
from tests.reports.test_page import Read
from tests.training.reporting.test_evidence import Average
from training.artifacts.model_archive import registration
from training.data.batches import CardDataset
from training.environment import JobEnvironment
from training.jobs.job_reporter import JobReporter
from training.page_facts import PageFacts
from training.reporting.evaluation import ModelEmbedder, TrainingResult, evaluate_model
from training.reporting.tracking import Tracker

JOB = "student-stage2-tiny-20260102-030405-6789"
LIVE = "student-efficientnet-lite0-stage2-v1"


class Recorded(Tracker):
    """Keeps what is logged instead of sending it."""

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, float] = {}
        self.files: list[Path] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.logged |= values

    def file(self, path: Path) -> None:
        self.files.append(path)


class Made:
    """What a job left, and what it logged."""

    def __init__(self, cards: CardDataset, folder: Path, **places: Any) -> None:
        self.cards, config = cards, cards.config
        embedder = ModelEmbedder(Average(), config, torch.device("cpu"))
        self.result: TrainingResult = replace(evaluate_model(embedder, self.cards), similarity=0.9)
        self.output = folder / "output"
        for each in ("output", "model"):
            (folder / each).mkdir(parents=True)
        self.environment = JobEnvironment(
            folder / "model",
            self.output,
            folder,
            folder / "failure",
            **{"channels": {}, "job_name": JOB, **places},
        )
        teacher = registration(Average(), cards, self.result, mlflow_run_id="9d5e")  # type: ignore[arg-type]
        self.request = {**teacher, "metadata": {**teacher["metadata"], "HailoCompatible": "true"}}
        reporter = JobReporter(config, self.environment)
        self.tracker = reporter.tracker = Recorded()
        reporter.measured(self.result)
        reporter.keep_evidence(self.environment, self.cards, self.result, self.request)
        self.page = (self.output / PAGE_FILE).read_text()


@pytest.fixture
def cards(tiny_cards: Callable[..., CardDataset]) -> CardDataset:
    return tiny_cards("stage2")


def test_page_evaluation_registry_and_mlflow_have_the_same_numbers(
    cards: CardDataset, tmp_path: Path
) -> None:
    made = Made(cards, tmp_path)
    shown = {
        each["data-figure"]: float(each["data-value"] or "nan")
        for _, each in Read(made.page).elements
        if "data-figure" in each
    }
    assert {"top1", "accepted_right", "false_accept_rate", "threshold", "auroc"} <= set(shown)
    evaluation = json.loads(json.dumps(made.result.to_dict()))
    kept = from_metadata(kept_metrics("student", "stage2", made.request["metrics"]))
    compared = 0
    for name, value in shown.items():
        assert value == made.tracker.logged[name], name
        assert value == evaluation.get(name, value), name
        if name in kept:
            compared += 1
            assert value == pytest.approx(kept[name].value, rel=1e-5), name
    assert compared >= 5
    assert made.tracker.files == [made.output / PAGE_FILE]
    assert len(made.page.encode()) < REPORT_PAGE_LIMIT


def test_page_says_what_the_job_was_told_when_it_was_submitted(
    cards: CardDataset, tmp_path: Path
) -> None:
    facts = PageFacts(
        message="For the <b>new</b> set",
        line=("teacher-vit-tiny-phase2-v3", "student-efficientnet-lite0-stage1-v2"),
        stable_channel="promotion",
        four_eyes=True,
        submitted_by=("AROAROLE:ann", "AROAROLE:bob"),
        price="Estimate: about 20 minutes.",
        live_note="What is live could not be looked up.",
        held="held-release",
    )
    page = Read(Made(cards, tmp_path, page_facts=facts).page)
    text = " ".join(page.text.split())
    for each in ("For the <b>new</b> set", "teacher-vit-tiny-phase2-v3", "cards release promote",
                 "Submitted by", "Four eyes", "(AROAROLE:ann and AROAROLE:bob) cannot approve it",
                 "about 20 minutes", "could not be looked up",
                 f"a training job may not read what devices report: cards report {JOB} shows it",
                 f'cards registry approve {JOB} --reason "why"',
                 f"student-efficientnet-lite0-stage2, made by {JOB}"):  # fmt: skip
        assert each in text, each


def test_page_compares_with_the_archives_of_the_live_version(
    cards: CardDataset, tmp_path: Path
) -> None:
    first = Made(cards, tmp_path / "first")
    channel = tmp_path / "live"
    channel.mkdir()
    files = {EVIDENCE: (first.output / EVIDENCE).read_bytes()}
    files["registration.json"] = json.dumps(first.request).encode()
    _pack(channel / "output.tar.gz", files)
    evaluation = json.dumps(first.result.to_dict()).encode()
    _pack(channel / "model.tar.gz", {"evaluation.json": evaluation})
    digest = hashlib.sha256((channel / "output.tar.gz").read_bytes()).hexdigest()
    facts = PageFacts(live=LIVE, live_output=digest)
    channels = {"live": channel}
    page = Made(cards, tmp_path / "second", page_facts=facts, channels=channels).page
    text = " ".join(Read(page).text.split())
    assert f"It cannot be told apart from the live version, {LIVE}" in text
    assert "0 views are named right only by this version, 0 only by the live one" in text
    other = replace(facts, live_output="0" * 64)
    page = Made(cards, tmp_path / "third", page_facts=other, channels=channels).page
    text = " ".join(Read(page).text.split())
    assert f"How it compares with the live version, {LIVE}, is not known" in text
    assert "output.tar.gz is not the one that was registered" in text


def _pack(path: Path, files: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
