"""What a run says, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from export.graphs.lint import LintFinding
from export.graphs.onnx_export import OnnxReport
from training.config import TrainingConfig
from training.environment import JobEnvironment
from training.jobs.job_reporter import JobReporter


def report(*findings: LintFinding) -> OnnxReport:
    return OnnxReport(17, {"Conv": 3}, 1000, 1.0, 1.0, 0.0, findings)


def test_model_that_cannot_be_compiled_is_reported_with_its_remedy_after_training(
    tiny: Callable[..., TrainingConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Otherwise a person learns only that the version is not eligible."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    environment = JobEnvironment.read({"SM_MODEL_DIR": str(tmp_path / "model")})
    documents = {}
    with JobReporter(tiny("stage2"), environment) as reporter:
        monkeypatch.setattr(
            reporter.tracker, "document", lambda content, name: documents.update({name: content})
        )
        reporter.exported(report())
        assert "Hailo" not in capsys.readouterr().out
        assert documents["lint.json"] == {"findings": []}
        reporter.exported(report(LintFinding("act", "operation Erf", "train with ReLU")))
    said = capsys.readouterr().out
    assert "cannot be compiled for Hailo: act: operation Erf; train with ReLU" in said
    assert documents["lint.json"]["findings"] == [
        {"where": "act", "cause": "operation Erf", "remedy": "train with ReLU"}
    ]
