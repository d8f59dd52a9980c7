"""``cards demo`` up to its first slow step: what cannot work is refused before; and its report."""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli import external_commands
from cli.demo.command import Demo, _run, _short_log_line, _show_cdk
from cli.demo.summary import SUMMARY_FILE, next_commands, write_summary
from localcloud.ports import free_port
from tests.cli.command import cards, refused


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    return ["--out", str(tmp_path / "out"), "--state-dir", str(tmp_path / "state")]


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo that goes on past its checks fails the test at once instead of after minutes."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("the demo has started")

    monkeypatch.setattr("localcloud.LocalCloud.start", start)


@pytest.mark.parametrize("what", ["missing", "empty", "no images", "too few"])
def test_unusable_cards_are_refused(
    what: str, tmp_path: Path, places: list[str], card_folder: Path
) -> None:
    folder = tmp_path / "cards"
    if what in ("empty", "no images"):
        folder.mkdir()
    if what == "no images":
        (folder / "card").mkdir()
        (folder / "card" / "front.png").write_bytes(b"not a picture")
    if what == "too few":
        shutil.copytree(card_folder, folder)
        for path in sorted(folder.iterdir())[5:]:
            shutil.rmtree(path)
    words = ["cannot be split"] if what == "too few" else [str(folder)]
    refused(cards("demo", "--cards", str(folder), *places), *words)
    assert {path.name for path in tmp_path.iterdir()} <= {"cards"}


def test_unknown_recipe_is_refused(tmp_path: Path, places: list[str]) -> None:
    refused(cards("demo", "--recipe", "demmo", *places), "--recipe demmo", "tiny")
    assert list(tmp_path.iterdir()) == []


def test_port_in_use_is_refused(tmp_path: Path, places: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(cards("demo", "--port", port, *places), port)
    assert list(tmp_path.iterdir()) == []


def test_second_demo_of_the_same_folder_is_refused(tmp_path: Path, places: list[str]) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cards("demo", *places, "--port", str(free_port()))
    refused(done, str(tmp_path / "out"), "another demo")
    assert not (tmp_path / "state").exists()


def test_unsuited_python_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, places: list[str]
) -> None:
    monkeypatch.setattr("cli.demo.command.SUPPORTED_PYTHON", ((4, 0), (4, 1)))
    refused(cards("demo", *places), f"Python {sys.version_info[0]}.", "4.0 to 4.1")
    assert list(tmp_path.iterdir()) == []


def test_missing_cdk_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, places: list[str]
) -> None:
    monkeypatch.setattr(external_commands, "cdk_command", lambda: tmp_path / "cdk")
    refused(cards("demo", *places), "cdk", "make setup")


@pytest.mark.processes
def test_failing_command_gives_its_cause_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "cdk.log"
    script = "print('all is well'); print('❌ deployment failed: no bucket'); raise SystemExit(3)"
    seen: list[str] = []
    with pytest.raises(external_commands.CliError) as caught:
        external_commands.run(
            [sys.executable, "-c", script],
            log=log,
            variables={"PYTHONIOENCODING": "utf-8"},
            progress=seen.append,
        )
    assert "no bucket" in str(caught.value)
    assert "(3)" in str(caught.value)
    assert str(log) in str(caught.value)
    assert "all is well" in log.read_text(encoding="utf-8")
    assert seen[0] == "all is well"


def test_commands_run_with_this_python_and_node_first_and_no_other_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    variables = external_commands.environment({"AWS_REGION": "us-east-2"})
    first, second = variables["PATH"].split(":")[:2]
    assert first == str(Path(sys.executable).parent)
    assert (Path(second) / "node").is_file()
    assert "AWS_PROFILE" not in variables
    assert variables["AWS_REGION"] == "us-east-2"


def test_log_line_is_shown_without_what_the_title_says() -> None:
    line = "student stage1: step=57 loss=2.149 images_per_second=49.8 share_kl=0.3"
    assert _short_log_line(line) == "step=57 loss=2.149 images_per_second=49.8"
    assert _short_log_line("tracking: run 1 of x") == "tracking: run 1 of x"


