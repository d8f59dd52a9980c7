"""``cards verify-account`` on a deployed local cloud: what it finds, and what it keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from cli.operations.account.access_table import ROWS
from tests.e2e.cloud import BIN, Cloud
from tests.running_cloud import queue_of

CARDS = str(BIN / "cards")


def verified(deployed: Cloud, *words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit code, and the findings by check."""
    done = deployed.run(CARDS, "verify-account", "--json", *words)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(done.stdout)["findings"]:
        found.setdefault(row["check"], []).append(row)
    return done.returncode, found


def test_deployment_is_accepted_and_what_was_not_checked_is_said(deployed: Cloud) -> None:
    code, found = verified(deployed)
    failed = [row for rows in found.values() for row in rows if row["state"] == "failed"]
    assert (code, failed) == (0, [])
    for check in ("bootstrap", "services", "requests", "access"):
        assert "ok" in {row["state"] for row in found[check]}, found[check]
    assert [row["state"] for row in found["quotas"]] == ["not checked"]
    assert [row["state"] for row in found["access"]].count("not checked") == 1
    assert [row["state"] for row in found["access"]].count("ok") == len(ROWS)


def test_right_that_was_added_by_hand_fails(deployed: Cloud) -> None:
    iam, role = deployed.client("iam"), deployed.deployment.training_role_arn.rpartition("/")[2]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=role, PolicyName="hand", PolicyDocument=json.dumps(policy))
    try:
        code, found = verified(deployed)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="hand")
    assert code == 1
    failed = [row["line"] for row in found["access"] if row["state"] == "failed"]
    assert failed == ["training role may, and must not: sign"]


def test_answers_and_events_are_kept_without_ids_and_names(deployed: Cloud, tmp_path: Path) -> None:
    client, names = deployed.client, deployed.deployment
    url, arn = queue_of(client, "recorded-events")
    pattern = json.dumps({"source": ["aws.sagemaker"]})
    client("events").put_rule(Name="recorded-events", EventPattern=pattern)
    client("events").put_targets(Rule="recorded-events", Targets=[{"Id": "queue", "Arn": arn}])
    try:
        version = client("sagemaker").create_model_package(
            ModelPackageGroupName=names.group_name, ModelPackageDescription="recorded: a test's"
        )["ModelPackageArn"]
        code, _ = verified(deployed, "--record", str(tmp_path), "--events", url)
        assert code == 0
        client("sagemaker").delete_model_package(ModelPackageName=version)
    finally:
        client("events").remove_targets(Rule="recorded-events", Ids=["queue"])
        client("events").delete_rule(Name="recorded-events")
    answers = {file.name for file in (tmp_path / "answers").glob("*.json")}
    assert "sagemaker.DescribeModelPackageGroup-1.json" in answers
    (event,) = [json.loads(file.read_text()) for file in (tmp_path / "events").glob("*.json")]
    assert event["detail-type"] == "SageMaker Model Package State Change"
    assert event["detail"]["ModelApprovalStatus"] == "PendingManualApproval"
    text = "".join(file.read_text() for file in tmp_path.rglob("*.json"))
    account = names.training_role_arn.split(":")[4]
    secrets = (
        *(account, names.group_name, names.training_bucket, names.release_bucket),
        *(names.training_role_arn.rpartition("/")[2], names.signing_key_arn.rpartition("/")[2]),
        *(names.compile_function, "cards-dev-automation", "recorded-events"),
    )
    for secret in secrets:
        # The local cloud's account is all zeros, as the beginning of a replaced digest is.
        assert not re.search(rf"(?<![0-9a-f]){re.escape(secret)}(?![0-9a-f])", text), secret
