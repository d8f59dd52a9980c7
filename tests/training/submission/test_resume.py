"""Going on with a job that was stopped, against the service's own model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.session import get_session
from botocore.stub import Stubber
from botocore.validate import ParamValidator

from tests.training.submission.test_submit import PLANS
from training.submission import submit
from training.submission.resume import request, resume
from training.submission.training_plan import SubmitError

OLD = "student-stage1-demo-20260102-030405-6789"
USER = "AROAROLE:second"
NOW = datetime(2026, 1, 3, 4, 5, 6)
ARN = f"arn:aws:sagemaker:us-east-2:111122223333:training-job/{OLD}"


def described(status: str = "Stopped", **changes: Any) -> dict[str, Any]:
    """What DescribeTrainingJob answers about a job that our own request made."""
    sent = submit.request(PLANS["stage 2"]())
    sent.pop("Tags")
    return {
        **sent,
        "TrainingJobName": OLD,
        "TrainingJobArn": ARN,
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "CreationTime": datetime(2026, 1, 2, tzinfo=UTC),
        "ModelArtifacts": {"S3ModelArtifacts": ""},
        **changes,
    }


def test_resumed_job_continues_from_its_checkpoints() -> None:
    job = described()
    made = request(job, "new-name")
    shape = (
        get_session()
        .get_service_model("sagemaker")
        .operation_model("CreateTrainingJob")
        .input_shape
    )
    report = ParamValidator().validate(made, shape)
    assert not report.has_errors(), report.generate_report()
    for key in ("CheckpointConfig", "InputDataConfig", "RoleArn", "OutputDataConfig"):
        assert made[key] == job[key]
    ours, theirs = made["HyperParameters"], job["HyperParameters"]
    assert ours["sagemaker_submit_directory"] == theirs["sagemaker_submit_directory"]
    assert json.loads(ours["sagemaker_job_name"]) == "new-name"
    differing = {key for key in theirs if ours[key] != theirs[key]}
    assert differing == {"sagemaker_job_name"}


def test_resume_uses_a_new_name_and_keeps_the_tags() -> None:
    client = boto3.client("sagemaker", "us-east-2", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    tags = [{"Key": "Recipe", "Value": "demo"}, {"Key": "SubmittedBy", "Value": "AIDAFIRST"}]
    job = described()
    with Stubber(client) as stub:
        stub.add_response("describe_training_job", job, {"TrainingJobName": OLD})
        # A tag of AWS's own is refused when it is given; SageMaker lists it all the same.
        theirs = [{"Key": "aws:cloudformation:stack-name", "Value": "x"}]
        stub.add_response("list_tags", {"Tags": theirs, "NextToken": "more"}, {"ResourceArn": ARN})
        stub.add_response("list_tags", {"Tags": tags}, {"ResourceArn": ARN, "NextToken": "more"})
        sent: list[dict[str, Any]] = []
        client.meta.events.register(
            "before-parameter-build.sagemaker.CreateTrainingJob",
            lambda params, **_: sent.append(params),
        )
        stub.add_response("create_training_job", {"TrainingJobArn": ARN})
        name = resume(client, OLD, USER, NOW)
        stub.assert_no_pending_responses()
    assert sent[0]["TrainingJobName"] == name
    assert sent[0]["Tags"] == [
        {"Key": "Recipe", "Value": "demo"},
        {"Key": "SubmittedBy", "Value": USER},
        {"Key": "FirstSubmittedBy", "Value": "AIDAFIRST"},
    ]
    assert sent[0]["Environment"] == {
        **job["Environment"],
        "CARDS_PAGE_SUBMITTED_BY": f"AIDAFIRST {USER}",
    }
    # One stamp, not a longer name with every resumption.
    assert name.startswith("student-stage1-demo-20260103-040506-") and len(name) == len(OLD)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"status": "Completed"}, "has ended well; there is nothing to resume"),
        ({"status": "InProgress"}, "is InProgress"),
        ({"status": "Stopping"}, "is Stopping; try again when it has stopped"),
        ({"CheckpointConfig": {}}, "kept no"),
    ],
)
def test_resume_of_a_job_that_cannot_continue_raises(job: dict[str, Any], words: str) -> None:
    given = described(**job)

    class Client:
        def describe_training_job(self, **_: str) -> dict[str, Any]:
            return given

    with pytest.raises(SubmitError, match=words):
        resume(Client(), OLD, USER, NOW)


def test_a_job_that_is_not_there() -> None:
    client = boto3.client("sagemaker", "us-east-2", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    with Stubber(client) as stub:
        stub.add_client_error(
            "describe_training_job", "ValidationException", "Requested resource not found."
        )
        with pytest.raises(SubmitError, match="there is none of that name"):
            resume(client, OLD, USER, NOW)
