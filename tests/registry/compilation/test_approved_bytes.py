"""What a person approved is what is compiled and released, by digest; another job's is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from registry.compilation import approved_model
from registry.compilation.job_identity import (
    ForeignJobError,
    identity,
    require_started_here,
)
from registry.object_identity import ObjectIdentity
from registry.versions.metadata import COMPILE_FAILURE, MODEL_ARCHIVE, RELEASE
from registry.versions.packages import Package, describe
from tests.registry.automation.automation_world import World, functions
from tests.registry.compilation.compiled_files import FILES, report
from tests.registry.memory_aws import RELEASES, TRAINING, error

NAME = "student-efficientnet-lite0-stage2-v1"
ARCHIVE_KEY = "jobs/job-1/output/model.tar.gz"


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


@pytest.fixture
def world(code: list[dict[str, ModuleType]]) -> World:
    return World(code)


def metadata(world: World, arn: str) -> dict[str, str]:
    return dict(world.aws.packages[arn]["CustomerMetadataProperties"])


def package(world: World, arn: str) -> Package:
    found = describe(world.aws.client("sagemaker"), arn)
    assert found
    return found


def model_of(job: dict[str, Any]) -> str:
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in job["ProcessingInputs"]}
    return str(inputs["model"])


def manifest(world: World) -> dict[str, Any]:
    (key,) = [
        key for bucket, key in world.aws.objects if bucket == RELEASES and "manifest.json" in key
    ]
    return dict(json.loads(world.aws.objects[RELEASES, key][0]))


def test_compile_job_with_overwritten_archive_reads_the_registered_bytes(world: World) -> None:
    """Another training job has written its own student to the registered version's address."""
    arn = world.register()
    registered = world.aws.objects[TRAINING, ARCHIVE_KEY][0]
    world.aws._store((TRAINING, ARCHIVE_KEY), b"another student")
    world.decide(arn, "Approved")
    world.drain()
    (name,) = world.active()
    address = model_of(world.aws.jobs[name])
    digest = hashlib.sha256(registered).hexdigest()
    assert address == f"s3://{TRAINING}/approved/{NAME}/{digest}/model.tar.gz"
    assert world.aws.objects[TRAINING, f"approved/{NAME}/{digest}/model.tar.gz"][0] == registered
    words = world.aws.jobs[name]["AppSpecification"]["ContainerArguments"]
    assert words[words.index("--model-sha256") + 1] == digest
    world.rest()
    assert manifest(world)["model_archive"] == {"sha256": digest}


def test_version_whose_registered_bytes_are_gone_is_recorded_as_failed(world: World) -> None:
    arn = world.register()
    world.aws._store((TRAINING, ARCHIVE_KEY), b"another student")
    # The life-cycle rule has removed the overwritten version.
    world.aws.object_versions[TRAINING, ARCHIVE_KEY].clear()
    world.decide(arn, "Approved")
    world.rest()
    assert world.aws.jobs == {}
    assert "registered S3 version" in metadata(world, arn)[COMPILE_FAILURE]
    assert len(world.aws.told) == 1


@pytest.mark.parametrize(
    "address", ["s3://no-such-bucket/model.tar.gz", "s3://No Bucket/model.tar.gz", "https://a/b"]
)
def test_archive_in_a_bucket_that_does_not_exist_is_recorded_as_failed(
    world: World, address: str
) -> None:
    arn = world.register()
    (container,) = world.aws.packages[arn]["InferenceSpecification"]["Containers"]
    container["ModelDataUrl"] = address
    world.decide(arn, "Approved")
    world.rest()
    assert world.aws.jobs == {}
    assert address in metadata(world, arn)[COMPILE_FAILURE]
    assert len(world.aws.told) == 1


def test_archive_digest_that_is_no_digest_is_recorded_as_failed(world: World) -> None:
    arn = world.register()
    world.aws.packages[arn]["CustomerMetadataProperties"][MODEL_ARCHIVE] = "latest"
    world.decide(arn, "Approved")
    world.rest()
    assert world.aws.jobs == {}
    assert "is no digest" in metadata(world, arn)[COMPILE_FAILURE]


def test_copy_of_other_bytes_than_registered_is_refused(world: World) -> None:
    arn = world.register()
    world.aws.packages[arn]["CustomerMetadataProperties"][MODEL_ARCHIVE] = f"{'0' * 64} 0"
    with pytest.raises(approved_model.ApprovedModelError, match="digest that was registered"):
        approved_model.pin(world.aws.client("s3"), TRAINING, package(world, arn))


def unrecorded(world: World) -> str:
    """A version from before digests were recorded."""
    arn = world.register()
    del world.aws.packages[arn]["CustomerMetadataProperties"][MODEL_ARCHIVE]
    return arn


