"""``cards doctor`` against a deployment that is broken in one place at a time, and mended again."""

# Over 400 lines: all tests break and repair one deployment, which takes minutes to make.

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest

from cli.external_commands import environment
from cli.operations.checks import releases
from registry.names import EXPERIMENT, GROUP, parameter_name
from tests.cli.command import cards
from tests.e2e.cloud import Cloud, until
from tests.running_cloud import make_cloud

pytestmark = pytest.mark.deployed
NAME = "student-x-stage2-v1"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud of its own with the stacks that a real account gets."""
    folder = tmp_path_factory.mktemp("doctor")
    running = make_cloud(folder / "state")
    running.start()
    cloud = Cloud(environment(running.env()), folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in running.env().items():
            patch.setenv(name, value)
        try:
            account, region = running.env()["CDK_DEFAULT_ACCOUNT"], running.env()["AWS_REGION"]
            cloud.cdk("bootstrap", f"aws://{account}/{region}")
            cloud.deploy({})
            until(lambda: answers(f"{running.mlflow_url}/health"), 60, "MLflow answers")
            yield cloud
        finally:
            running.stop()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


@pytest.fixture
def after() -> Iterator[ExitStack]:
    """What puts the deployment right again, whatever becomes of the test."""
    with ExitStack() as stack:
        yield stack


def look() -> dict[str, list[dict[str, str]]]:
    """What the doctor finds, by check."""
    done = cards("doctor", "--json")
    assert done.err == ""
    rows = done.json["findings"]
    assert done.code == int(any(row["state"] == "failed" for row in rows))
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["check"], []).append(row)
    return found


def failing(check: str) -> dict[str, str]:
    """The one thing that is wrong, which is this check's."""
    found = look()
    wrong = [row for rows in found.values() for row in rows if row["state"] == "failed"]
    assert [row["check"] for row in wrong] == [check], wrong
    assert wrong[0]["remedy"]
    return wrong[0]


def well(check: str) -> None:
    assert {row["state"] for row in look()[check]} == {"ok"}


def typed(deployed: Cloud, remedy: str) -> str:
    """Types a remedy as it stands."""
    assert remedy.startswith(("aws ", "cards "))
    return deployed.must("bash", "-c", remedy.partition(";")[0])


@contextmanager
def parameter(deployed: Cloud, key: str, value: str | None) -> Iterator[None]:
    """An SSM parameter of the deployment with another value, or without any."""
    ssm, name = deployed.client("ssm"), parameter_name("dev", key)
    before = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    if value is None:
        ssm.delete_parameter(Name=name)
    else:
        ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    try:
        yield
    finally:
        ssm.put_parameter(Name=name, Value=before, Type="String", Overwrite=True)


def parts(deployed: Cloud, kind: str) -> dict[str, str]:
    rows = deployed.client("cloudformation").list_stack_resources(StackName="cards-dev-automation")
    return {
        row["LogicalResourceId"]: row["PhysicalResourceId"]
        for row in rows["StackResourceSummaries"]
        if row["ResourceType"] == kind
    }


def part(deployed: Cloud, kind: str, prefix: str) -> str:
    return next(each for key, each in parts(deployed, kind).items() if key.startswith(prefix))


def test_new_deployment_lacks_only_the_experiment_that_setup_creates(
    deployed: Cloud,
) -> None:
    found = look()
    states = {(check, row["state"]) for check, rows in found.items() for row in rows}
    assert {each for each in states if each[1] != "ok"} == {("mlflow", "warning")}
    assert "setup_sagemaker_project.py" in found["mlflow"][0]["remedy"]
    for check in ("region", "clock", "stacks", "roles", "queues", "stable channel", "machine"):
        assert check in found


