"""A deployment with ``cards.devices``: devices report, and a roll-out that fails is halted.

The roles of the deployed functions read the reports; IAM is enforced. What a device itself may do
is asked in ``tests/infra/access/test_device_access.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from registry.fleet.device_report import SelfTestResult, report_key
from registry.releases import pointers
from registry.releases.statement import Statement
from tests.e2e.cloud import BIN, Cloud, started, until
from tests.e2e.handmade import make_signed_release
from tests.registry.fleet.device_reports import device_report

CLI = str(BIN / "cards")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A deployment with devices, and a release in stable."""
    with started(tmp_path_factory.mktemp("devices")) as running:
        running.bootstrap()
        running.deploy({"mlflow": "none", "devices": "true"})
        make_signed_release(running)
        yield running


def stated(cloud: Cloud) -> Statement:
    found = pointers.read_channel(cloud.client("s3"), cloud.deployed().release_bucket)
    assert found is not None and found.statement is not None
    return found.statement


def test_roll_out_that_fails_on_devices_is_halted_by_the_deployed_functions(cloud: Cloud) -> None:
    cloud.must(CLI, "release", "rollout", "10", "--reason", "a tenth first")
    before = stated(cloud)
    assert before.rollout == 10 and before.release and before.manifest_sha256
    s3, bucket = cloud.client("s3"), cloud.deployed().release_bucket
    for number in range(4):
        test = SelfTestResult(before.release, before.manifest_sha256, number > 0, "")
        report = device_report(f"shop-{number}", release=before.release, self_test=test)
        s3.put_object(Bucket=bucket, Key=report_key(report.device), Body=report.to_bytes())
    s3.put_object(Bucket=bucket, Key=report_key("evil"), Body=b"{")

    listed = cloud.json(CLI, "devices", "list", "--json")
    assert [each["device"] for each in listed["devices"]] == [f"shop-{n}" for n in range(4)]
    assert list(listed["unreadable"]) == ["devices/evil/status.json"]
    stable = next(each for each in listed["channels"] if each["channel"] == "stable")
    assert (stable["running"], stable["tested"], stable["failed"]) == (4, 4, 1)
    assert cloud.json(CLI, "devices", "show", "shop-0", "--json")["self_test"]["passed"] is False

    reconciler = cloud.client("lambda").invoke(
        FunctionName=cloud.function("Reconcile"), Payload=b"{}"
    )
    answer = json.loads(reconciler["Payload"].read())
    assert answer["failed"] == 0, answer
    until(lambda: stated(cloud).rollout == 0, 30, "the roll-out is halted")
    after = stated(cloud)
    assert after.release == before.release and after.serial > before.serial
    held = pointers.read_hold(s3, bucket)
    assert held is not None and held.by == cloud.deployed().publisher_role_arn
    assert "failed on 1 of the 4 devices" in held.reason
    cloud.must(CLI, "release", "rollout", "50", "--reason", "that one device was wet")
    assert stated(cloud).rollout == 50
