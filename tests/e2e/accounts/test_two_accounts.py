"""Development and production in two accounts: a version goes over, and nothing else does."""

# Over 400 lines: all tests use the same two deployments, which take minutes to make.

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from registry.deployment import DeployedNames
from tests.e2e.cloud import BIN, Cloud, started
from tests.e2e.handmade import register_student
from tests.registry.releases.signatures.p256 import Key
from tests.registry.releases.signed_releases import ReleaseBucket

CLI = str(BIN / "cards")
NAME = "student-efficientnet-lite0-stage2-v1"
PRODUCTION = "222222222222"
#: Without MLflow, which one local cloud has once.
DEV = {"mlflow": "none"}
PROD = {**DEV, "environment": "prod", "group_name": "pokemon-card-production"}


@dataclass
class Account:
    """An account with what is deployed to it."""

    cloud: Cloud
    deployment: DeployedNames

    @property
    def number(self) -> str:
        return self.cloud.variables["CDK_DEFAULT_ACCOUNT"]

    @property
    def group_arn(self) -> str:
        found = self.cloud.client("sagemaker").describe_model_package_group(
            ModelPackageGroupName=self.deployment.group_name
        )
        return str(found["ModelPackageGroupArn"])

    def versions(self) -> list[dict[str, Any]]:
        return list(
            self.cloud.client("sagemaker").list_model_packages(
                ModelPackageGroupName=self.deployment.group_name
            )["ModelPackageSummaryList"]
        )

    def objects(self) -> dict[str, bytes]:
        """Every object of the training bucket."""
        s3, bucket = self.cloud.client("s3"), self.deployment.training_bucket
        return {
            row["Key"]: s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read()
            for row in s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of its own: what is registered here is none of the other tests' business."""
    with started(tmp_path_factory.mktemp("accounts")) as running:
        yield running


@pytest.fixture(scope="module")
def dev(cloud: Cloud) -> Account:
    cloud.bootstrap()
    cloud.deploy(DEV)
    return Account(cloud, cloud.deployed("dev"))


@pytest.fixture(scope="module")
def prod(cloud: Cloud) -> Account:
    theirs = cloud.account(PRODUCTION)
    theirs.bootstrap()
    theirs.deploy(PROD)
    return Account(theirs, theirs.deployed("prod"))


@pytest.fixture(scope="module")
def approved(dev: Account) -> str:
    """A version of dev that a person approved; its ARN."""
    folder = dev.cloud.folder / "cards"
    dev.cloud.must(CLI, "data", "draw", "--count", "4", "--out", str(folder))
    cards = dev.cloud.json(CLI, "data", "push", str(folder), "--json")["uri"]
    deployed = dev.deployment
    arn = register_student(
        dev.cloud, deployed.group_name, deployed.training_bucket, NAME, CardSetUri=cards
    )
    dev.cloud.client("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved"
    )
    return arn


@pytest.fixture(scope="module")
def promoted(dev: Account, prod: Account, approved: str, profiles: dict[str, str]) -> str:
    """What the command says that it registered in production."""
    answer = promote(dev, profiles)
    assert answer["from"] == approved and answer["environment"] == "prod"
    return str(answer["arn"])


@pytest.fixture(scope="module")
def profiles(cloud: Cloud) -> dict[str, str]:
    """The variables of somebody who has a profile for either account."""
    lines = []
    for name, number in (("development", "000000000000"), ("production", PRODUCTION)):
        key = cloud.variables["AWS_ACCESS_KEY_ID"] if name == "development" else number
        lines += [
            f"[profile {name}]",
            f"aws_access_key_id = {key}",
            f"aws_secret_access_key = {cloud.variables['AWS_SECRET_ACCESS_KEY']}",
            f"region = {cloud.variables['AWS_REGION']}",
            f"endpoint_url = {cloud.variables['AWS_ENDPOINT_URL']}",
        ]
    file = cloud.folder / "aws-config"
    file.write_text("\n".join(lines) + "\n")
    own = {k: v for k, v in cloud.variables.items() if not k.startswith("AWS_")}
    return {
        **own,
        "AWS_CONFIG_FILE": str(file),
        "AWS_PROFILE": "development",
        "AWS_REGION": cloud.variables["AWS_REGION"],
    }


def promote(dev: Account, profiles: dict[str, str]) -> dict[str, Any]:
    """The command, with profiles and no keys of its caller's."""
    person = Cloud(profiles, dev.cloud.folder)
    return dict(
        person.json(
            CLI, "registry", "promote", NAME, "--to", "prod", "--to-profile", "production", "--json"
        )
    )


def test_two_accounts_have_deployments_of_their_own(dev: Account, prod: Account) -> None:
    assert f":{dev.number}:" in dev.group_arn and f":{PRODUCTION}:" in prod.group_arn
    assert dev.number != PRODUCTION
    for account in (dev, prod):
        assert account.number in account.deployment.training_bucket
        assert f":{account.number}:" in account.deployment.signing_key_arn
        assert f":{account.number}:" in account.deployment.compile_role_arn
    buckets = {
        account.number: {
            row["Name"] for row in account.cloud.client("s3").list_buckets()["Buckets"]
        }
        for account in (dev, prod)
    }
    assert not buckets[dev.number] & buckets[PRODUCTION]


def test_promoted_version_waits_in_production_with_where_it_came_from(
    dev: Account, prod: Account, approved: str, promoted: str
) -> None:
    (row,) = prod.versions()
    assert row["ModelPackageArn"] == promoted and f":{PRODUCTION}:" in promoted
    there = prod.cloud.client("sagemaker").describe_model_package(ModelPackageName=promoted)
    assert there["ModelApprovalStatus"] == "PendingManualApproval"
    metadata = there["CustomerMetadataProperties"]
    assert metadata["PromotedFrom"] == approved and metadata["ModelName"] == NAME
    assert metadata["CardSetUri"].startswith(f"s3://{prod.deployment.training_bucket}/cards/")
    (container,) = there["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith(f"s3://{prod.deployment.training_bucket}/")


def test_its_objects_are_in_productions_bucket_and_dev_is_as_it_was(
    dev: Account, prod: Account, promoted: str
) -> None:
    here, there = dev.objects(), prod.objects()
    assert there[f"jobs/promoted-{NAME}/output/model.tar.gz"] == b"by hand"
    cards = {key: body for key, body in here.items() if key.startswith("cards/")}
    assert len(cards) > 4 and cards.items() <= there.items()
    assert not [key for key in here if "promoted" in key]
    assert [row["ModelPackageArn"] for row in dev.versions() if f":{PRODUCTION}:" in str(row)] == []


def test_second_promotion_does_nothing(
    dev: Account, prod: Account, promoted: str, profiles: dict[str, str]
) -> None:
    s3, bucket = prod.cloud.client("s3"), prod.deployment.training_bucket

    def stored() -> list[tuple[str, str]]:
        found = s3.list_object_versions(Bucket=bucket)["Versions"]
        return [(row["Key"], row["VersionId"]) for row in found]

    before, versions = stored(), prod.versions()
    assert promote(dev, profiles)["arn"] == promoted
    assert stored() == before
    assert prod.versions() == versions


@pytest.fixture(scope="module")
def role_of_prod(dev: Account, prod: Account) -> boto3.Session:
    """A role of production whose own policy would let it read, and approve, all of dev."""
    iam, name = prod.cloud.client("iam"), "looks-at-development"
    trust = {"Effect": "Allow", "Principal": {"AWS": PRODUCTION}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    versions = dev.group_arn.replace(":model-package-group/", ":model-package/") + "/*"
    rights = [
        (["s3:GetObject", "s3:ListBucket", "s3:PutObject"], ["arn:aws:s3:::*"]),
        (
            [
                "sagemaker:DescribeModelPackageGroup",
                "sagemaker:DescribeModelPackage",
                "sagemaker:ListModelPackages",
                "sagemaker:UpdateModelPackage",
            ],
            [dev.group_arn, versions],
        ),
    ]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="own",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": actions, "Resource": resources}
                    for actions, resources in rights
                ],
            }
        ),
    )
    keys = prod.cloud.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{PRODUCTION}:role/{name}", RoleSessionName="test"
    )["Credentials"]
    return boto3.Session(
        keys["AccessKeyId"],
        keys["SecretAccessKey"],
        keys["SessionToken"],
        region_name=prod.cloud.variables["AWS_REGION"],
    )


