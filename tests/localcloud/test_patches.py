"""Each patch: that it mends, and that it is still needed.

When a test of `needed` fails, MiniStack has learned it: remove the patch.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import subprocess
import sys
import zipfile
from typing import Any

import pytest

from localcloud.patches import MENDS
from tests.localcloud.conftest import Client, make_role, until

HANDLER = """
import os, sys
def handler(event, context):
    if event.get("detail", {}).get("fail"):
        raise RuntimeError("on purpose")
    try:
        import yaml
        found = True
    except ImportError:
        found = False
    server = ("LOCALCLOUD", "MINISTACK", "STATE_")
    return {"yaml": found, "prefix": sys.prefix,
            "own": sorted(key for key in os.environ if key.startswith(server))}
"""


def test_the_patches_are_for_the_version_that_is_installed() -> None:
    assert importlib.metadata.version("ministack") == MENDS


def needed(code: str) -> str:
    """Runs code against MiniStack as it comes."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        "from ministack import app; print('sagemaker' in app.SERVICE_REGISTRY)",
        "from ministack.core import lambda_runtime as r; import sys;"
        " print(r._detect_runtime_binary('python3.12')[0] != sys.executable)",
        "from ministack.services.cloudformation import provisioners as p;"
        " print(any(c[0] == 'BucketEncryption' for c in p._S3_BUCKET_CONFIGURATIONS))",
        "from ministack.services.cloudformation import provisioners as p; import inspect;"
        " f = p._RESOURCE_HANDLERS['AWS::Lambda::Function']['create'];"
        " print('DeadLetterConfig' in inspect.getsource(f))",
        "from ministack.services import eventbridge as e; import inspect;"
        " print('invoke_async_with_retry' in inspect.getsource(e._dispatch_to_lambda))",
    ],
)
def test_a_patch_is_still_needed(code: str) -> None:
    assert needed(code) == "False", "MiniStack can do this now: remove the patch"


@pytest.fixture(scope="module")
def function(client: Client) -> dict[str, Any]:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("own.py", HANDLER)
    role = make_role(
        client,
        "function-role",
        "lambda.amazonaws.com",
        [{"Effect": "Allow", "Action": ["logs:*", "sqs:SendMessage"], "Resource": "*"}],
    )
    made = client("lambda").create_function(
        FunctionName="own",
        Runtime="python3.12",
        Role=role,
        Handler="own.handler",
        Code={"ZipFile": body.getvalue()},
    )
    return dict(made)


def test_a_function_sees_its_own_runtime_and_nothing_of_the_server(
    client: Client, function: dict[str, Any]
) -> None:
    answer = client("lambda").invoke(FunctionName="own", Payload=b"{}")
    told = json.loads(answer["Payload"].read())
    assert told["prefix"].endswith(".venv-lambda")
    assert told["yaml"] is False, "PyYAML is MiniStack's, not Lambda's"
    assert told["own"] == []


def test_an_event_that_a_function_fails_on_ends_in_its_dead_letter_queue(
    client: Client, function: dict[str, Any]
) -> None:
    sqs, events, lambda_ = client("sqs"), client("events"), client("lambda")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    lambda_.update_function_configuration(
        FunctionName="own", DeadLetterConfig={"TargetArn": queue["QueueArn"]}
    )
    lambda_.put_function_event_invoke_config(FunctionName="own", MaximumRetryAttempts=1)
    events.put_rule(Name="fails", EventPattern=json.dumps({"source": ["test"]}))
    events.put_targets(Rule="fails", Targets=[{"Id": "1", "Arn": function["FunctionArn"]}])
    events.put_events(
        Entries=[{"Source": "test", "DetailType": "t", "Detail": json.dumps({"fail": True})}]
    )
    found = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    body = json.loads(found[0]["Body"])
    event = body.get("requestPayload", body)
    assert event["detail"] == {"fail": True}


def test_plain_http_on_the_loopback_counts_as_secure_transport(client: Client) -> None:
    s3 = client("s3")
    s3.create_bucket(
        Bucket="tls-only", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    s3.put_bucket_policy(
        Bucket="tls-only",
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": "arn:aws:s3:::tls-only/*",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            }
        ),
    )
    s3.put_object(Bucket="tls-only", Key="k", Body=b"x")
    assert s3.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"x"


def test_a_package_event_reaches_a_rule_in_awss_shape(client: Client) -> None:
    sqs, events, sagemaker = client("sqs"), client("events"), client("sagemaker")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["told"]},
    }
    events.put_rule(Name="packages", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="packages", Targets=[{"Id": "1", "Arn": queue["QueueArn"]}])
    sagemaker.create_model_package_group(ModelPackageGroupName="told")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="told", CustomerMetadataProperties={"Secret": "no"}
    )["ModelPackageArn"]
    found = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    event = json.loads(found[0]["Body"])
    assert event["resources"] == [arn]
    assert event["detail"]["ModelApprovalStatus"] == "PendingManualApproval"
    assert isinstance(event["detail"]["CreationTime"], int)
    assert "CustomerMetadataProperties" not in event["detail"]
