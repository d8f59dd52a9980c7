from __future__ import annotations

import time
from pathlib import Path

import pytest

from training.reporting.tracking import Tracker


def start() -> Tracker:
    return Tracker.start("a-run", {"seed": 1, "long": "x" * 10_000}, {"stage": "stage1"})


def test_tracker_without_server_logs_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = start()
    tracker.metrics({"loss": 1.0}, 1)
    tracker.document({"a": 1}, "config.json")
    tracker.finish()
    assert tracker.run_id is None
    assert "MLFLOW_TRACKING_URI is not set" in capsys.readouterr().out


def test_unreachable_server_gives_one_warning_within_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    began = time.monotonic()
    tracker = start()
    tracker.metrics({"loss": 1.0}, 1)
    tracker.finish()
    errors = capsys.readouterr().err.strip().splitlines()
    assert tracker.run_id is None
    assert [line for line in errors if line.startswith("warning: tracking: MLflow at http")] == [
        errors[-1]
    ]
    assert time.monotonic() - began < 60


def test_tracker_logs_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.chdir(tmp_path)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    client.create_experiment("mine", artifact_location=(tmp_path / "artifacts").as_uri())
    tracker = start()
    assert tracker.run_id is not None, capsys.readouterr().err
    tracker.metrics({"loss": 2.0, "top1": 0.5}, 7)
    tracker.document({"seed": 1}, "config.json")
    tracker.finish()
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"loss": 2.0, "top1": 0.5}
    assert run.data.params["seed"] == "1" and len(run.data.params["long"]) == 500
    assert client.get_metric_history(tracker.run_id, "loss")[0].step == 7
    assert [file.path for file in client.list_artifacts(tracker.run_id)] == ["config.json"]


def test_deleted_experiment_is_one_warning_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.chdir(tmp_path)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/runs.db")
    identity = client.create_experiment("mine")
    client.delete_experiment(identity)
    assert start().run_id is None
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "warning:" in line]
    assert "experiment mine was deleted" in warning
    assert "scripts/setup_sagemaker_project.py" in warning
    client.restore_experiment(identity)
    tracker = start()
    assert tracker.run_id is not None
    tracker.finish()


def test_server_lost_during_a_run_keeps_the_run_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    monkeypatch.chdir(tmp_path)
    tracker = start()
    assert tracker.run_id is not None, capsys.readouterr().err

    class Gone:
        def __getattr__(self, name: str) -> object:
            raise ConnectionError("gone")

    tracker._client = Gone()
    tracker.metrics({"loss": 1.0}, 1)
    tracker.metrics({"loss": 1.0}, 2)
    tracker.finish()
    assert tracker.run_id is not None
    assert capsys.readouterr().err.count("warning: tracking") == 1
