"""What the stacks hold, for each kind of deployment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.aws import READ_SECONDS, AwsSession
from registry.names import PARAMETERS, parameter_name
from tests.infra.assembly import ACCOUNT, REGION, Assembly

HAILO = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/hailo-dfc:3.33"

#: Changing one of these makes CloudFormation replace what it must never replace.
STATEFUL = {
    "GroupC77FDACD": "AWS::SageMaker::ModelPackageGroup",
    "TrainingBucketEB7BB5C9": "AWS::S3::Bucket",
    "MlflowBucket472F3C10": "AWS::S3::Bucket",
    "ReleaseBucket49D06018": "AWS::S3::Bucket",
    "SigningKeyEEFC2790": "AWS::KMS::Key",
    "DataKey17AFBB84": "AWS::KMS::Key",
    "MlflowApp434C8BD0": "AWS::SageMaker::MlflowApp",
    "CompilerRepositoryF30F4ED2": "AWS::ECR::Repository",
}


def test_command_that_calls_a_function_waits_until_it_has_ended(
    deployment: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    longest = max(e.properties["Timeout"] for e in deployment.of_type("AWS::Lambda::Function"))
    waits = AwsSession().client("lambda").meta.config.read_timeout
    assert waits == READ_SECONDS["lambda"] > longest


def test_lasting_resource_keeps_its_logical_id_and_is_retained(
    deployment: Assembly,
) -> None:
    kinds = set(STATEFUL.values())
    found = {
        e.logical_id: e
        for e in deployment.resources
        if e.type in kinds and e.body.get("DeletionPolicy") == "Retain"
    }
    assert {name: each.type for name, each in found.items()} == STATEFUL
    for each in found.values():
        assert each.stack == "registry"
        assert each.body["DeletionPolicy"] == each.body["UpdateReplacePolicy"] == "Retain"


def test_stateful_stack_is_protected_and_the_others_are_not(deployment: Assembly) -> None:
    manifest = json.loads((deployment.folder / "manifest.json").read_text())["artifacts"]
    protected = {
        stack: manifest[name]["properties"].get("terminationProtection", False)
        for stack, name in deployment.names.items()
    }
    assert protected == {"registry": True, "access": False, "automation": False}


def test_deployment_without_retention_deletes_every_resource(synthesise: Any) -> None:
    throwaway = synthesise(retain="false")
    for each in throwaway.resources:
        assert each.body.get("DeletionPolicy", "Delete") == "Delete", each.path
    manifest = json.loads((throwaway.folder / "manifest.json").read_text())["artifacts"]
    properties = manifest[throwaway.names["registry"]]["properties"]
    assert not properties.get("terminationProtection", False)


def test_second_environment_differs_in_names_but_not_in_logical_ids(
    deployment: Assembly, synthesise: Any
) -> None:
    prod = synthesise(environment="prod")
    assert prod.names["registry"] == "cards-prod-registry"
    stateful = {
        e.logical_id
        for e in prod.resources
        if e.type in STATEFUL.values() and e.stack == "registry"
    }
    assert stateful == set(STATEFUL)


def test_every_parameter_that_the_product_looks_for_is_there(deployment: Assembly) -> None:
    written = {
        each.properties["Name"]: each.properties["Value"]
        for each in deployment.of_type("AWS::SSM::Parameter")
    }
    assert set(written) == {parameter_name("dev", key) for key in PARAMETERS}
    assert written["/cards/dev/group-name"] == "pokemon-card-recognition-models"
    for purpose, key in (("training", "training"), ("mlflow", "mlflow"), ("releases", "release")):
        expected = f"pokemon-card-{purpose}-{ACCOUNT}-{REGION}"
        assert written[f"/cards/dev/{key}-bucket"] == expected
    outputs: dict[str, Any] = {}
    for stack in deployment.STACKS:
        outputs |= deployment.outputs(stack)
    for key in PARAMETERS:
        camel = "".join(word.capitalize() for word in key.split("-"))
        assert outputs[camel] == written[f"/cards/dev/{key}"]


def test_buckets_are_versioned_encrypted_private_and_tls_only(deployment: Assembly) -> None:
    policies = {
        each.properties["Bucket"]: each.properties["PolicyDocument"]["Statement"]
        for each in deployment.of_type("AWS::S3::BucketPolicy")
    }
    for bucket in deployment.of_type("AWS::S3::Bucket"):
        properties = bucket.properties
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["OwnershipControls"]["Rules"] == [
            {"ObjectOwnership": "BucketOwnerEnforced"}
        ]
        rules = {rule["Id"]: rule for rule in properties["LifecycleConfiguration"]["Rules"]}
        assert rules["abandoned-uploads"]["AbortIncompleteMultipartUpload"]
        denials = [s for s in policies[properties["BucketName"]] if s["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [d["Condition"] for d in denials]
    written_once = {
        bucket: set(statement["Resource"])
        for bucket, statements in policies.items()
        for statement in statements
        if statement.get("Sid") == "WrittenOnce"
    }
    for statements in policies.values():
        for statement in statements:
            if statement.get("Sid") == "WrittenOnce":
                assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:PutObject")
                assert statement["Principal"] == {"AWS": "*"}
                assert statement["Condition"] == {
                    "Null": {"s3:if-none-match": "true"},
                    "Bool": {"s3:ObjectCreationOperation": "true"},
                }
    training, releases = (
        f"pokemon-card-{purpose}-{ACCOUNT}-{REGION}" for purpose in ("training", "releases")
    )
    assert written_once == {
        training: {f"arn:aws:s3:::{training}/{prefix}/*" for prefix in ("cards", "names")},
        releases: {
            f"arn:aws:s3:::{releases}/keys/*",
            f"arn:aws:s3:::{releases}/releases/*/manifest.json",
        },
    }
    expiring = {
        bucket.logical_id
        for bucket in deployment.of_type("AWS::S3::Bucket")
        for rule in bucket.properties["LifecycleConfiguration"]["Rules"]
        if "NoncurrentVersionExpiration" in rule
    }
    assert expiring == {"TrainingBucketEB7BB5C9"}  # a release's history is never thinned out


def test_deletion_by_retention_can_be_undone_for_a_time(synthesise: Any) -> None:
    keeping = synthesise(keep_releases="20")
    (bucket,) = (
        each
        for each in keeping.of_type("AWS::S3::Bucket")
        if each.logical_id.startswith("ReleaseBucket")
    )
    rules = {rule["Id"]: rule for rule in bucket.properties["LifecycleConfiguration"]["Rules"]}
    going = rules["overwritten-versions"]
    assert going["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert going["Prefix"] == "releases/", "channels keep their whole history"


def test_compilers_repository_is_scanned_and_its_tags_are_immutable(
    deployment: Assembly,
) -> None:
    (repository,) = (e for e in deployment.resources if e.type == "AWS::ECR::Repository")
    properties = repository.properties
    assert properties["RepositoryName"] == "cards-dev-hailo"
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    (rule,) = json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged", "a tag may be deployed"


def test_signing_key_is_p256_and_for_signatures(deployment: Assembly) -> None:
    (key,) = (k for k in deployment.of_type("AWS::KMS::Key") if "KeySpec" in k.properties)
    assert (key.properties["KeySpec"], key.properties["KeyUsage"]) == (
        "ECC_NIST_P256",
        "SIGN_VERIFY",
    )


def test_every_object_is_encrypted_with_a_key_that_only_s3_uses(deployment: Assembly) -> None:
    (key,) = (k for k in deployment.of_type("AWS::KMS::Key") if k.logical_id.startswith("DataKey"))
    assert key.properties["EnableKeyRotation"] is True
    statements = {s["Sid"]: s for s in key.properties["KeyPolicy"]["Statement"]}
    assert statements["UseThroughS3"]["Condition"] == {
        "StringEquals": {
            "kms:CallerAccount": ACCOUNT,
            "kms:ViaService": f"s3.{REGION}.amazonaws.com",
        }
    }
    administration = set(statements["DelegateAdministrationToIam"]["Action"])
    assert not administration & {"kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"}
    for bucket in deployment.of_type("AWS::S3::Bucket"):
        (rule,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"] == {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key.logical_id}",
        }


def test_deployment_may_leave_encryption_to_s3(synthesise: Any) -> None:
    plain = synthesise(encryption="s3")
    assert [k.logical_id[:10] for k in plain.of_type("AWS::KMS::Key")] == ["SigningKey"]
    for bucket in plain.of_type("AWS::S3::Bucket"):
        (rule,) = bucket.properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize(
    ("mlflow", "kind"),
    [
        ("app", "AWS::SageMaker::MlflowApp"),
        ("tracking-server", "AWS::SageMaker::MlflowTrackingServer"),
        ("none", None),
    ],
)
def test_mlflow_is_an_app_a_server_or_nothing(
    deployment: Assembly, synthesise: Any, mlflow: str, kind: str | None
) -> None:
    assembly = deployment if mlflow == "app" else synthesise(mlflow=mlflow)
    made = [e for e in assembly.resources if e.type.startswith("AWS::SageMaker::Mlflow")]
    assert [each.type for each in made] == ([kind] if kind else [])
    uri = assembly.outputs("registry")["MlflowUri"]
    granted = {
        resource
        for statement in assembly.grants("TrainingRole")
        for action in statement["Action"]
        if action.startswith("sagemaker-mlflow:")
        for resource in [statement["Resource"]]
    }
    if kind:
        assert granted == {uri} and uri.startswith("arn:aws:sagemaker:")
        assert made[0].properties["ArtifactStoreUri"].startswith("s3://pokemon-card-mlflow-")
        assert "DependsOn" in made[0].body  # its role's policy is there before it is
    else:
        assert granted == set() and uri == "none"


def functions(assembly: Assembly) -> dict[str, dict[str, Any]]:
    return {
        each.properties["Handler"].split(".")[1]: each.properties
        for each in assembly.of_type("AWS::Lambda::Function")
    }


def variables(assembly: Assembly, function: str) -> dict[str, str]:
    return functions(assembly)[function]["Environment"]["Variables"]


def test_without_a_compiler_image_models_are_compiled_by_onnx_runtime(deployment: Assembly) -> None:
    assert deployment.outputs("automation")["Compiler"] == "onnx-int8"
    for function in ("compile_approved", "publish_release"):
        given = variables(deployment, function)
        assert json.loads(given["COMPILE_SETTINGS"])["compiler"] == "onnx-int8"
        assert given["COMPILE_IMAGE"] == (
            f"763104351884.dkr.ecr.{REGION}.amazonaws.com"
            "/pytorch-training:2.8.0-cpu-py312-ubuntu22.04-sagemaker"
        )
    assert announcements(deployment) == ["info: Compiler: onnx-int8"]


def test_with_a_compiler_image_models_are_compiled_for_hailo(synthesise: Any) -> None:
    assembly = synthesise(compiler_image=HAILO)
    assert assembly.outputs("automation")["Compiler"] == "hailo"
    assert variables(assembly, "compile_approved")["COMPILE_IMAGE"] == HAILO
    assert announcements(assembly) == [f"info: Compiler: hailo, in {HAILO}"]
    pulled = {
        resource
        for statement in assembly.grants("CompileRole")
        if "ecr:BatchGetImage" in statement["Action"]
        for resource in [statement["Resource"]]
    }
    assert pulled == {f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/hailo-dfc"}


def announcements(assembly: Assembly) -> list[str]:
    """What the command line prints about the automation stack: first sentences, by severity."""
    name = assembly.names["automation"]
    messages = json.loads((assembly.folder / f"{name}.metadata.json").read_text())
    severities = {"aws:cdk:info": "info", "aws:cdk:warning": "warning", "aws:cdk:error": "error"}
    return [
        f"{severities[entry['type']]}: {entry['data'].partition(' [ack:')[0].partition('. ')[0]}"
        for entries in messages.values()
        for entry in entries
        if entry["type"] in severities
    ]


def test_both_deciding_functions_see_the_same_compile_settings(deployment: Assembly) -> None:
    compile_, publish = (
        variables(deployment, name) for name in ("compile_approved", "publish_release")
    )
    for key in (
        "COMPILE_SETTINGS",
        "COMPILE_IMAGE",
        "GROUP_NAME",
        "TRAINING_BUCKET",
        "RELEASE_BUCKET",
    ):
        assert compile_[key] == publish[key]


def test_function_has_retries_and_queues_for_what_fails_before_and_in_it(
    deployment: Assembly,
) -> None:
    queues = {each.logical_id: each.path for each in deployment.of_type("AWS::SQS::Queue")}
    configs = {
        each.properties["FunctionName"]: each.properties
        for each in deployment.of_type("AWS::Lambda::EventInvokeConfig")
    }
    targets = {
        target["Arn"].rpartition(":")[2]: target
        for rule in deployment.of_type("AWS::Events::Rule")
        for target in rule.properties["Targets"]
    }
    found = deployment.of_type("AWS::Lambda::Function")
    assert len(found) == 4
    for function in found:
        idea = function.path.split("/")[1]
        failed = function.properties["DeadLetterConfig"]["TargetArn"].rpartition(":")[2]
        assert queues[failed].endswith(f"{idea}/Failed/Resource")
        assert configs[function.logical_id]["MaximumRetryAttempts"] == 2
        target = targets[function.logical_id]
        undelivered = target["DeadLetterConfig"]["Arn"].rpartition(":")[2]
        assert queues[undelivered].endswith(f"{idea}/Undelivered/Resource")
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 24
    assert len(queues) == 8


def test_queues_are_encrypted_and_tls_only(deployment: Assembly) -> None:
    denied = {
        queue
        for policy in deployment.of_type("AWS::SQS::QueuePolicy")
        for queue in policy.properties["Queues"]
        for statement in policy.properties["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    for queue in deployment.of_type("AWS::SQS::Queue"):
        assert queue.properties["SqsManagedSseEnabled"] is True
        assert queue.logical_id in denied


def test_function_has_its_own_log_group_with_an_expiry(
    synthesise: Any, deployment: Assembly
) -> None:
    for assembly, days in ((deployment, 90), (synthesise(log_retention_days="30"), 30)):
        groups = {
            each.logical_id: each.properties for each in assembly.of_type("AWS::Logs::LogGroup")
        }
        used = [
            properties["LoggingConfig"]["LogGroup"] for properties in functions(assembly).values()
        ]
        assert sorted(used) == sorted(groups)
        assert {group["RetentionInDays"] for group in groups.values()} == {days}


def test_nothing_has_to_be_deployed_twice_for_a_reference(deployment: Assembly) -> None:
    """Registry knows of no other stack, access of the registry only: no cycle, no second pass."""
    manifest = json.loads((deployment.folder / "manifest.json").read_text())["artifacts"]
    stacks = {name: stack for stack, name in deployment.names.items()}
    needs = {
        stacks[name]: {stacks[d] for d in artifact.get("dependencies", []) if d in stacks}
        for name, artifact in manifest.items()
        if name in stacks
    }
    assert needs["registry"] == set()
    assert needs["access"] == {"registry"}
    assert needs["automation"] <= {"registry", "access"} and "access" in needs["automation"]
