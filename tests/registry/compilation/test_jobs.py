"""How a compile job is asked for, checked against SageMaker's own model."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from registry.compilation.compile_settings import CompileSettings
from registry.compilation.jobs import CompileJobSettings, jobs_of, start
from registry.convergence import JobState
from registry.names import parse_compile_job, parse_name
from registry.versions.packages import describe
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import MemoryAws

COMPILE_SETTINGS = CompileSettings.from_json('{"compiler": "onnx-int8"}', "image")
SETTINGS = CompileJobSettings(
    role_arn="arn:aws:iam::123456789012:role/compile-jobs",
    instance_type="ml.m5.xlarge",
    max_runtime_seconds=600,
    code_uri="s3://bucket/code.zip",
    training_bucket="bucket",
)


def started(settings: CompileJobSettings) -> dict[str, Any]:
    with functions() as code:
        world = World(code)
        aws: MemoryAws = world.aws
        package = describe(aws.client("sagemaker"), world.register())
        assert package
        name = start(
            aws.client("sagemaker"), aws.client("s3"), package, COMPILE_SETTINGS, settings, 1
        )
        assert parse_compile_job(name) == (package.name, COMPILE_SETTINGS.id, 1)
        assert package.name
        jobs = jobs_of(aws.client("sagemaker"), package.arn, package.name, COMPILE_SETTINGS)
        assert (jobs.newest.state, jobs.running) == (JobState.RUNNING, (name,))
        return dict(aws.jobs[name])


def test_job_runs_where_sagemaker_places_it_unless_a_network_is_given() -> None:
    assert "NetworkConfig" not in started(SETTINGS)
    inside = replace(SETTINGS, subnets=("subnet-1", "subnet-2"), security_group="sg-1")
    assert started(inside)["NetworkConfig"] == {
        "VpcConfig": {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    }


def test_job_is_started_with_its_own_run_time_limit() -> None:
    """What SageMaker enforces is what the job derives its deadline from."""
    request = started(replace(SETTINGS, max_runtime_seconds=7200))
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
    words = request["AppSpecification"]["ContainerArguments"]
    assert words[words.index("--max-runtime-seconds") + 1] == "7200"


def test_names_of_other_jobs_are_not_parsed() -> None:
    name = parse_name("student-efficientnet-lite0-stage2-v12")
    assert parse_compile_job(f"compile-{name}-0123abcd-3") == (name, "0123abcd", 3)
    for other in (
        f"compile-{name}-0123abcd-0",
        f"compile-{name}-0123abcd-x",
        f"compile-{name}-0123ABCD-1",
        f"compile-{name}-1",
        f"build-{name}-0123abcd-1",
        "compile-",
        "",
    ):
        assert parse_compile_job(other) is None, other


def test_number_of_a_job_of_another_version_that_had_the_name_is_passed_over() -> None:
    """SageMaker keeps job names for ever, also of a version that was deleted and made again."""
    with functions() as code:
        world = World(code)
        client = world.aws.client("sagemaker")
        package = describe(client, world.register())
        assert package and package.name
        first = start(client, world.aws.client("s3"), package, COMPILE_SETTINGS, SETTINGS, 1)
        world.aws.jobs[first]["Environment"] = {"CARDS_SOURCE_PACKAGE_ARN": "arn:another"}
        again = start(client, world.aws.client("s3"), package, COMPILE_SETTINGS, SETTINGS, 1)
        assert parse_compile_job(again) == (package.name, COMPILE_SETTINGS.id, 2)
        # Two handlers at the same moment start one job.
        assert (
            start(client, world.aws.client("s3"), package, COMPILE_SETTINGS, SETTINGS, 2) == again
        )
        assert len(world.aws.jobs) == 2


def test_jobs_from_before_the_version_are_not_read() -> None:
    with functions() as code:
        world = World(code)
        client = world.aws.client("sagemaker")
        package = describe(client, world.register())
        assert package and package.name
        start(client, world.aws.client("s3"), package, COMPILE_SETTINGS, SETTINGS, 1)
        hour = timedelta(hours=1)
        for since, attempts in ((package.created, 1), (package.created + hour, 0)):
            found = jobs_of(
                client, package.arn, package.name, COMPILE_SETTINGS, version_created=since
            )
            assert found.attempts == attempts