def test_version_without_digest_is_compiled_from_the_first_copy(world: World) -> None:
    arn, s3 = unrecorded(world), world.aws.client("s3")
    first = approved_model.pin(s3, TRAINING, package(world, arn))
    assert first.sha256 == hashlib.sha256(f"the archive of {NAME}".encode()).hexdigest()
    assert approved_model.pin(s3, TRAINING, package(world, arn)) == first
    world.decide(arn, "Approved")
    world.rest()
    assert metadata(world, arn)[RELEASE]


def test_version_without_digest_that_was_overwritten_later_is_refused(world: World) -> None:
    arn = unrecorded(world)
    world.later()
    world.aws._store((TRAINING, ARCHIVE_KEY), b"another student")
    world.decide(arn, "Approved")
    world.rest()
    assert world.aws.jobs == {}
    assert "written after the version was registered" in metadata(world, arn)[COMPILE_FAILURE]


def test_identity_that_is_written_is_read_again() -> None:
    for known in (ObjectIdentity("a" * 64, "3/L4kqtJ.x-_+"), ObjectIdentity("0" * 64)):
        assert ObjectIdentity.parse(str(known)) == known
    for text in ("", "latest", "a" * 63, "A" * 64, f"{'a' * 64} x y", f"{'a' * 64} \x1b"):
        assert ObjectIdentity.parse(text) is None, text


# ---- Jobs that this deployment did not start


Change = Callable[[dict[str, Any]], object]


def _argument(job: dict[str, Any], name: str, value: str) -> None:
    words = job["AppSpecification"]["ContainerArguments"]
    words[words.index(name) + 1] = value


FOREIGN: dict[str, Change] = {
    "role": lambda job: job.update(RoleArn="arn:aws:iam::123456789012:role/data-science"),
    "image": lambda job: job["AppSpecification"].update(ImageUri="another"),
    "entry point": lambda job: job["AppSpecification"].update(ContainerEntrypoint=["bash"]),
    "arguments": lambda job: _argument(job, "--cards-digest", "0" * 64),
    "inputs": lambda job: job["ProcessingInputs"][0]["S3Input"].update(S3Uri="s3://b/code.zip"),
    "outputs": lambda job: job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"].update(
        S3Uri="s3://elsewhere/x"
    ),
    "environment": lambda job: job["Environment"].update(PYTHONPATH="/opt/ml"),
    "subnets": lambda job: job.update(NetworkConfig={"VpcConfig": {"Subnets": ["subnet-9"]}}),
    "name": lambda job: None,
}


def foreign_job(world: World, arn: str, what: str) -> str:
    """A job of the right name that somebody else created, and what it left."""
    scratch = World(world.code)
    scratch.decide(scratch.register(), "Approved")
    scratch.drain()
    (name,) = scratch.active()
    job = scratch.aws.jobs[name]
    job["AppSpecification"] = {
        key: list(value) if isinstance(value, list) else value
        for key, value in job["AppSpecification"].items()
    }
    FOREIGN[what](job)
    world.__post_init__()
    world.aws.jobs[name] = job
    files = {
        **FILES,
        "compilation.json": json.dumps(report(NAME, arn, "f" * 64)).encode(),
        "fidelity.json": json.dumps({"verdict": "passed", "reasons": []}).encode(),
    }
    for file, body in files.items():
        world.aws._store((TRAINING, f"compilations/{name}/{file}"), body)
    world.aws.end_job(name, "Completed")
    return str(name)


@pytest.mark.parametrize("what", FOREIGN)
def test_job_that_was_not_started_here_is_ignored_and_compiled_again(
    world: World, what: str
) -> None:
    """Even a perfect copy of the job's description, unless this deployment recorded its start."""
    arn = world.register()
    foreign = foreign_job(world, arn, what)
    world.decide(arn, "Approved")
    world.rest()
    own = [name for name in world.aws.jobs if name != foreign]
    assert [name.rpartition("-")[2] for name in own] == ["2"]
    assert manifest(world)["compile_job"].endswith(own[0])
    assert metadata(world, arn)[RELEASE]


@pytest.mark.parametrize("what", [each for each in FOREIGN if each != "name"])
def test_recorded_job_that_is_described_otherwise_is_ignored(world: World, what: str) -> None:
    """What differs from the record of the start is named."""
    arn = world.register()
    world.decide(arn, "Approved")
    world.drain()
    (name,) = world.active()
    FOREIGN[what](world.aws.jobs[name])
    world.end_job(name, "passed")
    said: list[str] = []
    convert = world.code[0]["compile"].handler
    said.append(convert({"detail": {"ModelPackageArn": arn}}, None)["result"])
    assert f"its {what} is not what was started" in said[0]
    assert not world.complete_releases()


