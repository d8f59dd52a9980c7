"""What a device may do: read an update, and write its own report; nobody else writes there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.constructs.access.device_access import THING
from lambdas.metrics import METRICS
from localcloud import LocalCloud
from registry.names import NO_REPORTS
from registry.notices import NoticeKind
from tests.infra.access.test_policies import PUBLISH, RECONCILE, RELEASES, allows, policy_of
from tests.infra.assembly import ACCOUNT, REGION, Assembly
from tests.infra.test_watching import alarms
from tests.running_cloud import Account, client_of, make_cloud

DEVICE = "Devices/Role"
BUCKET = RELEASES.rpartition(":")[2]


@pytest.fixture
def with_devices(synthesise: Any) -> Assembly:
    found: Assembly = synthesise(devices="true")
    return found


def test_deployment_without_devices_has_nothing_of_them(deployment: Assembly) -> None:
    assert not [each for each in deployment.resources if each.type.startswith("AWS::IoT::")]
    assert not [each for each in deployment.resources if each.path.split("/")[1:2] == ["Devices"]]
    for role in (PUBLISH, RECONCILE):
        assert not allows(
            deployment.grants(role), "s3:GetObject", f"{RELEASES}/devices/a/status.json"
        )
    variables = [
        each.properties["Environment"]["Variables"].get("ROLLOUT_FAILURES")
        for each in deployment.of_type("AWS::Lambda::Function")
        if "Environment" in each.properties
    ]
    assert variables.count(NO_REPORTS) == 2


@pytest.mark.processes
def test_certificate_s_policy_leads_to_the_devices_role_alone(with_devices: Assembly) -> None:
    (alias,) = with_devices.of_type("AWS::IoT::RoleAlias")
    (policy,) = with_devices.of_type("AWS::IoT::Policy")
    (role,) = [
        each for each in with_devices.of_type("AWS::IAM::Role") if f"/{DEVICE}/" in each.path
    ]
    named = {key: value for key, value in alias.properties.items() if key != "Tags"}
    assert named == {
        "RoleAlias": "cards-dev-device", "CredentialDurationSeconds": 3600,
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{role.logical_id}",
    }  # fmt: skip
    assert policy.properties["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "iot:AssumeRoleWithCertificate",
            "Resource": f"arn:aws:iot:{REGION}:{ACCOUNT}:rolealias/{alias.logical_id}",
        }
    ]
    (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "credentials.iot.amazonaws.com"}
    assert "RolloutHalted" in alarms(with_devices) and METRICS[NoticeKind.ROLLOUT_HALTED] in {
        each["MetricName"] for each in alarms(with_devices).values()
    }
    outputs = with_devices.outputs("access")
    assert outputs["DeviceRoleAlias"] == outputs["DevicePolicy"] == "cards-dev-device"


@pytest.mark.processes
def test_device_reads_an_update_and_writes_its_own_report(with_devices: Assembly) -> None:
    assert with_devices.grants(DEVICE) == [
        {
            "Action": "s3:GetObject",
            "Effect": "Allow",
            "Resource": [
                f"{RELEASES}/{each}"
                for each in ("channels/candidate.json", "channels/stable.json",
                             "keys/rotation/*", "releases/*")
            ],
        },
        {
            "Action": "s3:PutObject",
            "Effect": "Allow",
            "Resource": f"{RELEASES}/devices/{THING}/status.json",
        },
    ]  # fmt: skip


@pytest.mark.processes
def test_reports_are_read_by_who_decides_and_written_by_devices_alone(
    with_devices: Assembly,
) -> None:
    report = f"{RELEASES}/devices/shop-12/status.json"
    readers = [with_devices.grants(role) for role in (PUBLISH, RECONCILE)]
    readers += [policy_of(with_devices, name) for name in ("Operator", "Releaser")]
    for statements in readers:
        assert allows(statements, "s3:GetObject", report)
        assert not allows(statements, "s3:PutObject", report)
    writers = {
        path for path, statement in with_devices.statements()
        if allows([statement], "s3:PutObject", f"{RELEASES}/devices/{THING}/status.json")
    }  # fmt: skip
    assert len(writers) == 1 and f"/{DEVICE.split('/')[0]}/" in writers.pop()
    (bucket,) = [
        each for each in with_devices.of_type("AWS::S3::Bucket")
        if each.properties["BucketName"] == BUCKET
    ]  # fmt: skip
    rules = {rule["Id"]: rule for rule in bucket.properties["LifecycleConfiguration"]["Rules"]}
    assert rules["reports"]["Prefix"] == "devices/"
    assert rules["reports"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    running = make_cloud(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()


@pytest.mark.processes
def test_role_with_these_statements_does_that_and_no_more(
    with_devices: Assembly, cloud: LocalCloud, tmp_path: Path
) -> None:
    """In IAM of the local cloud, which has no credential provider: the thing's name is put in here
    where AWS IoT would."""
    account = Account.new(cloud)
    s3, iam = account.client("s3"), account.client("iam")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    there = (
        "channels/stable.json", "channels/stable.hold.json", "releases/r/manifest.json",
        "keys/rotation/a.json", "keys/a.pem", "devices/shop-12/status.json",
        "devices/shop-13/status.json",
    )  # fmt: skip
    for key in there:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    statements = json.loads(json.dumps(with_devices.grants(DEVICE)).replace(THING, "shop-12"))
    name = f"device-{uuid.uuid4().hex[:8]}"
    principal = {"AWS": f"arn:aws:iam::{account.number}:root"}
    trust = [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="device",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    keys = account.client("sts").assume_role(RoleArn=role, RoleSessionName="device")["Credentials"]
    device = client_of(
        cloud,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )("s3")
    readable = {"channels/stable.json", "releases/r/manifest.json", "keys/rotation/a.json"}
    writable = {"devices/shop-12/status.json"}
    for key in there:
        assert allowed(device.get_object, Key=key) is (key in readable), key
        written = allowed(device.put_object, Key=key, Body=b"{}")
        assert written is (key in writable), key
        assert not allowed(device.delete_object, Key=key), key
    assert not allowed(device.put_object, Key="devices/shop-12/x", Body=b"")
    assert not allowed(device.list_objects_v2, Prefix="devices/")


def allowed(call: Any, **given: Any) -> bool:
    try:
        call(Bucket=BUCKET, **given)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return False
    return True
