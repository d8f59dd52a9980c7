"""``cards registry`` list, latest, versions, search, show and compare, against a local cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli import paged_table
from cli.aws import AwsSession
from cli.registry.compare_plot import page
from registry.names import parameter_name
from registry.versions.comparison import ComparedVersion, compare
from tests.cli.command import cards, refused
from tests.running_cloud import Account, Client, publish_parameters

GROUP = "pokemon-card-recognition-models"
EMPTY = "empty"
STUDENTS = 60
ONE, TWO = "student-efficientnet-lite0-stage2-v1", "student-efficientnet-lite0-stage2-v2"
FAILED = f"student-efficientnet-lite0-stage2-v{STUDENTS + 1}"
TEACHER = "teacher-dinov3-vitl16-phase2-v1"
KEYS = [
    *("version", "name", "type", "stage", "approval", "failure", "created", "arn"),
    *("description", "metrics"),
]


@pytest.fixture(scope="module")
def client(account: Account) -> Iterator[Client]:
    """A teacher, sixty students of which the first is approved, and a failed run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.variables.items():
            patch.setenv(name, value)
        # One session: reading SageMaker's model anew for each command takes longer than the rest.
        session = boto3.Session(region_name=account.variables["AWS_REGION"])
        patch.setattr(AwsSession, "session", session)
        ours = account.client
        for environment, group in (("dev", GROUP), ("empty", EMPTY)):
            ours("sagemaker").create_model_package_group(ModelPackageGroupName=group)
            publish_parameters(ours, environment, group_name=group)
        register(ours, TEACHER, "Approved", Top1="0.95", Queries="500")
        for version in range(1, STUDENTS + 1):
            register(
                ours,
                f"student-efficientnet-lite0-stage2-v{version}",
                "Approved" if version == 1 else "PendingManualApproval",
                Top1=f"{0.9 + version / 1000:.3f}",
                Queries="500",
                Recipe="tiny" if version % 2 else "full",
                ParentModel=TEACHER,
                CardSetDigest="c" * 64,
            )
        register(ours, FAILED, "Rejected", told="failed: out of memory", FailureReason="no memory")
        yield ours


def register(client: Client, name: str, approval: str, told: str = "words", **metadata: str) -> str:
    kind = " ".join(reversed([name.split("-")[0], name.split("-")[-2]]))
    return str(
        client("sagemaker").create_model_package(
            ModelPackageGroupName=GROUP,
            ModelPackageDescription=f"{name}: {kind}, {told}",
            ModelApprovalStatus=approval,
            CustomerMetadataProperties={"ModelName": name, **metadata},
        )["ModelPackageArn"]
    )


@pytest.fixture
def mlflow_uri(client: Client) -> Iterator[Any]:
    """Sets what the deployment says of its MLflow, for a test."""

    def put(value: str) -> None:
        client("ssm").put_parameter(
            Name=parameter_name("dev", "mlflow-uri"), Value=value, Type="String", Overwrite=True
        )

    yield put
    put("none")


# --- list


def test_list_ends_after_a_page_with_the_command_for_the_next(client: Client) -> None:
    done = cards("registry", "list")
    assert done.code == 0, done.err
    heading, *lines = done.out.splitlines()
    assert heading.split() == ["#", "NAME", "STATUS", "CREATED", "(UTC)", "SUMMARY"]
    assert len(lines) == 50
    assert re.fullmatch(rf" *62  {FAILED} +failed +\S+ \S+  .*out of memory", lines[0])
    assert lines[1].split()[:3] == ["61", f"student-efficientnet-lite0-stage2-v{STUDENTS}",
                                    "pending"]  # fmt: skip
    assert "--all" in done.err and "newest 50" in done.err


def test_all_of_it_is_listed_when_asked(client: Client) -> None:
    done = cards("registry", "list", "--all")
    assert len(done.out.splitlines()) == 1 + STUDENTS + 2
    assert done.err == ""


def test_list_for_machines_is_one_array_with_the_same_keys_always(client: Client) -> None:
    listed = cards("registry", "list", "--all", "--json").json
    assert [row["version"] for row in listed] == list(range(STUDENTS + 2, 0, -1))
    assert all(list(row) == KEYS for row in listed)
    assert listed[0]["failure"] == "out of memory"
    assert cards(
        "registry", "list", "--status", "approved", "--type", "student", "--json"
    ).json == [listed[-2]]
    assert cards("registry", "latest", "--json").json == listed[-2]


def test_bound_on_a_metric_has_a_column(client: Client) -> None:
    done = cards("registry", "list", "--metric", "Top1>=0.959", "--stage", "stage2")
    assert re.findall(r"TOP1|0\.9\d\d(?=  stage2)", done.out) == ["TOP1", "0.960", "0.959"]
    listed = cards("registry", "list", "--metric", "top1>=0.959", "--stage", "stage2", "--json")
    assert [row["metrics"] for row in listed.json] == [{"Top1": "0.960"}, {"Top1": "0.959"}]


def test_limits_count_what_is_shown_and_not_what_is_read(client: Client) -> None:
    done = cards("registry", "list", "--type", "teacher", "--limit", "1")
    assert TEACHER in done.out and "--all" not in done.err
    assert len(cards("registry", "list", "--limit", "3", "--json").json) == 3


