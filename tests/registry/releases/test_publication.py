"""A release is complete or absent, whatever happens while it is published."""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from localcloud import LocalCloud
from registry.compilation import completed_job
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.job_identity import record_start
from registry.compilation.jobs import CompilationError
from registry.deployment import Deployment
from registry.names import parse_name
from registry.releases import channel_moves, pointers
from registry.releases import publication as releases
from registry.releases.manifest import ManifestError, parse, sha256
from registry.releases.signatures.release_signatures import SIGNATURES, stored_name
from registry.versions.packages import NewPackage, Package, create, describe
from tests.faults import Faults, Killed
from tests.registry.compilation.compiled_files import CARDS, FILES, report
from tests.registry.registration.training_jobs import request
from tests.running_cloud import Client, client_of, make_role, until

COMPILE_SETTINGS = CompileSettings.from_json('{"compiler": "onnx-int8"}', "image")
ARCHIVE_DIGEST = "a" * 64
_NUMBERS = itertools.count(1)
#: Every call of a publication, in the order in which each is made first.
CALLS = [
    ("sagemaker", "DescribeProcessingJob"),
    ("s3", "HeadObject"),
    ("s3", "GetObject"),
    ("s3", "ListObjectsV2"),
    ("s3", "PutObject"),
    ("sagemaker", "ListModelPackages"),
    ("sagemaker", "CreateModelPackage"),
    ("s3", "CopyObject"),
    ("sagemaker", "DescribeModelPackage"),
    ("kms", "GetPublicKey"),
    ("kms", "Sign"),
]


@dataclass
class Shop:
    """Buckets, a group, an approved student, and what a compile job left of it."""

    cloud: LocalCloud
    client: Client
    group: str
    training: str
    shipped: str
    key: str
    source: Package
    job: str

    def deployment(self, clients: dict[str, Any]) -> Deployment:
        return Deployment(clients.__getitem__, self.group, self.training, self.shipped, self.key)

    def clients(self) -> dict[str, Any]:
        client = client_of(self.cloud)
        return {name: client(name) for name in ("sagemaker", "s3", "kms")}

    def publish(self, clients: dict[str, Any] | None = None) -> str:
        deployment = self.deployment(clients or self.clients())
        return releases.publish(deployment, self.source, COMPILE_SETTINGS, self.job)

    def put(self, name: str, body: bytes) -> None:
        self.client("s3").put_object(
            Bucket=self.training, Key=f"compilations/{self.job}/{name}", Body=body
        )

    def stored(self) -> set[str]:
        found = self.client("s3").list_objects_v2(Bucket=self.shipped, Prefix="releases/")
        return {entry["Key"] for entry in found.get("Contents", [])}

    def versions(self) -> list[str]:
        rows = self.client("sagemaker").list_model_packages(ModelPackageGroupName=self.group)
        return sorted(
            row["ModelPackageDescription"].split(":")[0] for row in rows["ModelPackageSummaryList"]
        )


@pytest.fixture(autouse=True)
def outputs_of_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the job's outputs are put in its place once it has ended."""
    monkeypatch.setattr(completed_job, "CLOCK_DIFFERENCE", timedelta(hours=1))


@pytest.fixture(scope="module")
def role(cloud: LocalCloud) -> str:
    client = client_of(cloud)
    return make_role(client, f"compile-{uuid.uuid4().hex[:6]}", "sagemaker.amazonaws.com", [])


def ended_job(client: Client, role: str, bucket: str, source: Package) -> str:
    """A compile job of a version that has ended, with the record of its start."""
    name = f"compile-{source.name}-{COMPILE_SETTINGS.id}-{next(_NUMBERS)}"
    sagemaker = client("sagemaker")
    started = {
        "ProcessingJobName": name,
        "RoleArn": role,
        "AppSpecification": {
            "ImageUri": COMPILE_SETTINGS.image,
            "ContainerEntrypoint": ["python3", "-c", "pass"],
            "ContainerArguments": ["--model-sha256", ARCHIVE_DIGEST],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 10,
            }
        },
        "Environment": {"CARDS_SOURCE_PACKAGE_ARN": source.arn},
    }
    record_start(client("s3"), bucket, started)
    sagemaker.create_processing_job(**started)

    def ended() -> bool:
        answer = sagemaker.describe_processing_job(ProcessingJobName=name)
        return bool(answer["ProcessingJobStatus"] == "Completed")

    until(ended, 60)
    return name


