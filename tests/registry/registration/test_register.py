"""From a training job's end to one version, whatever happens on the way."""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from registry.deployment import Deployment
from registry.registration import job_archives
from registry.registration.register import Registration, register_training_job
from registry.registration.request import RegistrationError
from registry.versions import report_page
from registry.versions.metadata import PAIR_LIMIT
from registry.versions.packages import Package, describe, iterate
from tests.faults import Faults, Killed
from tests.registry.registration.training_jobs import TrainingJobs, request
from tests.running_cloud import Client, client_of, until

#: Every call that a first registration makes.
CALLS = [
    ("sagemaker", "DescribeTrainingJob"),
    ("s3", "GetObject"),
    ("s3", "ListObjectsV2"),
    ("s3", "PutObject"),
    ("sagemaker", "ListModelPackages"),
    ("sagemaker", "CreateModelPackage"),
]


@pytest.fixture(scope="module")
def jobs(cloud: LocalCloud) -> TrainingJobs:
    client = client_of(cloud)
    client("s3").create_bucket(
        Bucket="jobs-bucket", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    client("s3").put_bucket_versioning(
        Bucket="jobs-bucket", VersioningConfiguration={"Status": "Enabled"}
    )
    return TrainingJobs.in_bucket(client, "jobs-bucket")


@pytest.fixture(scope="module")
def completed(jobs: TrainingJobs) -> str:
    return jobs.run(request())


@pytest.fixture(scope="module")
def failed(jobs: TrainingJobs) -> str:
    return jobs.run(
        request(),
        fails="the data is bad (row 7);\nsee the log",
        line="student-efficientnet-lite0-stage1",
    )


@pytest.fixture(autouse=True)
def no_names_claimed(jobs: TrainingJobs) -> None:
    s3 = jobs.client("s3")
    found = s3.list_objects_v2(Bucket=jobs.bucket, Prefix="names/").get("Contents", [])
    for entry in found:
        s3.delete_object(Bucket=jobs.bucket, Key=entry["Key"])


def register(client: Client, jobs: TrainingJobs, group: str, job: str) -> Registration:
    return register_training_job(Deployment(client, group, jobs.bucket, "releases"), job)


def versions(client: Client, group: str) -> list[Package]:
    sagemaker = client("sagemaker")
    rows = [describe(sagemaker, row.arn) for row in iterate(sagemaker, group)]
    return [row for row in rows if row]


def claims(jobs: TrainingJobs) -> list[str]:
    found = jobs.client("s3").list_objects_v2(Bucket=jobs.bucket, Prefix="names/")
    return [entry["Key"] for entry in found.get("Contents", [])]


def test_completed_job_is_one_version_with_what_was_measured(
    client: Client, jobs: TrainingJobs, group: str, completed: str
) -> None:
    made = register(client, jobs, group, completed)
    assert (made.outcome, made.name) == ("registered", "teacher-vit-tiny-phase2-v1")
    (version,) = versions(client, group)
    job = client("sagemaker").describe_training_job(TrainingJobName=completed)
    assert version.approval == "Approved"
    assert version.model_data_url == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert version.metadata["Top1"] == "0.9" and version.metadata["Queries"] == "920"
    assert version.metadata["Validation"] == "passed"
    assert version.metadata["InstanceType"] == "ml.m5.xlarge"
    assert int(version.metadata["TrainingSeconds"]) >= 0
    # SageMaker takes no brackets, semicolons and per cent signs in values.
    assert version.metadata["Architecture"] == "vit_small depth 1 / width 64"
    assert version.metadata["TrainingApproach"] == "arcface 1 / 25 percent virtual cards"
    assert version.commit == "abc123" and version.generated_by == job["TrainingJobArn"]
    assert "top-1 0.900 of 920 unseen views" in version.description
    assert len(version.metadata) <= PAIR_LIMIT


def test_registered_version_names_the_bytes_of_both_archives(
    client: Client, jobs: TrainingJobs, group: str, completed: str
) -> None:
    register(client, jobs, group, completed)
    (version,) = versions(client, group)
    folder = version.model_data_url.rpartition("/")[0].removeprefix(f"s3://{jobs.bucket}/")
    for key, file in (("ModelArchive", "model.tar.gz"), ("OutputArchive", "output.tar.gz")):
        answer = client("s3").get_object(Bucket=jobs.bucket, Key=f"{folder}/{file}")
        digest = hashlib.sha256(answer["Body"].read()).hexdigest()
        assert version.metadata[key] == f"{digest} {answer['VersionId']}"


def test_page_of_the_job_can_be_opened_and_is_named_by_its_digest(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    text = "<!doctype html><p>what a person reads</p>"
    made = register(client, jobs, group, jobs.run(request(), page=text))
    (version,) = versions(client, group)
    uri = f"s3://{jobs.bucket}/report-pages/{made.name}.html"
    assert version.description.endswith(f"; page to read: {uri}")
    stored = client("s3").get_object(Bucket=jobs.bucket, Key=f"report-pages/{made.name}.html")
    assert stored["ContentType"].startswith("text/html") and stored["Body"].read() == text.encode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert version.metadata["ReportPage"] == f"{digest} {stored['VersionId']}"
    answer = client("sagemaker").describe_model_package(ModelPackageName=made.arn)
    card = json.loads(answer["ModelCard"]["ModelCardContent"])
    assert card["additional_information"]["custom_details"]["ReportPageUri"] == uri
    read = report_page.read(client("s3"), jobs.bucket, version)
    assert read == text.encode()
    client("s3").put_object(Bucket=jobs.bucket, Key=f"report-pages/{made.name}.html", Body=b"other")
    with pytest.raises(report_page.ReportPageError, match="is not the page that was registered"):
        report_page.read(client("s3"), jobs.bucket, version)


@pytest.mark.parametrize("file", ["model.tar.gz", "output.tar.gz"])
def test_archive_written_after_the_job_has_ended_is_registered_as_failed(
    client: Client, jobs: TrainingJobs, group: str, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """Another job of the same role may write there; SageMaker itself has finished by then."""
    monkeypatch.setattr(job_archives, "CLOCK_DIFFERENCE", timedelta(0))
    job = jobs.run(request())
    described = client("sagemaker").describe_training_job(TrainingJobName=job)
    address = described["ModelArtifacts"]["S3ModelArtifacts"]
    key = f"{address.removeprefix(f's3://{jobs.bucket}/').rpartition('/')[0]}/{file}"
    body = client("s3").get_object(Bucket=jobs.bucket, Key=key)["Body"].read()

    def written_later() -> bool:
        client("s3").put_object(Bucket=jobs.bucket, Key=key, Body=body)
        found = client("s3").head_object(Bucket=jobs.bucket, Key=key)
        return bool(found["LastModified"] > described["TrainingEndTime"])

    until(written_later, 10)
    made = register(client, jobs, group, job)
    assert made.outcome == "registered as failed"
    assert f"{file} was written at" in made.detail and "after the job had ended" in made.detail


def test_console_finds_metrics_and_a_model_card(
    client: Client, jobs: TrainingJobs, group: str, completed: str
) -> None:
    made = register(client, jobs, group, completed)
    answer = client("sagemaker").describe_model_package(ModelPackageName=made.arn)
    statistics = answer["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics["ContentType"] == "application/json"
    bucket, _, key = statistics["S3Uri"].removeprefix("s3://").partition("/")
    report = json.loads(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    accuracy = report["multiclass_classification_metrics"]["accuracy"]
    assert accuracy["value"] == 0.9
    assert accuracy["standard_deviation"] == pytest.approx((0.09 / 920) ** 0.5)
    # Every metric is in the report, also those for which the metadata has no room.
    assert report["card_retrieval_metrics"]["mean_similarity"] == {"value": 0.8}
    assert report["card_retrieval_metrics"]["top1"]["interval_95"] == [0.87, 0.92]
    card = json.loads(answer["ModelCard"]["ModelCardContent"])
    assert card["training_details"]["training_job_details"]["training_datasets"] == [
        f"s3://{jobs.bucket}/cards/"
    ]
    assert answer["ModelCard"]["ModelCardStatus"] == "Approved"


def test_repeated_registration_finds_its_version(
    client: Client, jobs: TrainingJobs, group: str, completed: str
) -> None:
    first = register(client, jobs, group, completed)
    again = register(client, jobs, group, completed)
    assert (again.outcome, again.arn, again.name) == ("already registered", first.arn, first.name)
    assert len(versions(client, group)) == 1


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_killed_before_any_call_and_repeated_it_is_one_version(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str, service: str, operation: str
) -> None:
    clients = {name: client_of(cloud)(name) for name in ("s3", "sagemaker")}
    Faults().die_before(clients[service], operation)
    with pytest.raises(Killed):
        register(clients.__getitem__, jobs, group, completed)
    again = register(clients.__getitem__, jobs, group, completed)
    assert again.name == "teacher-vit-tiny-phase2-v1"
    assert [str(version.name) for version in versions(client_of(cloud), group)] == [again.name]
    assert claims(jobs) == ["names/teacher-vit-tiny-phase2/v1.json"]


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_lost_response_creates_no_second_version(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str, service: str, operation: str
) -> None:
    faults = Faults()
    clients = {name: faults.client(client_of(cloud)(name)) for name in ("s3", "sagemaker")}
    faults.lose_answer(clients[service], operation)
    made = register(clients.__getitem__, jobs, group, completed)
    assert made.name == "teacher-vit-tiny-phase2-v1"
    assert len(versions(client_of(cloud), group)) == 1
    assert claims(jobs) == ["names/teacher-vit-tiny-phase2/v1.json"]


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_throttled_calls_are_retried(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str, service: str, operation: str
) -> None:
    faults = Faults()
    clients = {name: faults.client(client_of(cloud)(name)) for name in ("s3", "sagemaker")}
    faults.throttle(clients[service], operation)
    assert register(clients.__getitem__, jobs, group, completed).outcome == "registered"
    assert len(versions(client_of(cloud), group)) == 1


def test_temporary_aws_error_raises_and_registers_nothing(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str
) -> None:
    clients = {name: client_of(cloud)(name) for name in ("s3", "sagemaker")}
    faults = Faults()
    faults.fail(clients["s3"], "GetObject", "InternalError", times=99, status=400)
    with pytest.raises(ClientError):
        register(clients.__getitem__, jobs, group, completed)
    assert versions(client_of(cloud), group) == []


def test_two_registrations_at_the_same_moment_are_one_version(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str
) -> None:
    outcomes: list[Registration] = []
    start = threading.Barrier(4)

    def run() -> None:
        client = client_of(cloud)
        clients = {name: client(name) for name in ("s3", "sagemaker")}
        start.wait()
        outcomes.append(register(clients.__getitem__, jobs, group, completed))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({outcome.arn for outcome in outcomes}) == 1 and len(outcomes) == 4
    assert len(versions(client_of(cloud), group)) == 1


def test_failed_run_is_a_rejected_version_with_its_reason(
    client: Client, jobs: TrainingJobs, group: str, failed: str
) -> None:
    made = register(client, jobs, group, failed)
    assert made.outcome == "registered as failed"
    assert made.name == "student-efficientnet-lite0-stage1-v1"
    (version,) = versions(client, group)
    assert version.approval == "Rejected"
    assert "the data is bad (row 7); see the log" in version.description
    assert "the data is bad row 7 / see the log" in version.metadata["FailureReason"]
    assert version.metadata["Recipe"] == "tiny"
    assert version.metadata["TrainingJob"] == failed
    assert version.model_data_url == "", "there is no model"
    assert register(client, jobs, group, failed).outcome == "already registered"


def test_failed_run_counts_in_its_line_of_names(
    client: Client, jobs: TrainingJobs, group: str, completed: str
) -> None:
    job = jobs.run(request(), fails="out of memory")
    assert register(client, jobs, group, completed).name == "teacher-vit-tiny-phase2-v1"
    assert register(client, jobs, group, job).name == "teacher-vit-tiny-phase2-v2"


DAMAGED: dict[str, tuple[Any, str]] = {
    "no request": (None, "registration.json is not in it"),
    "not JSON": ("{", "registration.json"),
    "incomplete": (
        request(metadata={"Architecture": "x"}),
        "Parameters is missing",
    ),
    "contradictory": (request(metrics={"top1": 0.9, "top5": 0.5}), "Top1 0.9 is above Top5"),
    "a parent of nobody": (
        request(
            model_type="student",
            stage="stage1",
            parent_model_package_arn="arn:aws:sagemaker:us-east-2:000000000000:"
            "model-package/nothing/1",
        ),
        "is no named version",
    ),
    "another line": (request(architecture="vit-other"), "was submitted for"),
    "a key of the registry's own": (
        request(metadata={**request()["metadata"], "Validation": "passed"}),
        "written by the registry alone",
    ),
}


@pytest.mark.parametrize(("asks", "words"), DAMAGED.values(), ids=DAMAGED.keys())
def test_completed_job_with_a_damaged_request_is_registered_as_failed(
    client: Client, jobs: TrainingJobs, group: str, asks: Any, words: str
) -> None:
    line = "teacher-vit-tiny-phase2"
    if isinstance(asks, dict) and asks["model_type"] == "student":
        line = "student-efficientnet-lite0-stage1"
    made = register(client, jobs, group, jobs.run(asks, line=line))
    assert made.outcome == "registered as failed" and words in made.detail
    (version,) = versions(client, group)
    assert version.approval == "Rejected" and str(version.name) == f"{line}-v1"
    assert words in version.description


def test_failed_job_without_a_line_raises(client: Client, jobs: TrainingJobs, group: str) -> None:
    job = jobs.run(request(), fails="bad", line="")
    with pytest.raises(RegistrationError, match="CARDS_MODEL_LINE"):
        register(client, jobs, group, job)
    assert versions(client, group) == []


def test_job_of_another_deployment_is_ignored(
    client: Client, jobs: TrainingJobs, group: str
) -> None:
    job = jobs.run(request(), prefix="elsewhere")
    assert register(client, jobs, group, job).outcome == "not ours"
    assert register(client, jobs, group, "no-such-job").outcome == "not ours"
    assert versions(client, group) == []


def test_older_version_s_name_is_not_searched_for_in_the_whole_group(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str
) -> None:
    sagemaker = client_of(cloud)("sagemaker")
    seen: list[dict[str, Any]] = []
    sagemaker.meta.events.register(
        "provide-client-params.sagemaker.ListModelPackages",
        lambda params, **_: seen.append(params),
    )
    clients = {"sagemaker": sagemaker, "s3": client_of(cloud)("s3")}
    register(clients.__getitem__, jobs, group, completed)
    job = sagemaker.describe_training_job(TrainingJobName=completed)
    assert [params["CreationTimeAfter"] for params in seen] == [job["CreationTime"]]


def test_clients_with_other_retry_settings_work(
    cloud: LocalCloud, jobs: TrainingJobs, group: str, completed: str
) -> None:
    """Lambda's own configuration may choose another retry mode."""
    environment = cloud.env()
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    faults = Faults()
    clients = {
        name: session.client(
            name,
            endpoint_url=cloud.endpoint,
            config=Config(retries={"mode": "standard", "max_attempts": 4}),
        )
        for name in ("s3", "sagemaker")
    }
    faults.throttle(clients["sagemaker"], "CreateModelPackage", times=2)
    assert register(clients.__getitem__, jobs, group, completed).outcome == "registered"
