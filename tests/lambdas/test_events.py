"""Whatever arrives is read with distrust: an event is believed to name something, and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.events import EventError, detail, log, version_ref
from registry.automation.observation import VersionRef
from tests.registry.memory_aws import ACCOUNT, REGION, MemoryAws

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/models/1"
GROUP = "models"
NAME = "student-efficientnet-lite0-stage2-v1"
JOB = f"compile-{NAME}-5d41402a-1"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


def sagemaker_with(job: dict[str, Any] | None = None) -> Any:
    aws = MemoryAws()
    if job:
        aws.jobs[JOB] = job
    return aws.client("sagemaker")


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        "text",
        {},
        {"TrainingJobName": None},
        {"TrainingJobName": ""},
        {"TrainingJobName": ["a"]},
        {"TrainingJobName": "a" * 257},
        {"TrainingJobName": "a" * 10_000_000},
    ],
    ids=lambda each: str(each)[:30],
)
def test_event_that_names_nothing_is_refused_in_one_short_line(found: object) -> None:
    with pytest.raises(EventError) as refused:
        detail(
            {"detail-type": "SageMaker Training Job State Change", "detail": found},
            "TrainingJobName",
        )
    said = str(refused.value)
    assert "detail.TrainingJobName" in said and len(said) < 200 and "\n" not in said


def test_oversized_event_is_read_for_its_name_alone() -> None:
    ballast = {f"key{n}": "x" * 1000 for n in range(1000)}
    event = {"detail": {**ballast, "ModelPackageArn": ARN, "ModelApprovalStatus": "Approved"}}
    assert version_ref(event, sagemaker_with(), GROUP) == VersionRef(ARN, None)


@given(event=st.dictionaries(st.sampled_from(["detail", "source", "detail-type"]), values))
def test_any_event_names_something_or_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        version_ref(event, sagemaker_with(), GROUP)


@given(name=values)
def test_name_in_an_event_of_an_own_function_is_used_if_valid(name: object) -> None:
    found = version_ref(
        {"detail": {"ModelPackageArn": ARN, "ModelName": name}}, sagemaker_with(), GROUP
    )
    assert found is not None and found.arn == ARN
    assert found.name is None or str(found.name) in str(name)


def test_job_leads_to_the_version_that_it_says_it_compiles() -> None:
    event = {"detail": {"ProcessingJobName": JOB}}
    ours = sagemaker_with({"Environment": {"CARDS_SOURCE_PACKAGE_ARN": ARN}})
    found = version_ref(event, ours, GROUP)
    assert found is not None and (found.arn, str(found.name)) == (ARN, NAME)
    assert version_ref(event, sagemaker_with({"Environment": {}}), GROUP) is None, (
        "somebody else's job"
    )
    assert version_ref(event, sagemaker_with(), GROUP) is None, "a job that is gone"
    assert version_ref(event, ours, "models-prod") is None, "another environment's job"


def test_log_line_is_json_whatever_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3f;Parent=53995c3f;Sampled=1")
    log('a "line"\nand another', package="x", result=None)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "level": "INFO",
        "message": 'a "line"\nand another',
        "package": "x",
        "trace": "1-5759e988-bd862e3f",
    }
