"""Each patch: that it mends, and that it is still needed.

When a test of `needed` fails, MiniStack has learned it: remove the patch.
"""

# Over 400 lines: one server, started once, has all patches; each test removes one.

from __future__ import annotations

import importlib.metadata
import io
import json
import subprocess
import sys
import zipfile
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from localcloud.patches import MINISTACK_VERSION
from tests.running_cloud import Client, client_of, make_role, queue_of, received, until

HANDLER = """
import boto3, os, sys, time
def handler(event, context):
    if event.get("detail", {}).get("fail"):
        raise RuntimeError("on purpose")
    if event.get("count"):
        time.sleep(0.2)
        boto3.client("sqs").send_message(QueueUrl=event["count"], MessageBody="once")
    if event.get("list"):
        try:
            return {"listed": str(boto3.client("s3").list_buckets())}
        except Exception as error:
            return {"listed": str(error)}
    try:
        import yaml
        found = True
    except ImportError:
        found = False
    server = ("LOCALCLOUD", "MINISTACK", "STATE_")
    return {"yaml": found, "prefix": sys.prefix, "path": os.environ["PATH"],
            "home": os.environ.get("HOME"), "python_path": os.environ.get("PYTHONPATH"),
            "own": sorted(key for key in os.environ if key.startswith(server))}
"""


def test_patches_are_for_the_version_that_is_installed() -> None:
    assert importlib.metadata.version("ministack") == MINISTACK_VERSION