@dataclass
class Reader:
    """What production's role tries on what is dev's."""

    session: boto3.Session
    dev: Account

    def client(self, service: str) -> Any:
        endpoint = self.dev.cloud.variables["AWS_ENDPOINT_URL"]
        return self.session.client(service, endpoint_url=endpoint)

    def describe(self, arn: str) -> Any:
        return self.client("sagemaker").describe_model_package(ModelPackageName=arn)

    def versions(self) -> Any:
        return self.client("sagemaker").list_model_packages(
            ModelPackageGroupName=self.dev.group_arn
        )

    def approve(self, arn: str) -> Any:
        return self.client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Approved"
        )

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def put(self, bucket: str, key: str) -> Any:
        return self.client("s3").put_object(Bucket=bucket, Key=key, Body=b"no")

    def listed(self, bucket: str, prefix: str) -> list[str]:
        found = self.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [row["Key"] for row in found.get("Contents", [])]


@pytest.fixture
def reader(role_of_prod: boto3.Session, dev: Account) -> Reader:
    return Reader(role_of_prod, dev)


@pytest.fixture(scope="module")
def release(dev: Account) -> str:
    """Something in each place of dev's release bucket; the release's key."""
    put, bucket = dev.cloud.client("s3").put_object, dev.deployment.release_bucket
    for key in ("releases/r/manifest.json", "channels/other.json", "keys/1.pem", "else/x"):
        put(Bucket=bucket, Key=key, Body=key.encode())
    return "releases/r/manifest.json"


