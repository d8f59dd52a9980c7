"""One poisoned object, one faulty version or one refused request: every other version goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from registry.automation.reconciler_state import STATE_KEY
from registry.versions.metadata import COMPILE_FAILURE, PARENT_ARN
from tests.registry.automation.automation_world import World, functions
from tests.registry.automation.test_histories import begin
from tests.registry.compilation.compiled_files import CARDS, report
from tests.registry.memory_aws import RELEASES, TRAINING, error
from tests.registry.untrusted.test_stored_json import POISONED

ONNX, INT8 = report("x", "y")["packages"]
HOLD = RELEASES, "channels/stable.hold.json"
FIRST, SECOND = (f"student-efficientnet-lite0-stage2-v{number}" for number in (1, 2))


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions(keep="1") as loaded:
        yield loaded


def settle(world: World) -> None:
    for _ in range(2):
        world.reconcile()
        world.rest()


def release_another(world: World) -> None:
    """A second version is approved, and must be released whatever is wrong with the first."""
    world.decide(world.register(), "Approved")
    world.rest()
    assert SECOND in world.complete_releases()
    assert world.channel("candidate").name == SECOND


@pytest.mark.parametrize("why", POISONED)
def test_unreadable_hold_counts_as_none_and_is_reported(
    code: list[dict[str, ModuleType]], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = begin(code, ["released"])
    world.aws._store(HOLD, POISONED[why])
    release_another(world)
    assert world.channel("stable").name == SECOND
    world.decide(world.versions[1], "Rejected")
    world.rest()
    assert world.channel("stable").name == FIRST, "a rejected release leaves stable"
    kinds = [each["MessageAttributes"]["kind"]["StringValue"] for each in world.aws.told]
    assert kinds.count("hold cannot be read") == 2, "once for each move that it allowed"
    capsys.readouterr()
    world.reconcile()
    assert '"HoldUnreadable": 1.0' in capsys.readouterr().out
    settle(world)
    assert world.wrong() == []


@pytest.mark.parametrize("place", ["arn of another account", "arn of another group", "no ARN"])
def test_hold_that_points_elsewhere_counts_as_none(
    code: list[dict[str, ModuleType]], place: str
) -> None:
    world = begin(code, ["released"])
    (release,) = world.complete_releases()[FIRST]
    arn = {
        "arn of another account": world.versions[0].replace("123456789012", "210987654321"),
        "arn of another group": world.versions[0].replace("/models/", "/others/"),
        "no ARN": "' OR 1=1",
    }[place]
    hold = {"release": release, "package_arn": arn, "name": FIRST}
    words = {"by": "x", "at": "y", "reason": "z"}
    world.aws._store(HOLD, json.dumps({**hold, **words}).encode())
    asked: list[str] = []
    describe = world.aws._describe_model_package

    def record(given: dict[str, str]) -> dict[str, object]:
        asked.append(given["ModelPackageName"])
        return describe(given)

    world.aws._describe_model_package = record  # type: ignore[method-assign]
    release_another(world)
    assert world.channel("stable").name == SECOND
    assert arn not in asked, "SageMaker would refuse the question"


@pytest.mark.parametrize("why", POISONED)
@pytest.mark.parametrize("file", ["fidelity.json", "compilation.json"])
def test_unreadable_report_is_a_failure_of_its_version_alone(
    code: list[dict[str, ModuleType]], file: str, why: str
) -> None:
    world = begin(code, ["compiling"])
    (job,) = world.active()
    world._write_outputs(job, world.versions[0], "passed")
    body = POISONED[why]
    if why == "too long":
        body = b" " * (5 * 1024**2)
    world.aws._store((TRAINING, f"compilations/{job}/{file}"), body)
    world.aws.end_job(job, "Completed")
    world.rest()
    assert COMPILE_FAILURE in world.aws.packages[world.versions[0]]["CustomerMetadataProperties"]
    release_another(world)
    assert world.wrong() == [] and world.lost == 0


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("fidelity.json", {"reasons": 5}),
        ("fidelity.json", {"figures": []}),
        ("compilation.json", {"packages": [1]}),
        ("compilation.json", {"packages": [{"stage": "onnx", "artifact": 1}]}),
        ("compilation.json", {"ship": "all"}),
        ("compilation.json", {"ship": [["a"]]}),
        ("compilation.json", {"files": 1}),
        ("compilation.json", {"contract": {"size": "x"}}),
        ("compilation.json", {"contract": 5}),
        ("compilation.json", {"contract": {"size": 10**300}}),
        ("compilation.json", {"contract": {"size": float("inf")}}),
        ("compilation.json", {"card_set": {"digest": CARDS, "cards": float("nan")}}),
        ("compilation.json", {"packages": [{**ONNX, "metadata": {"Release": "x"}}, INT8]}),
        ("compilation.json", {"packages": [{**ONNX, "metrics": {"top1": 10**400}}, INT8]}),
        ("compilation.json", {"packages": [{**ONNX, "metrics": {"m" * 200_000: 1.0}}, INT8]}),
        ("compilation.json", {"acceptance_threshold": True}),
        ("compilation.json", {"toolchain": "x"}),
        ("compilation.json", {"source_arn": {}}),
    ],
    ids=str,
)
def test_report_with_a_field_of_another_type_is_a_failure_of_its_version_alone(
    code: list[dict[str, ModuleType]], file: str, change: dict[str, object]
) -> None:
    world = begin(code, ["compiling"])
    (job,) = world.active()
    world._write_outputs(job, world.versions[0], "passed")
    place = TRAINING, f"compilations/{job}/{file}"
    document = json.loads(world.aws.objects[place][0])
    world.aws._store(place, json.dumps({**document, **change}).encode())
    world.aws.end_job(job, "Completed")
    world.rest()
    assert COMPILE_FAILURE in world.aws.packages[world.versions[0]]["CustomerMetadataProperties"]
    release_another(world)
    assert world.wrong() == [] and world.lost == 0


def test_version_that_is_its_own_parent_is_a_failure_of_its_own(
    code: list[dict[str, ModuleType]],
) -> None:
    world = begin(code, ["compiling"])
    arn = world.versions[0]
    world.aws.packages[arn]["CustomerMetadataProperties"][PARENT_ARN] = arn
    world.rest()
    failure = world.aws.packages[arn]["CustomerMetadataProperties"][COMPILE_FAILURE]
    assert "circle" in failure
    release_another(world)
    assert world.wrong() == [] and world.lost == 0


@pytest.mark.parametrize("why", POISONED)
@pytest.mark.parametrize(
    "place", [(RELEASES, "channels/stable.json"), (TRAINING, STATE_KEY)], ids=str
)
def test_unreadable_pointer_or_state_is_written_again(
    code: list[dict[str, ModuleType]], place: tuple[str, str], why: str
) -> None:
    world = begin(code, ["released"])
    world.aws._store(place, POISONED[why])
    release_another(world)
    settle(world)
    assert world.wrong() == []
    assert isinstance(json.loads(world.aws.objects[place][0]), dict)


@pytest.mark.parametrize("why", POISONED)
def test_unreadable_manifest_is_withdrawn_and_published_again(
    code: list[dict[str, ModuleType]], why: str
) -> None:
    world = begin(code, ["released"])
    (release,) = world.complete_releases()[FIRST]
    place = RELEASES, f"releases/{release}/manifest.json"
    before = json.loads(world.aws.objects[place][0])
    world.aws._store(place, POISONED[why])
    world.later()
    settle(world)
    assert world.wrong() == []
    assert json.loads(world.aws.objects[place][0])["source"] == before["source"]


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("code_of_error", ["ThrottlingException", "AccessDeniedException"])
def test_unobservable_version_does_not_delay_others(
    code: list[dict[str, ModuleType]],
    version: int,
    code_of_error: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = begin(code, ["new", "new", "new"])
    for arn in world.versions:
        world.decide(arn, "Approved")
    world.route()
    world.queue.clear()
    refused = world.versions[version]
    describe: Callable[[dict[str, str]], dict[str, object]] = world.aws._describe_model_package

    def refuse(given: dict[str, str]) -> dict[str, object]:
        if given["ModelPackageName"] == refused:
            raise error("DescribeModelPackage", code_of_error, "no")
        return describe(given)

    world.aws._describe_model_package = refuse  # type: ignore[method-assign]
    capsys.readouterr()
    found = world.reconcile()
    said = capsys.readouterr().out
    assert (found["repaired"], found["failed"], found["finished"]) == (2, 1, True)
    assert '"VersionFailed": 1.0' in said and f"stage2-v{version + 1}" in said
    world.aws._describe_model_package = describe  # type: ignore[method-assign]
    world.rest()
    world.later()
    settle(world)
    assert world.wrong() == [], "what could not be observed is observed again, at any age"


def test_failed_forwarding_of_one_repair_does_not_delay_others(
    code: list[dict[str, ModuleType]],
) -> None:
    world = begin(code, ["new", "new"])
    for arn in world.versions:
        world.decide(arn, "Approved")
    world.route()
    world.queue.clear()
    invoke, refused = world.aws._invoke, [True]

    def refuse_first(given: dict[str, object]) -> dict[str, object]:
        if refused.pop() if refused else False:
            raise error("Invoke", "TooManyRequestsException", "no")
        return invoke(given)

    world.aws._invoke = refuse_first  # type: ignore[method-assign]
    found = world.reconcile()
    assert (found["repaired"], found["failed"]) == (1, 1)
    assert json.loads(world.aws.objects[TRAINING, STATE_KEY][0])["open"]
    settle(world)
    assert world.wrong() == []
