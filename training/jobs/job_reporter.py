"""What a job reports from its start to its end: log lines, progress and the tracked run."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from recognition.atomic_files import write_atomically
from registry.registration.register import COMMIT
from registry.versions.report_page import PAGE_FILE
from reports.evidence import EVIDENCE, EVIDENCE_LIMIT
from reports.rendering import PageTooLargeError
from training.artifacts.model_archive import architecture_text
from training.artifacts.report_page import report_page
from training.config import TrainingConfig
from training.data.batches import CardDataset
from training.distributed.ranks import SINGLE_PROCESS, Ranks
from training.environment import JobEnvironment
from training.errors import StopRequested
from training.loop.training_loop import History
from training.reporting.evaluation import TrainingResult
from training.reporting.evidence import collect_evidence
from training.reporting.plots import similarities, training_curves
from training.reporting.progress import ConsoleObserver
from training.reporting.tracking import Tracker

if TYPE_CHECKING:
    from export.graphs.onnx_export import OnnxReport

#: Our metric -> the guide's name for it.
_GUIDE_NAMES = {"top1": "top1_acc", "top5": "top5_acc", "similarity": "cosine_similarity"}
#: Problems of a card set that are shown one by one.
_SHOWN_PROBLEMS = 10


class JobReporter:
    """Opens tracking and progress, and closes both however the job ends.

    Of several processes only the first one tracks and logs.
    """

    def __init__(
        self, config: TrainingConfig, environment: JobEnvironment, ranks: Ranks = SINGLE_PROCESS
    ) -> None:
        self._config = config
        self._label = f"{config.model_type} {config.stage}"
        self._started = time.monotonic()
        if not ranks.first:
            self.tracker = Tracker()
            self.observer = ConsoleObserver(self._label, self.tracker, io.StringIO())
            return
        self.tracker = Tracker.start(
            environment.job_name or f"{config.model_type}-{config.stage}-{config.recipe}",
            parameters=config.to_dict(),
            tags={
                "model_type": config.model_type,
                "architecture": config.architecture,
                "stage": config.stage,
                "training_job": environment.job_name,
                "parent": config.parent_model_package_arn,
                "recipe": config.recipe,
                "commit": os.environ.get(COMMIT, ""),
            },
        )
        self.tracker.document(config.to_dict(), "config.json")
        self.observer = ConsoleObserver(self._label, self.tracker)

    def __enter__(self) -> JobReporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.observer.close()
        if kind is not None:
            stopped = issubclass(kind, StopRequested | KeyboardInterrupt)
            self.tracker.finish("KILLED" if stopped else "FAILED")

    def describe(self, cards: CardDataset, total: int) -> None:
        """Says what is about to be trained on."""
        config, split = self._config, cards.split
        for problem in cards.card_set.problems[:_SHOWN_PROBLEMS]:
            self.observer.line(f"card set: {problem}")
        left = len(cards.card_set.problems) - _SHOWN_PROBLEMS
        if left > 0:
            self.observer.line(f"card set: and {left} more such remarks")
        self.observer.line(
            f"{len(cards.card_set.cards)} cards ({cards.card_set.images} scans): "
            f"{len(split.known)} known, {len(split.unseen_validation)} + "
            f"{len(split.unseen_test)} never trained on; {total} steps of {config.batch_size} "
            f"cards at {config.image_size} px; {architecture_text(config)}"
        )

    def trained(self, history: History) -> None:
        """Says how the loop went."""
        self.tracker.figure(training_curves(self.observer.history), "plots/training.png")
        shares = ", ".join(f"{name} {share:.0%}" for name, share in history.shares.items())
        self.observer.line(
            f"trained on {history.images} images in {history.seconds:.1f} s "
            f"({history.images / history.seconds:.0f} images/s); gradient by term: {shares}"
        )

    def measured(self, result: TrainingResult) -> None:
        """Says and tracks what the model is worth."""
        metrics = result.metrics()
        # Under the names, too, by which the guide asks for them.
        named = {guide: metrics[name] for name, guide in _GUIDE_NAMES.items() if name in metrics}
        self.tracker.metrics({**metrics, **named}, 0)
        self.tracker.figure(similarities(result), "plots/similarities.png")
        self.tracker.document(result.to_dict(), "evaluation.json")
        test = result.test
        low, high = test.top1_interval
        text = (
            f"top1={test.top1:.4f} [{low:.3f}, {high:.3f}] top5={test.top5:.4f} on "
            f"{test.queries} unseen views of {test.cards} known cards; "
            f"mean_average_precision={test.mean_average_precision:.4f} auroc={test.auroc:.4f}"
        )
        if test.top1_unseen is not None and test.top1_unseen_interval is not None:
            low, high = test.top1_unseen_interval
            text += (
                f"; top1_unseen={test.top1_unseen:.4f} [{low:.3f}, {high:.3f}] on "
                f"{test.unseen_test} views of cards never trained on"
            )
        text += (
            f"; accepted_right={test.accepted_right:.4f} at false_accept_rate="
            f"{test.false_accept_rate:.4f} on {test.unseen_cards} unknown cards (threshold by "
            f"{test.threshold_cards} others, which show at most {test.false_accept_bound:.4f})"
        )
        if test.three_frames is not None:
            frames = test.three_frames
            text += (
                f"; {frames.frames} frames: top1={frames.top1:.4f} accepted_right="
                f"{frames.accepted_right:.4f} false_accept_rate={frames.false_accept_rate:.4f}"
            )
        if result.similarity is not None:
            text += f"; similarity={result.similarity:.4f} to the teacher"
        self.observer.line(text)
        for warning in test.warnings:
            self.observer.line(f"warning: {warning}")
        validation = result.validation
        self.observer.line(
            f"validation_top1={validation.top1:.4f} "
            f"validation_top1_unseen={validation.top1_unseen:.4f}"
        )

    def exported(self, report: OnnxReport) -> None:
        """Says what the Hailo parser is expected to refuse, and what to do about it.

        The registry only knows that there is something, which makes the version ineligible.
        """
        for finding in report.findings:
            self.observer.line(f"cannot be compiled for Hailo: {finding}")
        self.tracker.document({"findings": [asdict(each) for each in report.findings]}, "lint.json")

    def keep_evidence(
        self,
        environment: JobEnvironment,
        cards: CardDataset,
        result: TrainingResult,
        request: Mapping[str, Any],
        report: OnnxReport | None = None,
        parent: TrainingConfig | None = None,
    ) -> None:
        """Writes ``evidence.json`` and the approver's page beside the request.

        A card set for which one would be too long gets none: both are for people, and a model is
        not lost for them.

        Args:
            environment: The job's folders.
            cards: What it was trained on.
            result: What was measured.
            request: To register the model.
            report: Of a student's export.
            parent: Configuration of the model that this one is made from.
        """
        started = time.monotonic()
        history = self.observer.history
        evidence = collect_evidence(cards, result, history, environment.model_dir, report)
        text = evidence.to_json()
        size = len(text.encode("utf-8"))
        if size > EVIDENCE_LIMIT:
            self.observer.line(f"{EVIDENCE}: left out: {size} bytes, more than {EVIDENCE_LIMIT}")
        else:
            write_atomically(environment.output_data_dir / EVIDENCE, text)
        try:
            page = report_page(cards.config, environment, request, result, evidence, parent)
        except PageTooLargeError as error:
            self.observer.line(f"{PAGE_FILE}: left out: {error}")
            return
        file = environment.output_data_dir / PAGE_FILE
        write_atomically(file, page)
        self.tracker.file(file)
        seconds = time.monotonic() - started
        self.observer.line(f"{PAGE_FILE}: the page to read before a decision ({seconds:.1f} s)")

    def finished(self, request: dict[str, Any], model: Path) -> None:
        """Ends the tracked run.

        Args:
            request: The request to register the model.
            model: The folder that becomes ``model.tar.gz``.
        """
        self.tracker.document(request, "registration.json")
        self.tracker.model(model)
        self.tracker.finish()
        self.observer.line(f"done in {time.monotonic() - self._started:.1f} s")