@pytest.fixture(scope="module")
def experiment(deployed: Cloud) -> str:
    """The experiment, once it is made."""
    server = deployed.variables["SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"]
    made = urllib.request.Request(
        f"{server}/api/2.0/mlflow/experiments/create",
        data=json.dumps({"name": EXPERIMENT}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(made, timeout=30):
        return EXPERIMENT


def test_experiment_is_found_after_its_creation(experiment: str) -> None:
    well("mlflow")


def test_deleted_experiment_is_found_and_restored_by_the_remedy(
    deployed: Cloud, experiment: str
) -> None:
    server = deployed.variables["SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"]
    base = f"{server}/api/2.0/mlflow/experiments"
    with urllib.request.urlopen(f"{base}/get-by-name?experiment_name={experiment}") as answer:
        found = json.load(answer)["experiment"]
    deletion = urllib.request.Request(
        f"{base}/delete",
        data=json.dumps({"experiment_id": found["experiment_id"]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(deletion, timeout=30):
        pass
    wrong = failing("mlflow")
    assert f"experiment {experiment} was deleted" in wrong["line"]
    output = deployed.must(sys.executable, *wrong["remedy"].split()[1:])
    assert "was deleted; restored with its runs" in output
    well("mlflow")


def test_suspended_versioning_is_found_and_enabled_by_the_remedy(
    deployed: Cloud, after: ExitStack
) -> None:
    s3, bucket = deployed.client("s3"), deployed.deployment.release_bucket

    def switch(status: str) -> None:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    after.callback(switch, "Enabled")
    switch("Suspended")
    typed(deployed, failing("buckets")["remedy"])
    well("buckets")


def test_disabled_data_key_is_found_and_enabled_by_the_remedy(
    deployed: Cloud, after: ExitStack
) -> None:
    kms, bucket = deployed.client("kms"), deployed.deployment.training_bucket
    rules = deployed.client("s3").get_bucket_encryption(Bucket=bucket)[
        "ServerSideEncryptionConfiguration"
    ]["Rules"]
    key = rules[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    after.callback(kms.enable_key, KeyId=key)
    kms.disable_key(KeyId=key)
    typed(deployed, failing("data key")["remedy"])
    well("data key")


def test_disabled_rule_is_found_and_repaired_by_the_remedy(
    deployed: Cloud, after: ExitStack
) -> None:
    rule = part(deployed, "AWS::Events::Rule", "RegisterModel")
    after.callback(deployed.client("events").enable_rule, Name=rule)
    deployed.client("events").disable_rule(Name=rule)
    wrong = failing("rules")
    assert "RegisterModel's rule is disabled: no training job is registered" in wrong["line"]
    typed(deployed, wrong["remedy"])
    well("rules")


def test_rule_without_its_target_is_found(deployed: Cloud, after: ExitStack) -> None:
    events = deployed.client("events")
    rule = part(deployed, "AWS::Events::Rule", "PublishRelease")
    own = deployed.function("PublishRelease")
    rows = events.list_targets_by_rule(Rule=rule)["Targets"]
    (target,) = [row for row in rows if row["Arn"].endswith(f":{own}")]
    after.callback(events.put_targets, Rule=rule, Targets=[target])
    events.remove_targets(Rule=rule, Ids=[target["Id"]])
    assert "does not fire its function" in failing("rules")["line"]


def test_throttled_function_is_found_and_repaired_by_the_remedy(
    deployed: Cloud, after: ExitStack
) -> None:
    function = deployed.function("CompileApproved")
    after.callback(deployed.client("lambda").delete_function_concurrency, FunctionName=function)
    deployed.client("lambda").put_function_concurrency(
        FunctionName=function, ReservedConcurrentExecutions=0
    )
    wrong = failing("functions")
    assert "CompileApproved is throttled to nothing" in wrong["line"]
    typed(deployed, wrong["remedy"])
    well("functions")


def test_dead_letter_is_found_and_shown_by_the_remedy(deployed: Cloud, after: ExitStack) -> None:
    url = part(deployed, "AWS::SQS::Queue", "PublishReleaseFailed")
    after.callback(deployed.client("sqs").purge_queue, QueueUrl=url)
    deployed.client("sqs").send_message(QueueUrl=url, MessageBody='{"detail": "the lost one"}')
    wrong = failing("queues")
    assert wrong["line"] == "1 event could not be handled by PublishRelease"
    assert "the lost one" in typed(deployed, wrong["remedy"])
    # Looking at it takes it away from nobody.
    assert failing("queues")["line"] == wrong["line"]
    deployed.client("sqs").purge_queue(QueueUrl=url)
    well("queues")


@contextmanager
def by_hand(deployed: Cloud, role: str, effect: str, action: str) -> Iterator[None]:
    """A role with a statement that somebody has added."""
    iam, statement = deployed.client("iam"), {"Effect": effect, "Action": action, "Resource": "*"}
    iam.put_role_policy(
        RoleName=role,
        PolicyName="by-hand",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="by-hand")


def test_training_role_that_could_approve_is_found(deployed: Cloud) -> None:
    role = deployed.deployment.training_role_arn.rpartition("/")[2]
    with by_hand(deployed, role, "Allow", "sagemaker:UpdateModelPackage"):
        wrong = failing("roles")
    assert "the role of training may do what is not its work" in wrong["line"]
    assert "sagemaker:UpdateModelPackage to approve" in wrong["line"]
    well("roles")


def test_publisher_that_could_approve_is_found(deployed: Cloud) -> None:
    role = part(deployed, "AWS::IAM::Role", "PublishRelease")
    with by_hand(deployed, role, "Allow", "sagemaker:UpdateModelPackage"):
        assert failing("roles")["line"].endswith(": sagemaker:UpdateModelPackage to approve")


def test_function_that_may_not_register_is_found(deployed: Cloud) -> None:
    role = part(deployed, "AWS::IAM::Role", "RegisterModel")
    with by_hand(deployed, role, "Deny", "sagemaker:CreateModelPackage"):
        wrong = failing("roles")
    assert wrong["line"] == "the role of RegisterModel may not: sagemaker:CreateModelPackage"


def test_disabled_key_is_found_and_repaired_by_the_remedy(
    deployed: Cloud, after: ExitStack
) -> None:
    kms, key = deployed.client("kms"), deployed.deployment.signing_key_arn
    after.callback(kms.enable_key, KeyId=key)
    kms.disable_key(KeyId=key)
    typed(deployed, failing("signing key")["remedy"])
    well("signing key")


def test_topic_without_subscriber_or_existence_is_found(deployed: Cloud) -> None:
    sns, topic = deployed.client("sns"), deployed.deployment.notice_topic_arn
    queue = part(deployed, "AWS::SQS::Queue", "ReconcileFailed")
    arn = deployed.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    subscribed = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
    )
    well("notices")
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    (row,) = look()["notices"]
    assert row["state"] == "ok" and "no subscription" in row["line"]
    with parameter(deployed, "notice-topic-arn", f"{topic}x"):
        wrong = failing("notices")
        assert "does not exist" in wrong["line"] and "--revert-drift" in wrong["remedy"]


def test_missing_group_is_found_and_dependent_checks_are_skipped(
    deployed: Cloud, after: ExitStack
) -> None:
    sagemaker = deployed.client("sagemaker")
    after.callback(sagemaker.create_model_package_group, ModelPackageGroupName=GROUP)
    sagemaker.delete_model_package_group(ModelPackageGroupName=GROUP)
    wrong = failing("group")
    assert wrong["remedy"] == "python scripts/setup_sagemaker_project.py"
    assert look()["approvals"][0]["line"] == "needs group"


def test_bucket_that_is_missing_is_found(deployed: Cloud) -> None:
    with parameter(deployed, "mlflow-bucket", "nobody-has-this-bucket"):
        assert "s3://nobody-has-this-bucket does not exist" in failing("buckets")["line"]


def test_parameter_that_is_missing_is_found(deployed: Cloud) -> None:
    with parameter(deployed, "release-bucket", None):
        wrong = failing("deployment")
        assert "release-bucket" in wrong["line"] and "cdk deploy" in wrong["remedy"]


def test_another_environment_is_named_where_this_one_is_not_deployed(deployed: Cloud) -> None:
    done = cards("doctor", "--environment", "prod", "--json")
    found = {row["check"]: row for row in done.json["findings"]}
    assert done.code == 1
    assert found["deployment"]["state"] == "failed"
    assert found["deployment"]["remedy"].startswith("--environment dev")


def test_mlflow_that_does_not_answer_is_found(
    deployed: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in failing("mlflow")["line"]


def test_deleted_mlflow_app_is_found(deployed: Cloud) -> None:
    gone = "arn:aws:sagemaker:us-east-2:000000000000:mlflow-app/app-GONE"
    with parameter(deployed, "mlflow-uri", gone):
        assert "app-GONE does not exist" in failing("mlflow")["line"]


def test_deployment_without_mlflow_passes(deployed: Cloud) -> None:
    with parameter(deployed, "mlflow-uri", "none"):
        assert "cards.mlflow=app" in look()["mlflow"][0]["line"]
        well("mlflow")


def test_compiler_image_that_is_missing_is_found(deployed: Cloud, after: ExitStack) -> None:
    image = "000000000000.dkr.ecr.us-east-2.amazonaws.com/hailo-dfc:3.31"
    lambda_, function = deployed.client("lambda"), deployed.function("CompileApproved")
    before = lambda_.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    after.callback(
        lambda_.update_function_configuration,
        FunctionName=function,
        Environment={"Variables": before},
    )
    lambda_.update_function_configuration(
        FunctionName=function, Environment={"Variables": {**before, "COMPILE_IMAGE": image}}
    )
    with parameter(deployed, "compiler", "hailo"):
        wrong = failing("compiler")
        assert image in wrong["line"] and f"docker push {image}" in wrong["remedy"]
        ecr = deployed.client("ecr")
        ecr.create_repository(repositoryName="hailo-dfc")
        assert failing("compiler")["line"] == wrong["line"]
        ecr.put_image(repositoryName="hailo-dfc", imageTag="3.31", imageManifest="{}")
        well("compiler")
    assert "not HEF" in look()["compiler"][0]["line"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The automation is given no time."""
    monkeypatch.setattr(releases, "_PATIENCE", timedelta(0))


def register(deployed: Cloud, name: str, approval: str, after: ExitStack) -> str:
    """A version with an archive, until the test ends."""
    bucket, key = deployed.deployment.training_bucket, f"jobs/{name}/model.tar.gz"
    deployed.client("s3").put_object(Bucket=bucket, Key=key, Body=b"an archive")
    made = deployed.client("sagemaker").create_model_package(
        ModelPackageGroupName=GROUP,
        ModelPackageDescription=f"{name}: made for a test",
        ModelApprovalStatus=approval,
        CustomerMetadataProperties={"ModelName": name, "CardSetUri": "s3://x/cards/y/"},
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": f"s3://{bucket}/{key}"}]
        },
    )
    arn = str(made["ModelPackageArn"])
    after.callback(deployed.client("sagemaker").delete_model_package, ModelPackageName=arn)
    return arn


def test_approval_without_compile_job_is_found(
    deployed: Cloud, after: ExitStack, at_once: None
) -> None:
    events, rule = deployed.client("events"), part(deployed, "AWS::Events::Rule", "CompileApproved")
    after.callback(events.enable_rule, Name=rule)
    events.disable_rule(Name=rule)
    arn = register(deployed, NAME, "Approved", after)
    found = look()["approvals"]
    assert [row["state"] for row in found] == ["failed"]
    assert f"{NAME} is approved, and nobody did: start the compilation" in found[0]["line"]
    assert arn in found[0]["remedy"] and "aws lambda invoke" in found[0]["remedy"]


def test_rejected_version_still_in_a_channel_is_found_and_repaired_by_the_remedy(
    deployed: Cloud, after: ExitStack, at_once: None
) -> None:
    events, rule = deployed.client("events"), part(deployed, "AWS::Events::Rule", "CompileApproved")
    # Otherwise the automation would have put it right before anybody could look.
    after.callback(events.enable_rule, Name=rule)
    events.disable_rule(Name=rule)
    arn = register(deployed, NAME, "Rejected", after)
    events.enable_rule(Name=rule)
    bucket = deployed.deployment.release_bucket
    s3, release = deployed.client("s3"), f"{NAME}.onnx-int8-01234567"
    s3.put_object(Bucket=bucket, Key=f"releases/{release}/manifest.json", Body=b"{}")
    pointer = {"channel": "stable", "release": release, "package_arn": arn, "name": NAME}
    s3.put_object(Bucket=bucket, Key="channels/stable.json", Body=json.dumps(pointer).encode())
    wrong = failing("stable channel")
    assert f"stable -> {release}, whose version is Rejected" in wrong["line"]
    typed(deployed, wrong["remedy"])

    def mended() -> bool:
        (row,) = look()["stable channel"]
        return row["state"] == "ok"

    until(mended, 60, "the channel falls back")


def test_version_without_a_name_is_noted(deployed: Cloud, after: ExitStack) -> None:
    arn = register(deployed, "my-model", "PendingManualApproval", after)
    (row,) = look()["names"]
    assert row["state"] == "warning" and arn in row["line"]


# --- people with fewer rights than root


@contextmanager
def person(deployed: Cloud, monkeypatch: pytest.MonkeyPatch, *policies: str) -> Iterator[None]:
    """Somebody who has the policies that the access stack gives to people."""
    iam = deployed.client("iam")
    stacks = deployed.client("cloudformation").describe_stacks(StackName="cards-dev-access")
    arns = {row["OutputKey"]: row["OutputValue"] for row in stacks["Stacks"][0]["Outputs"]}
    name = "-".join(["person", *policies])
    iam.create_user(UserName=name)
    for policy in policies:
        iam.attach_user_policy(UserName=name, PolicyArn=arns[f"{policy}PolicyArn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    yield


def test_operators_policy_permits_every_check(
    deployed: Cloud, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with person(deployed, monkeypatch, "Operator"):
        found = look()
    left = [row for rows in found.values() for row in rows if row["state"] != "ok"]
    # The release that the tests wrote by hand has no signatures, and the operator may see that.
    assert {row["check"] for row in left} <= {"your rights", "signatures"}, left
    assert "you may not approve: sagemaker:UpdateModelPackage to approve" in {
        row["line"] for row in left
    }
    assert any("attach-user-policy --user-name person-Operator" in row["remedy"] for row in left)


def test_approver_sees_which_checks_were_not_permitted(
    deployed: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with person(deployed, monkeypatch, "Approver"):
        done = cards("doctor", "--json")
        found = {row["check"]: row for row in done.json["findings"]}
        assert found["group"]["state"] == "ok"
        assert found["stacks"]["state"] == "not checked"
        assert "OperatorPolicyArn" in found["stacks"]["remedy"]
        listed = cards("registry", "list", "--json")
        assert listed.code == 0, listed.err


def test_every_finding_is_one_line_in_a_pipe(deployed: Cloud) -> None:
    done = cards("doctor")
    lines = done.out.splitlines()
    states = [line.split("  ")[0].strip() for line in lines if not line.startswith(" ")]
    assert set(states[:-1]) <= {"ok", "warning", "failed", "not checked"}
    assert lines[-1].endswith(("ok", "warning", "not checked"))