def test_cdk_output_is_reduced_to_its_progress() -> None:
    seen: list[str] = []

    class Task:
        update = staticmethod(seen.append)

    for line in (
        "/tmp/x/lib/program.js:1:5591",
        "✨ Synthesis time: 6.1s",
        "cards-dev-registry: deploying... [1/3]",
        "cards-dev-registry | 3/36 | 1:02:03 PM | CREATE_COMPLETE | AWS::S3::Bucket | Releases",
    ):
        _show_cdk(Task(), line)  # type: ignore[arg-type]
    assert seen == [
        "Synthesis time: 6.1s",
        "cards-dev-registry: deploying... [1/3]",
        "cards-dev-registry 3/36 AWS::S3::Bucket CREATE_COMPLETE",
    ]


SUMMARY: dict[str, Any] = {
    "release": "student-efficientnet-lite0-stage2-v2.onnx-int8-01234567",
    "lineage": {
        "label": "teacher-x-phase2-v1 (Approved, top-1 0.901)",
        "children": [{"label": "student-x-stage1-v1", "children": []}],
    },
    "figures": {
        "teacher": {
            "name": "teacher-x-phase2-v1",
            "top1": 0.9011,
            "top1_interval": [0.88, 0.92],
            "queries": 1000,
            "top1_unseen": 0.5,
            "accepted_right": 0.7,
            "false_accept_rate": 0.0123,
            "three_frames": {
                "top1": 0.9512,
                "top1_unseen": 0.61,
                "accepted_right": 0.81,
                "false_accept_rate": 0.0,
            },
        },
        "int8": {"name": "student-x-int8-v1"},
    },
    "recognition": {
        "known_views": 180,
        "known_nearest": 165,
        "known_right": 150,
        "known_wrong": 10,
        "known_turned_away": 20,
        "unseen_views": 45,
        "unseen_cards": 9,
        "unseen_turned_away": 44,
        "example_turned_away": {
            "card": "aurora-1",
            "nearest": "aurora-2",
            "similarity": 0.4321,
            "threshold": 0.7,
        },
    },
    "device": {
        "release": "student-x-stage2-v1.onnx-int8-00000000",
        "runtime": "ONNX Runtime 1.32.0",
        "known_views": 180,
        "known_nearest": 165,
        "known_right": 150,
        "unseen_views": 45,
        "unseen_turned_away": 43,
        "same_answers": 224,
    },
    "false_accepts": 0.01,
    "warnings": [],
    "seconds": 240.0,
    "seconds_by_step": {"cdk deploy": 18.2, "total": 240.0},
    "places": {"release": "demo-output/release"},
    "next": ["cards registry list"],
}


def test_summary_prints_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_summary(SUMMARY, tmp_path)
    assert json.loads((tmp_path / SUMMARY_FILE).read_text()) == SUMMARY
    assert [path.name for path in tmp_path.iterdir()] == [SUMMARY_FILE]
    lines = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    teacher = next(line for line in lines if line.startswith("teacher  "))
    assert teacher.split() == [
        "teacher", "0.901", "0.880", "to", "0.920", "1000", "0.500", "0.700", "0.012",
        "teacher-x-phase2-v1",
    ]  # fmt: skip
    frames = [line.split() for line in lines if line.startswith("teacher")]
    assert ["teacher", "0.951", "0.610", "0.810", "0.000"] in frames
    # What was not measured is a dash, not a nought.
    int8 = next(line for line in lines if line.startswith("student, INT8"))
    assert int8.split()[2:] == ["–", "–", "–", "–", "–", "–", "student-x-int8-v1"]
    assert "right for 165 of 180" in text
    assert "150 are named right, 10 taken for another card, 20 turned away" in text
    assert "44 of 45 views of 9 cards" in text
    assert "aurora-1" in text and "0.432" in text
    assert "4 min 00 s" in text
    assert str(tmp_path / SUMMARY_FILE) in text