def test_empty_result_is_reported(client: Client) -> None:
    assert "no such version (62 read)" in cards("registry", "list", "--stage", "int8").out
    assert "nothing yet" in cards("registry", "list", "-e", "empty").out
    assert "nothing yet" in cards("registry", "versions", "-e", "empty").out
    assert cards("registry", "list", "-e", "empty", "--json").json == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--status", "perhaps"], ["--status", "perhaps", "Approved"]),
        (["--type", "robot"], ["--type", "robot", "teacher, student"]),
        (["--stage", "stage9"], ["--stage", "stage9", "int8"]),
        (["--type", "teacher", "--stage", "int8"], ["--stage", "of a teacher", "phase2"]),
        (["--since", "yesterday"], ["--since", "yesterday", "7d"]),
        (["--metric", "good"], ["--metric", "good", "Top1>=0.8"]),
    ],
)
def test_wrong_option_is_one_line_that_names_it(options: list[str], words: list[str]) -> None:
    refused(cards("registry", "list", *options), *words)


def test_on_a_terminal_a_progress_line_goes_with_the_pages(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Task:
        def update(self, detail: str) -> None:
            told.append(detail)

        def log(self, line: str) -> None:
            print(line)

    class Block:
        def __enter__(self) -> Task:
            return Task()

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(paged_table, "is_terminal", lambda: True)
    monkeypatch.setattr(paged_table, "activity", lambda _: Block())
    done = cards("registry", "list", "--limit", "25")
    assert told == ["page 1: 25 versions read, 25 shown"]
    assert all(len(line) <= 80 for line in done.out.splitlines())


def test_slow_list_in_a_pipe_reports_on_stderr(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paged_table, "_INTERVAL_SECONDS", 0.0)
    done = cards("registry", "versions", "--json")
    assert "versions read" in done.err
    assert isinstance(done.json, list)


# --- latest, versions, search


def test_latest_is_the_newest_approved_student_by_rule(client: Client) -> None:
    done = cards("registry", "latest")
    assert done.code == 0 and done.out.splitlines()[0] == ONE
    assert cards("registry", "latest", "--type", "teacher").out.startswith(TEACHER)
    refused(cards("registry", "latest", "--stage", "onnx"), "no approved onnx student")
    refused(cards("registry", "latest", "-e", "empty"), EMPTY, "stage2 student")


def test_versions_are_counted_by_line_and_listed_of_one(client: Client) -> None:
    done = cards("registry", "versions")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[1][:3] == ["student-efficientnet-lite0-stage2", str(STUDENTS + 1), "1"]
    assert lines[2][:3] == ["teacher-dinov3-vitl16-phase2", "1", "0"]
    student, teacher = cards("registry", "versions", "--json").json
    assert (student["newest"], student["newest_approved"]) == (FAILED, ONE)
    of_one = cards("registry", "versions", "teacher-dinov3-vitl16-phase2", "--json").json
    assert [row["name"] for row in of_one] == [teacher["newest"]] == [TEACHER]
    assert cards("registry", "versions", TEACHER, "--json").json == of_one
    refused(cards("registry", "versions", "student"), "student-efficientnet-lite0-stage2-v1")


def test_search_reads_descriptions_and_metadata(client: Client) -> None:
    names = [row["name"] for row in cards("registry", "search", "OUT of memory", "--json").json]
    assert names == [FAILED]
    tiny = cards("registry", "search", "--where", "Recipe=tiny", "--all", "--json").json
    assert len(tiny) == STUDENTS // 2
    best = cards("registry", "search", "--where", "Recipe=full", "--metric", "Top1>0.959", "--json")
    assert [row["name"] for row in best.json] == [f"student-efficientnet-lite0-stage2-v{STUDENTS}"]
    refused(cards("registry", "search"), "nothing to search for")
    refused(cards("registry", "search", "--where", "Recipe"), "--where", "KEY=VALUE")


# --- show


def test_show_prints_metrics_with_intervals_and_the_decision(client: Client) -> None:
    sagemaker = client("sagemaker")
    name = "student-shown-stage2-v1"
    arn = register(
        client,
        name,
        "PendingManualApproval",
        Top1="0.9",
        Queries="1000",
        Validation="failed",
        ValidationFaults="Top1 is not above chance",
    )
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Rejected",
        ApprovalDescription="Rejected by arn:x on 2026-01-01: worse than v1",
    )
    done = cards("registry", "show", name)
    assert done.code == 0, done.err
    lines = {line.split("  ")[0]: line for line in done.out.splitlines()}
    assert "worse than v1" in lines["Decision"]
    assert "rejected" in lines["Status"]
    assert "failed: Top1 is not above chance" in lines["Validation"]
    assert re.search(r"0\.9  0\.880 – 0\.917", lines["Top1"])
    shown = cards("registry", "show", arn, "--json").json
    assert shown["metrics"]["Top1"]["interval"] == pytest.approx([0.8798, 0.9171], abs=1e-4)
    assert shown["metadata"]["Queries"] == "1000"
    sagemaker.delete_model_package(ModelPackageName=arn)