@pytest.fixture
def shop(cloud: LocalCloud, client: Client, group: str, bucket: str, role: str) -> Shop:
    shipped = f"releases-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(
        Bucket=shipped, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    key = client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    sagemaker = client("sagemaker")
    asked = request(model_type="student")
    arn = create(
        sagemaker,
        group,
        NewPackage(
            name=parse_name("student-efficientnet-lite0-stage2-v1"),
            approval="Approved",
            summary="x",
            model_data_url="s3://bucket/model.tar.gz",
            image="image",
            metadata={
                **asked["metadata"],
                "Stage": "stage2",
                "Top1": "0.9",
                "ModelArchive": f"{ARCHIVE_DIGEST} 1",
                "CardSetDigest": CARDS,
            },
            generated_by="x",
        ),
    )
    source = describe(sagemaker, arn)
    assert source is not None
    job = ended_job(client, role, bucket, source)
    made = Shop(cloud, client, group, bucket, shipped, key["KeyMetadata"]["Arn"], source, job)
    for name, body in FILES.items():
        made.put(name, body)
    made.put("fidelity.json", json.dumps({"verdict": "passed", "figures": {}}).encode())
    made.put(
        "compilation.json",
        json.dumps(report(str(source.name), source.arn, ARCHIVE_DIGEST)).encode(),
    )
    return made


def complete(shop: Shop, release: str) -> None:
    """The release holds exactly what it should, and its versions are there once."""
    prefix = f"releases/{release}/"
    s3 = shop.client("s3")
    body = s3.get_object(Bucket=shop.shipped, Key=f"{prefix}manifest.json")["Body"].read()
    signatures = [stored_name(name, sha256(body)) for name in SIGNATURES]
    names = (*FILES, "manifest.json", "manifest.sig", *signatures)
    assert shop.stored() == {prefix + name for name in names}
    manifest = parse(body, "manifest")
    assert [step["name"] for step in manifest["lineage"]][-1].endswith("-int8-v1")
    assert manifest["card_set"]["licence"] == "CC-BY-4.0, by Ada"
    signature = s3.get_object(Bucket=shop.shipped, Key=f"{prefix}manifest.sig")["Body"].read()
    assert shop.client("kms").verify(
        KeyId=shop.key,
        Message=hashlib.sha256(body).digest(),
        MessageType="DIGEST",
        Signature=signature,
        SigningAlgorithm="ECDSA_SHA_256",
    )["SignatureValid"]
    assert shop.versions() == [
        "student-efficientnet-lite0-int8-v1",
        "student-efficientnet-lite0-onnx-v1",
        "student-efficientnet-lite0-stage2-v1",
    ]


def test_publication_is_complete_and_can_be_repeated(shop: Shop) -> None:
    release = shop.publish()
    complete(shop, release)
    assert shop.publish() == release
    complete(shop, release)


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_publication_killed_before_any_call_is_absent_and_its_repetition_complete(
    shop: Shop, service: str, operation: str
) -> None:
    clients = shop.clients()
    Faults().die_before(clients[service], operation)
    with pytest.raises(Killed):
        shop.publish(clients)
    assert not [key for key in shop.stored() if key.endswith("manifest.json")], "absent"
    complete(shop, shop.publish(clients))


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_publication_with_lost_answers_or_throttling_leaves_one_complete_release(
    shop: Shop, service: str, operation: str
) -> None:
    faults, clients = Faults(), shop.clients()
    faults.lose_answer(clients[service], operation)
    complete(shop, shop.publish(clients))


def test_publication_with_a_file_unlike_the_report_raises_and_writes_no_manifest(
    shop: Shop,
) -> None:
    shop.put("model.onnx", b"another")
    with pytest.raises(ManifestError, match=r"model\.onnx has 7 bytes"):
        shop.publish()
    assert not [key for key in shop.stored() if key.endswith("manifest.json")]


def test_publication_after_a_failed_gate_raises_and_writes_nothing(shop: Shop) -> None:
    shop.put("fidelity.json", json.dumps({"verdict": "failed"}).encode())
    with pytest.raises(CompilationError, match="did not pass"):
        shop.publish()
    assert shop.stored() == set()


def test_channel_moved_by_others_meanwhile_is_computed_again(shop: Shop) -> None:
    release = shop.publish()
    clients = shop.clients()
    deployment = shop.deployment(clients)
    faults = Faults()
    faults.client(clients["s3"])
    # Somebody else moves it twice in between: it is looked at again each time.
    faults.fail(clients["s3"], "PutObject", "PreconditionFailed", times=2, status=412)
    pointer = channel_moves.move(deployment)
    assert pointer.release == release and faults.calls["PutObject"] == 3
    assert channel_moves.move(deployment) == pointer
    assert faults.calls["PutObject"] == 3, "what is right is not written again"


def test_channel_that_others_keep_moving_raises(shop: Shop) -> None:
    shop.publish()
    clients = shop.clients()
    Faults().fail(clients["s3"], "PutObject", "PreconditionFailed", times=99, status=412)
    with pytest.raises(pointers.ChannelError, match="repeat it"):
        channel_moves.move(shop.deployment(clients))


def test_channel_of_a_rejected_version_points_to_nothing(shop: Shop) -> None:
    shop.publish()
    clients = shop.clients()
    deployment = shop.deployment(clients)
    assert channel_moves.move(deployment).release
    clients["sagemaker"].update_model_package(
        ModelPackageArn=shop.source.arn, ModelApprovalStatus="Rejected"
    )
    assert channel_moves.move(deployment).release is None