@pytest.mark.parametrize("body", [b"\xff{", b"[]", b'{"role": ', b"[" * 100_000, b"{}" * 40_000])
def test_job_whose_record_is_damaged_is_foreign(world: World, body: bytes) -> None:
    arn = world.register()
    world.decide(arn, "Approved")
    world.drain()
    (name,) = world.active()
    ((bucket, record),) = [key for key in world.aws.objects if f"/{name}/" in key[1]]
    world.aws._store((bucket, record.rpartition("/")[0] + f"/{'0' * 64}.json"), body)
    # The record that is whole still describes the job, whatever lies beside it.
    require_started_here(world.aws.client("s3"), bucket, world.aws.jobs[name])
    FOREIGN["role"](world.aws.jobs[name])
    with pytest.raises(ForeignJobError, match="its role is not what was started"):
        require_started_here(world.aws.client("s3"), bucket, world.aws.jobs[name])
    del world.aws.objects[bucket, record]
    with pytest.raises(ForeignJobError, match="it has no record of having been started"):
        require_started_here(world.aws.client("s3"), bucket, world.aws.jobs[name])


def test_foreign_jobs_do_not_use_up_the_attempts(world: World) -> None:
    """However many there are: the version is compiled by a job of its own."""
    arn = world.register()
    name = foreign_job(world, arn, "role")
    names = [f"{name.rpartition('-')[0]}-{number}" for number in (1, 2, 3, 999_999)]
    job = world.aws.jobs.pop(name)
    world.aws.jobs |= {each: {**job, "ProcessingJobName": each} for each in names}
    world.decide(arn, "Approved")
    world.rest()
    (own,) = set(world.aws.jobs) - set(names)
    assert own.endswith("-4") and manifest(world)["compile_job"].endswith(own)
    assert metadata(world, arn)[RELEASE]


def test_job_that_read_another_archive_publishes_nothing(world: World) -> None:
    arn = world.register()
    world.decide(arn, "Approved")
    world.drain()
    (name,) = world.active()
    world._write_outputs(name, arn, "passed")
    world.aws._store(
        (TRAINING, f"compilations/{name}/compilation.json"),
        json.dumps(report(NAME, arn, "f" * 64)).encode(),
    )
    world.aws.end_job(name, "Completed")
    world.drain()
    assert "and read ffffffffffff" in metadata(world, arn)[COMPILE_FAILURE]
    assert not world.complete_releases()


def test_output_written_after_the_job_has_ended_publishes_nothing(world: World) -> None:
    """Another compile job's role may write there; SageMaker itself has finished by then."""
    arn = world.register()
    world.decide(arn, "Approved")
    world.drain()
    (name,) = world.active()
    world.end_job(name, "passed")
    world.aws.clock += timedelta(minutes=1)
    key = f"compilations/{name}/model.onnx"
    world.aws._store((TRAINING, key), FILES["model.onnx"])
    world.drain()
    assert "after the job had ended" in metadata(world, arn)[COMPILE_FAILURE]
    assert not world.complete_releases()


def test_archive_that_the_functions_may_not_read_is_recorded_as_failed(world: World) -> None:
    arn = world.register()
    world.decide(arn, "Approved")

    def denied(operation: str, when: str) -> None:
        if operation == "HeadObject" and when == "before":
            raise error(operation, "403", status=403)

    world.aws.around = denied
    found = approved_model.fault(world.aws.client("s3"), package(world, arn))
    assert "may not read" in found


def test_job_that_read_another_card_set_publishes_nothing(world: World) -> None:
    arn = world.register()
    world.decide(arn, "Approved")
    world.drain()
    world.aws.packages[arn]["CustomerMetadataProperties"]["CardSetDigest"] = "e" * 64
    world.rest()
    assert "trained on the card set eeeeeeeeeeee" in metadata(world, arn)[COMPILE_FAILURE]
    assert not world.complete_releases()


def test_identity_ignores_what_sagemaker_adds_to_a_request(world: World) -> None:
    world.decide(world.register(), "Approved")
    world.drain()
    (name,) = world.active()
    job = world.aws.jobs[name]
    described = json.loads(json.dumps(job, default=str))
    for each in described["ProcessingInputs"]:
        each["AppManaged"] = False
        each["S3Input"]["S3CompressionType"] = "None"
    described["ProcessingOutputConfig"]["Outputs"][0]["AppManaged"] = False
    described["NetworkConfig"] = {"EnableNetworkIsolation": False}
    assert identity(described) == identity(job)