def test_show_marks_a_failed_run(client: Client) -> None:
    done = cards("registry", "show", FAILED)
    assert done.code == 0
    assert re.search(r"^Failed run +no memory$", done.out, re.MULTILINE)


# --- compare


def test_comparison_marks_what_differs_and_what_is_noise(client: Client) -> None:
    done = cards("registry", "compare", ONE, TWO, TEACHER)
    assert done.code == 0, done.err
    lines = {line[3:].split("  ")[0]: line for line in done.out.splitlines()}
    assert lines["Top1"].startswith("≠")
    first, second, third = re.findall(r"0\.\d+ \[[^]]+\](?: [*≈])?", lines["Top1"])
    assert first.endswith("]") and second.endswith("]") and third.endswith("*")
    assert not lines["Queries"].startswith("≠")
    assert "tiny" in lines["Recipe"] and "full" in lines["Recipe"] and "–" in lines["Recipe"]
    near = cards("registry", "compare", ONE, TWO, "--json").json
    (top1,) = [row for row in near["sections"]["Metrics"] if row["key"] == "Top1"]
    assert (top1["best"], top1["tied"], top1["differs"]) == (1, [0], True)


def test_only_differences_are_shown_when_asked(client: Client) -> None:
    done = cards("registry", "compare", ONE, TWO, "--differences")
    assert "Top1" in done.out and "Queries" not in done.out
    assert "more are the same" in done.out


def test_comparison_goes_into_a_picture_or_a_page(client: Client, tmp_path: Path) -> None:
    picture, file = tmp_path / "c.png", tmp_path / "c.html"
    assert cards("registry", "compare", ONE, TWO, "--plot", str(picture)).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = cards("registry", "compare", ONE, TWO, "--plot", str(file), "--json")
    assert done.json["versions"][0]["name"] == ONE
    text = file.read_text()
    assert "data:image/png;base64," in text and ONE in text
    assert "<script" not in text and not re.search(r'(src|href)="(?!data:)', text)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["c.html", "c.png"]
    refused(cards("registry", "compare", ONE, TWO, "--plot", "c.gif"), "--plot", ".png", ".html")


def test_foreign_text_is_escaped_on_the_page() -> None:
    hostile = "<script>x</script>"
    compared = compare(
        [ComparedVersion(hostile, {"Note": hostile, hostile: "1"}), ComparedVersion("b", {})]
    )
    text = page(b"picture", compared)
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") >= 5


def test_wrong_comparisons_are_one_line(client: Client) -> None:
    refused(cards("registry", "compare", ONE), "at least two")
    refused(cards("registry", "compare", ONE, ONE), "the same version twice")
    refused(cards("registry", "compare", ONE, "student-x-stage2-v99"), "student-x-stage2-v99")


def test_runs_of_mlflow_are_joined_with_their_curves(
    client: Client, mlflow_uri: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracking = mlflow.MlflowClient(uri)
    experiment = tracking.create_experiment("cards", artifact_location=str(tmp_path / "a"))
    arns = []
    for number in (1, 2):
        run_id = tracking.create_run(experiment).info.run_id
        for step in range(5):
            tracking.log_metric(run_id, "loss", 1.0 / (step + number), step=step)
        tracking.log_metric(run_id, "system/cpu", 12.0)
        tracking.set_terminated(run_id)
        name = f"student-tracked-stage2-v{number}"
        arns.append(register(client, name, "Rejected", MlflowRunId=run_id, Top1="0.5"))
    mlflow_uri(uri)
    done = cards("registry", "compare", *arns, "--json", "--plot", str(tmp_path / "c.png"))
    assert done.code == 0, done.err
    found = {row["key"]: row["values"] for row in done.json["sections"]["MLflow"]}
    assert found["loss"] == ["0.2", "0.166667"]
    assert found["status"] == ["FINISHED", "FINISHED"]
    assert "system/cpu" not in found
    assert done.json["notes"] == []
    for arn in arns:
        client("sagemaker").delete_model_package(ModelPackageName=arn)


def test_comparison_without_mlflow_succeeds_with_a_note(client: Client, mlflow_uri: Any) -> None:
    arn = register(client, "student-untracked-stage2-v1", "Rejected", MlflowRunId="0" * 32)
    none = cards("registry", "compare", ONE, arn)
    assert none.code == 0 and "MLflow: this deployment has none" in none.err
    mlflow_uri("http://127.0.0.1:9")
    away = cards("registry", "compare", ONE, arn)
    assert away.code == 0 and away.out == none.out
    assert "MLflow: run 000" in away.err and "is left out" in away.err
    assert len(away.err.strip().splitlines()) == 1
    client("sagemaker").delete_model_package(ModelPackageName=arn)


def test_show_reports_a_deleted_training_job(client: Client) -> None:
    arn = register(client, "student-old-stage2-v1", "Rejected", TrainingJob="long-gone")
    done = cards("registry", "compare", ONE, arn)
    assert done.code == 0 and "training job long-gone is gone" in done.err
    client("sagemaker").delete_model_package(ModelPackageName=arn)