@pytest.mark.parametrize(
    ("share", "text"), [(0.01, " 1 % "), (0.001, " 0.1 % "), (0.0005, " 0.05 % ")]
)
def test_summary_prints_the_false_accept_target_with_its_decimals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float, text: str
) -> None:
    write_summary({**SUMMARY, "false_accepts": share}, tmp_path)
    assert f"the threshold that lets{text}of unknown cards pass" in capsys.readouterr().out


def test_summary_prints_the_warnings_of_the_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from recognition.acceptance.threshold import choose_threshold

    warning = choose_threshold([0.1] * 400, target=0.001).warning
    write_summary({**SUMMARY, "warnings": [warning]}, tmp_path)
    assert f"warning: {warning}" in capsys.readouterr().out.splitlines()


def test_artifact_document_reads_one_member_of_the_archive(tmp_path: Path) -> None:
    import io
    import tarfile
    from datetime import UTC, datetime

    from cli.aws import AwsSession
    from cli.demo.artifact import artifact_document
    from registry.versions.packages import Package

    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, text in (("config.json", b'{"false_accepts": 0.001}'), ("other.json", b"{}")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))

    class S3:
        def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
            assert (Bucket, Key) == ("bucket", "jobs/1/output/model.tar.gz")
            return {"Body": io.BytesIO(body.getvalue())}

    aws = AwsSession()
    aws.__dict__["clients"] = {"s3": S3()}
    url, when = "s3://bucket/jobs/1/output/model.tar.gz", datetime(2026, 1, 2, tzinfo=UTC)
    package = Package("arn:1", 1, "group", None, "Approved", "", when, url, "", {})
    assert artifact_document(aws, package, "config.json") == {"false_accepts": 0.001}


def test_figures_come_from_metadata_and_those_of_three_frames_from_the_quality_report() -> None:
    """A version's metadata takes 50 pairs; its model quality report holds every metric."""
    from datetime import UTC, datetime

    from cli.demo.summary import figures
    from registry.names import parse_name
    from registry.versions.model_quality import report
    from registry.versions.packages import Package

    metrics = {
        "false_accept_rate": 0.004,
        "false_accept_rate_low": 0.001,
        "false_accept_rate_high": 0.02,
        **{f"three_frames_{name}": 0.9 for name in ("top1", "top1_unseen", "accepted_right")},
        "three_frames_false_accept_rate": 0.0,
        "three_frames_false_accept_rate_low": 0.0,
        "three_frames_false_accept_rate_high": 0.05,
    }
    written = report(parse_name("student-x-stage2-v1"), metrics)["card_retrieval_metrics"]
    metadata = {"Top1": "0.8", "Top1Low": "0.7", "Top1High": "0.9", "Queries": "100"}
    metadata["FalseAcceptRate"] = "0.004"
    when = datetime(2026, 1, 2, tzinfo=UTC)
    package = Package("arn:1", 1, "group", None, "Approved", "", when, "", "", metadata)
    assert figures(package, written) == {
        "top1": 0.8,
        "top1_interval": [0.7, 0.9],
        "queries": 100,
        "false_accept_rate": 0.004,
        "false_accept_rate_interval": [0.001, 0.02],
        "three_frames": {
            "top1": 0.9,
            "top1_unseen": 0.9,
            "accepted_right": 0.9,
            "false_accept_rate": 0.0,
            "false_accept_rate_interval": [0.0, 0.05],
        },
    }
    assert "three_frames" not in figures(package, {})


def test_interrupted_demo_names_the_local_cloud_that_is_still_running(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    run = SimpleNamespace(up=True, which=" --port 4600", all_steps=interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(cast(Demo, run))
    assert "cards local down --port 4600 stops it" in capsys.readouterr().err


def test_next_commands_name_the_local_cloud_of_the_run() -> None:
    lines = next_commands("student-x", "out/release", " --port 4700")
    assert 'eval "$(cards local env --port 4700)"' in lines
    assert "cards local down --port 4700" in lines
    assert "cards registry lineage student-x" in lines