def needed(code: str) -> str:
    """Runs code against MiniStack as it comes."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.processes
@pytest.mark.parametrize(
    "code",
    [
        "from ministack import app; print('sagemaker' in app.SERVICE_REGISTRY)",
        "from ministack.services.cloudformation import stacks as s;"
        " print(s._runs_on_worker_thread('AWS::SageMaker::MlflowApp'))",
        "from ministack.services.cloudformation import changesets as c;"
        " d = dict.fromkeys('AB', {'Type': 'AWS::SQS::Queue'});"
        " p = lambda a: {'Properties': {'V': {'Fn::GetAtt': [a, 'Arn']}}};"
        " t = lambda a: {'Resources': {**d, 'P': p(a)}};"
        " print(c._resolve_props_for_diff(t('A'), {}, 's', 'i')"
        " != c._resolve_props_for_diff(t('B'), {}, 's', 'i'))",
        "from ministack.services import cloudformation as c; running = 'UPDATE_IN_PROGRESS';"
        " c.load_persisted_state({'stacks': {'s': {'StackStatus': running}}});"
        " print(c._stacks['s']['StackStatus'] != running)",
        "from ministack.services import s3; import inspect;"
        " print('bisect' in inspect.getsource(s3._collect_list_entries))",
        "from ministack.core import lambda_runtime as r; import sys;"
        " print(r._detect_runtime_binary('python3.12')[0] != sys.executable)",
        "from ministack.services.cloudformation import provisioners as p;"
        " print('AWS::IoT::RoleAlias' in p._RESOURCE_HANDLERS)",
        "from ministack.services.cloudformation import provisioners as p;"
        " print(any(c[0] == 'BucketEncryption' for c in p._S3_BUCKET_CONFIGURATIONS))",
        "from ministack.services.cloudformation import provisioners as p; import inspect;"
        " f = p._RESOURCE_HANDLERS['AWS::Lambda::Function']['create'];"
        " print('DeadLetterConfig' in inspect.getsource(f))",
        "from ministack.services import eventbridge as e; import inspect;"
        " print('invoke_async_with_retry' in inspect.getsource(e._dispatch_to_lambda))",
        "from ministack.services import eventbridge as e; import inspect;"
        " print('DeadLetterConfig' in inspect.getsource(e._invoke_target))",
        "from ministack.services import lambda_svc as l; import inspect;"
        " print('throttle' in inspect.getsource(l.invoke_async_with_retry))",
        "from ministack.services import lambda_svc as l;"
        " print(bool(l._event_invoke_config({'event_invoke_configs': {'$LATEST': {1: 2}}}, '')))",
        "from ministack.core import iam_evaluator as i; p = i.parse_policy_document;"
        ' d = \'{"Statement": {"Effect": "Deny"}}\'; print(p(d) is p(d))',
        "from ministack.core import iam_evaluator as i; import inspect;"
        " print('127.' in inspect.getsource(i.pin_request_origin))",
        "from ministack.core import iam_actions as a; headers = {'x-amz-target': 'AmazonSSM.Get"
        'ParametersByPath\'}; body = b\'{"Path": "/a"}\';'
        " print(a.extract_resource_arn('ssm', 'POST', '/', headers, body, {}, '1', 'r') != '*')",
        "from ministack.core import iam_actions as a; headers = {'x-amz-target': 'AWSEvents.List"
        'TargetsByRule\'}; body = b\'{"Rule": "a"}\';'
        " print(a.extract_resource_arn('events', 'POST', '/', headers, body, {}, '1', 'r') != '*')",
        "from ministack.core import iam_actions as a; body = b'Action=GetRole&RoleName=a';"
        " print(a.extract_resource_arn('iam', 'POST', '/', {}, body, {}, '1', 'r') != '*')",
        "from ministack.core import iam_actions as a; path = '/2019-09-30/functions/f/concurrency';"
        " print('Get' in a.extract_iam_action('lambda', 'GET', path, {}, b'', {}))",
        "from ministack.core import iam_actions as a;"
        " path = '/2019-09-25/functions/f/event-invoke-config';"
        " print('Event' in a.extract_iam_action('lambda', 'GET', path, {}, b'', {}))",
        'from ministack.core import iam_actions as a; body = b\'{"Namespace": "n"}\';'
        " print(bool(a.request_tag_context('monitoring', 'cloudwatch:PutMetricData', body, {})))",
        "from ministack.core import iam_actions as a; headers = {'if-none-match': '*'};"
        " found = a.s3_service_context('s3:PutObject', {}, '/b/k', headers);"
        " print('s3:if-none-match' in found)",
        "from ministack.services import iam; import inspect;"
        " print('ContextEntries' in inspect.getsource(iam._simulate_principal_policy))",
    ],
)
def test_patch_is_still_needed(code: str) -> None:
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


def test_function_sees_its_own_runtime_and_nothing_of_the_server(
    client: Client, function: dict[str, Any]
) -> None:
    answer = client("lambda").invoke(FunctionName="own", Payload=b"{}")
    reported = json.loads(answer["Payload"].read())
    assert reported["prefix"].endswith(".venv-lambda")
    assert reported["yaml"] is False, "PyYAML is MiniStack's, not Lambda's"
    assert reported["own"] == []
    assert reported["home"] is None and reported["python_path"] is None
    assert reported["path"].split(":")[1:] == ["/usr/local/bin", "/usr/bin", "/bin"]


def test_function_acts_as_its_role(client: Client, function: dict[str, Any]) -> None:
    answer = client("lambda").invoke(FunctionName="own", Payload=json.dumps({"list": True}))
    assert "AccessDenied" in json.loads(answer["Payload"].read())["listed"]


def rule(client: Client, name: str, target: dict[str, Any]) -> str:
    events = client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", **target}])
    return str(events.describe_rule(Name=name)["Arn"])


def send(client: Client, source: str, detail: dict[str, Any]) -> None:
    entry = {"Source": source, "DetailType": "t", "Detail": json.dumps(detail)}
    assert client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def permit(client: Client, name: str, rule_arn: str) -> None:
    client("lambda").add_permission(
        FunctionName="own",
        StatementId=name,
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule_arn,
    )


def test_event_that_a_function_fails_on_ends_in_its_dead_letter_queue(
    client: Client, function: dict[str, Any]
) -> None:
    url, queue = queue_of(client, "dead")
    client("lambda").update_function_configuration(
        FunctionName="own", DeadLetterConfig={"TargetArn": queue}
    )
    client("lambda").put_function_event_invoke_config(FunctionName="own", MaximumRetryAttempts=1)
    permit(client, "fails", rule(client, "fails", {"Arn": function["FunctionArn"]}))
    send(client, "fails", {"fail": True})
    message = until(lambda: received(client, url))[0]
    event = json.loads(message["Body"])
    assert event["detail"] == {"fail": True} and "requestPayload" not in event
    said = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert (said["ErrorCode"], said["ErrorMessage"]) == ("200", "on purpose")
    assert said["RequestID"]


def test_event_of_a_throttled_function_waits_for_its_turn(
    client: Client, function: dict[str, Any]
) -> None:
    lambda_ = client("lambda")
    url, _ = queue_of(client, "counted")
    lambda_.put_function_concurrency(FunctionName="own", ReservedConcurrentExecutions=1)
    try:
        for _ in range(8):
            lambda_.invoke(
                FunctionName="own", InvocationType="Event", Payload=json.dumps({"count": url})
            )
        found: list[Any] = []
        until(lambda: found.extend(received(client, url)) or len(found) >= 8)
    finally:
        lambda_.delete_function_concurrency(FunctionName="own")
    assert len(found) == 8


@pytest.mark.parametrize(
    ("name", "missing", "code"),
    [("not-permitted", False, "NO_PERMISSIONS"), ("not-there", True, "NO_RESOURCE")],
)
def test_event_that_cannot_be_delivered_ends_in_the_targets_dead_letter_queue(
    client: Client, function: dict[str, Any], name: str, missing: bool, code: str
) -> None:
    url, queue = queue_of(client, f"undelivered-{name}")
    arn = function["FunctionArn"] + ("-gone" if missing else "")
    rule_arn = rule(client, name, {"Arn": arn, "DeadLetterConfig": {"Arn": queue}})
    send(client, name, {"n": 1})
    message = until(lambda: received(client, url))[0]
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    reported = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
    assert (reported["ERROR_CODE"], reported["RULE_ARN"], reported["TARGET_ARN"]) == (
        code,
        rule_arn,
        arn,
    )


def test_settings_of_latest_are_those_of_the_unqualified_function(
    client: Client, function: dict[str, Any]
) -> None:
    lambda_ = client("lambda")
    lambda_.put_function_event_invoke_config(
        FunctionName="own", Qualifier="$LATEST", MaximumEventAgeInSeconds=99
    )
    lambda_.delete_function_event_invoke_config(FunctionName="own")
    found = lambda_.get_function_event_invoke_config(FunctionName="own")
    assert found["MaximumEventAgeInSeconds"] == 99


def test_plain_http_on_the_loopback_counts_as_secure_transport(
    cloud: LocalCloud, client: Client
) -> None:
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
    # Bucket policies do not bind the account's root, so somebody else has to ask.
    iam = client("iam")
    iam.create_user(UserName="reader")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.put_user_policy(
        UserName="reader",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("s3")
    reader.put_object(Bucket="tls-only", Key="k", Body=b"x")
    assert reader.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"x"


def test_template_may_have_a_role_alias_for_devices(client: Client) -> None:
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iot:AssumeRoleWithCertificate",
        "Resource": {"Fn::GetAtt": ["Alias", "RoleAliasArn"]},
    }]}  # fmt: skip
    alias = {"RoleAlias": "devices", "RoleArn": "arn:aws:iam::123456789012:role/device"}
    resources = {
        "Alias": {"Type": "AWS::IoT::RoleAlias", "Properties": alias},
        "Policy": {
            "Type": "AWS::IoT::Policy",
            "Properties": {"PolicyName": "devices", "PolicyDocument": document},
        },
    }
    cloudformation = client("cloudformation")

    def deploy(call: Any) -> dict[str, Any]:
        call(StackName="devices", TemplateBody=json.dumps({"Resources": resources}))
        cloudformation.get_waiter(f"stack_{call.__name__.partition('_')[0]}_complete").wait(
            StackName="devices", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        policy = client("iot").get_policy(policyName="devices")["policyDocument"]
        found: dict[str, Any] = json.loads(policy)["Statement"][0]
        return found

    assert deploy(cloudformation.create_stack)["Resource"].endswith(":rolealias/devices")
    alias["RoleAlias"] = "devices-2"
    assert deploy(cloudformation.update_stack)["Resource"].endswith(":rolealias/devices-2")
    cloudformation.delete_stack(StackName="devices")


def test_objects_are_listed_by_prefix_and_delimiter(client: Client) -> None:
    s3, bucket = client("s3"), "listed-by-index"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    for key in ("b/2", "a", "b/1", "c", "d/1", "b/3"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="c")

    def listed(**query: Any) -> list[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 2}, **query
        )
        return [
            entry.get("Key") or entry["Prefix"]
            for page in pages
            for entry in (*page.get("Contents", []), *page.get("CommonPrefixes", []))
        ]

    assert listed() == ["a", "b/1", "b/2", "b/3", "d/1"]
    assert listed(Prefix="b/") == ["b/1", "b/2", "b/3"]
    assert listed(Delimiter="/") == ["a", "b/", "d/"]
    assert listed(Prefix="b/", StartAfter="b/1") == ["b/2", "b/3"]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b/1"}, {"Key": "b/2"}]})
    assert listed(Prefix="b/") == ["b/3"]


def test_bucket_policy_demands_conditional_writes(cloud: LocalCloud, client: Client) -> None:
    s3, bucket = client("s3"), "written-once"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/once/*",
        "Condition": {
            "Null": {"s3:if-none-match": "true"},
            "Bool": {"s3:ObjectCreationOperation": "true"},
        },
    }
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    )
    iam, user = client("iam"), "once-writer"
    iam.create_user(UserName=user)
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam.put_user_policy(
        UserName=user,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    writer = client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("s3")
    writer.put_object(Bucket=bucket, Key="elsewhere", Body=b"x")
    writer.put_object(Bucket=bucket, Key="once/a", Body=b"x", IfNoneMatch="*")
    for overwrite in (
        lambda: writer.put_object(Bucket=bucket, Key="once/a", Body=b"y"),
        lambda: writer.copy_object(Bucket=bucket, Key="once/a", CopySource=f"{bucket}/elsewhere"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            overwrite()
    with pytest.raises(ClientError, match="PreconditionFailed"):
        writer.put_object(Bucket=bucket, Key="once/a", Body=b"y", IfNoneMatch="*")

    def upload_in_parts(name: str, **condition: str) -> None:
        place = {"Bucket": bucket, "Key": name}
        upload = writer.create_multipart_upload(**place)["UploadId"]
        tag = writer.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
        writer.complete_multipart_upload(
            **place,
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]},
            **condition,
        )

    upload_in_parts("once/b", IfNoneMatch="*")
    with pytest.raises(ClientError, match="AccessDenied"):
        upload_in_parts("once/c")


def test_parameters_below_a_path_are_a_right_of_their_own(
    cloud: LocalCloud, client: Client
) -> None:
    iam, path = client("iam"), "arn:aws:ssm:us-east-2:000000000000:parameter/ours"
    client("ssm").put_parameter(Name="/ours/a", Value="1", Type="String")
    iam.create_user(UserName="looker")
    allowed = {"Effect": "Allow", "Action": "ssm:GetParametersByPath", "Resource": f"{path}*"}
    iam.put_user_policy(
        UserName="looker",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = iam.create_access_key(UserName="looker")["AccessKey"]
    ssm = client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("ssm")
    assert [each["Value"] for each in ssm.get_parameters_by_path(Path="/ours")["Parameters"]] == [
        "1"
    ]
    with pytest.raises(ssm.exceptions.ClientError, match="AccessDenied"):
        ssm.get_parameters_by_path(Path="/theirs")


def test_metric_namespace_restricts_writers(cloud: LocalCloud, client: Client) -> None:
    iam, user = client("iam"), "measurer"
    iam.create_user(UserName=user)
    allowed = {
        "Effect": "Allow",
        "Action": "cloudwatch:PutMetricData",
        "Resource": "*",
        "Condition": {"StringEquals": {"cloudwatch:namespace": "/ours"}},
    }
    iam.put_user_policy(
        UserName=user,
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
    )
    key = iam.create_access_key(UserName=user)["AccessKey"]
    cloudwatch = client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("cloudwatch")
    figures = [{"MetricName": "m", "Value": 1.0}]
    cloudwatch.put_metric_data(Namespace="/ours", MetricData=figures)
    with pytest.raises(cloudwatch.exceptions.ClientError, match="AccessDenied"):
        cloudwatch.put_metric_data(Namespace="/theirs", MetricData=figures)


def test_simulation_judges_each_resource_in_the_context_that_is_given(client: Client) -> None:
    package = "arn:aws:sagemaker:us-east-2:000000000000:model-package/models/1"
    role = make_role(
        client,
        "simulated",
        "lambda.amazonaws.com",
        [
            {
                "Effect": "Allow",
                "Action": "sagemaker:UpdateModelPackage",
                "Resource": package,
                "Condition": {"Null": {"sagemaker:ModelApprovalStatus": "true"}},
            }
        ],
    )

    def decisions(*resources: str, **context: str) -> list[str]:
        answer = client("iam").simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=["sagemaker:UpdateModelPackage"],
            ResourceArns=list(resources),
            ContextEntries=[
                {
                    "ContextKeyName": f"sagemaker:{key}",
                    "ContextKeyValues": [value],
                    "ContextKeyType": "string",
                }
                for key, value in context.items()
            ],
        )
        assert [row["EvalResourceName"] for row in answer["EvaluationResults"]] == list(resources)
        return [row["EvalDecision"] for row in answer["EvaluationResults"]]

    assert decisions(package, f"{package}0") == ["allowed", "implicitDeny"]
    assert decisions(package, ModelApprovalStatus="Approved") == ["implicitDeny"]
    with pytest.raises(client("iam").exceptions.NoSuchEntityException):
        client("iam").simulate_principal_policy(
            PolicySourceArn=f"{role}-gone", ActionNames=["s3:GetObject"]
        )


def test_package_event_reaches_a_rule_in_awss_shape(client: Client) -> None:
    events, sagemaker = client("events"), client("sagemaker")
    url, queue = queue_of(client, "events")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": ["reported"]},
    }
    events.put_rule(Name="packages", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="packages", Targets=[{"Id": "1", "Arn": queue}])
    sagemaker.create_model_package_group(ModelPackageGroupName="reported")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="reported", CustomerMetadataProperties={"Secret": "no"}
    )["ModelPackageArn"]
    found = until(lambda: received(client, url))
    event = json.loads(found[0]["Body"])
    assert event["resources"] == [arn]
    assert event["detail"]["ModelApprovalStatus"] == "PendingManualApproval"
    assert datetime.fromisoformat(event["detail"]["CreationTime"]).tzinfo is not None
    assert "CustomerMetadataProperties" not in event["detail"]
    # Every update is reported, also one of nothing but the metadata.
    sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"Secret": "still"}
    )
    assert json.loads(until(lambda: received(client, url))[0]["Body"])["resources"] == [arn]