@dataclass(frozen=True)
class DeployedKey(Key):
    """The signing key of a deployment, used as its publisher does."""

    account: Account | None = None

    def sign(self, message: bytes) -> bytes:
        assert self.account
        answer = self.account.cloud.client("kms").sign(
            KeyId=self.account.deployment.signing_key_arn,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return bytes(answer["Signature"])


def publish_signed(dev: Account) -> None:
    """A release in stable of dev, signed as dev's publisher signs."""
    made = ReleaseBucket(DeployedKey(account=dev))
    made.publish("signed")
    made.point(
        "signed",
        1,
        deployment=f"dev/{dev.number}/{dev.cloud.variables['AWS_REGION']}",
        lifetime=timedelta(days=36500),
    )
    for key, body in made.objects.items():
        dev.cloud.client("s3").put_object(Bucket=dev.deployment.release_bucket, Key=key, Body=body)


def device(role_of_prod: boto3.Session, dev: Account) -> Cloud:
    """A device of production's account with the role, without any parameter of dev's."""
    keys = role_of_prod.get_credentials()
    assert keys and keys.token
    own = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
        "CARDS_TRUST_STORE": str(dev.cloud.folder / "device"),
    }
    return Cloud({**dev.cloud.variables, **own}, dev.cloud.folder)


def refused(ask: Any) -> bool:
    """Whether AWS denies it; anything else that goes wrong is the test's own fault."""
    try:
        ask()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
        return True
    return False


def test_production_can_read_nothing_of_dev(
    reader: Reader, dev: Account, approved: str, promoted: str, release: str
) -> None:
    training, releases = dev.deployment.training_bucket, dev.deployment.release_bucket
    assert refused(lambda: reader.describe(approved))
    assert refused(reader.versions)
    assert refused(lambda: reader.get(training, "jobs/by-hand/output/model.tar.gz"))
    assert refused(lambda: reader.listed(training, "cards/"))
    assert refused(lambda: reader.get(releases, release))
    assert refused(lambda: reader.listed(releases, "releases/"))


def test_reader_account_looks_at_models_and_pulls_releases_and_no_more(
    reader: Reader,
    role_of_prod: boto3.Session,
    dev: Account,
    approved: str,
    promoted: str,
    release: str,
) -> None:
    """Last in this file: dev is deployed again, with production as one of its readers."""
    publish_signed(dev)
    trust_file, out = dev.cloud.folder / "dev.trust.json", dev.cloud.folder / "pulled"
    dev.cloud.must(CLI, "release", "trust", "--out", str(trust_file))
    there = device(role_of_prod, dev)
    there.must(CLI, "release", "trust", "--key", str(trust_file), "--yes")
    denied = there.run(CLI, "release", "pull", "--out", str(out))
    assert denied.returncode == 1 and "AccessDenied" in denied.stderr and not out.exists()
    dev.cloud.deploy({**DEV, "reader_accounts": PRODUCTION})
    training, releases = dev.deployment.training_bucket, dev.deployment.release_bucket
    assert reader.describe(approved)["ModelPackageArn"] == approved
    assert approved in {
        row["ModelPackageArn"] for row in reader.versions()["ModelPackageSummaryList"]
    }
    for key in (release, "channels/other.json", "keys/1.pem"):
        assert reader.get(releases, key) == key.encode()
    assert release in reader.listed(releases, "releases/")
    there.must(CLI, "release", "pull", "--out", str(out))
    there.must(CLI, "release", "verify", str(out))
    for ask in (
        lambda: reader.approve(approved),
        lambda: reader.get(releases, "else/x"),
        lambda: reader.listed(releases, ""),
        lambda: reader.put(releases, "channels/stable.json"),
        lambda: reader.get(training, "jobs/by-hand/output/model.tar.gz"),
        lambda: reader.listed(training, "cards/"),
    ):
        assert refused(ask)
    dev.cloud.deploy(DEV)
    assert refused(lambda: reader.describe(approved)), "taken back with the setting"
    assert refused(lambda: reader.get(releases, release))
