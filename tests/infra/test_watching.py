"""Who is told when: alarms, the topic, the dashboard, the schedule, the budget."""

from __future__ import annotations

import json
from typing import Any

from lambdas.metrics import METRICS, NAMESPACE
from tests.infra.assembly import ACCOUNT, REGION, Assembly
from tests.infra.test_stacks import variables

FUNCTIONS = ("RegisterModel", "CompileApproved", "PublishRelease", "Reconcile")


def alarms(deployment: Assembly) -> dict[str, dict[str, Any]]:
    """Properties by the alarm's id within its construct."""
    return {
        each.path.split("/")[-2]: each.properties
        for each in deployment.of_type("AWS::CloudWatch::Alarm")
    }


def test_every_failure_has_an_alarm_that_notifies_the_topic(
    deployment: Assembly,
) -> None:
    found = alarms(deployment)
    kinds = ("Errors", "Throttles", "Undelivered", "Failed")
    expected = {f"{name}{kind}" for name in FUNCTIONS for kind in kinds}
    counted = {"GateFailed", "NotCompiled", "RunFailed", "ReleaseDamaged", "ReconcilerStale"}
    assert set(found) == expected | counted | {"VersionFailed", "HoldUnreadable"}
    (topic,) = deployment.of_type("AWS::SNS::Topic")
    for name, alarm in found.items():
        assert len(alarm["AlarmActions"]) == 1 and topic.logical_id in alarm["AlarmActions"][0]
        assert "cards " in alarm["AlarmDescription"] or "Lambda" in alarm["AlarmDescription"], name


def test_alarm_is_raised_by_a_missing_reconciler_run_and_not_by_idle_functions(
    deployment: Assembly,
) -> None:
    stale = alarms(deployment)["ReconcilerStale"]
    assert stale["TreatMissingData"] == "breaching"
    assert stale["ComparisonOperator"] == "LessThanThreshold"
    assert stale["Period"] == 3 * 3600 and (stale["Namespace"], stale["MetricName"]) == (
        NAMESPACE,
        "Reconciled",
    )
    assert alarms(deployment)["PublishReleaseErrors"]["TreatMissingData"] == "notBreaching"


def test_alarms_and_the_dashboard_ask_for_metrics_that_the_functions_print(
    deployment: Assembly,
) -> None:
    printed = {*METRICS.values(), "CompilationStarted", "LeadTimeSeconds", "RunFailed",
               "Reconciled", "VersionsLooked", "VersionsRepaired", "VersionFailed"}  # fmt: skip
    ours = {
        alarm["MetricName"]
        for alarm in alarms(deployment).values()
        if alarm.get("Namespace") == NAMESPACE
    }
    assert ours <= printed and "GateFailed" in ours
    (dashboard,) = deployment.of_type("AWS::CloudWatch::Dashboard")
    body = dashboard.properties["DashboardBody"]
    text = body if isinstance(body, str) else json.dumps(body)
    for name in printed:
        assert name in text, name


def test_alarms_may_publish_and_only_this_accounts(deployment: Assembly) -> None:
    (policy,) = deployment.of_type("AWS::SNS::TopicPolicy")
    statements = {s.get("Sid"): s for s in policy.properties["PolicyDocument"]["Statement"]}
    assert statements["Alarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statements["Alarms"]["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    denied = [s for s in statements.values() if s["Effect"] == "Deny"]
    assert [s["Condition"] for s in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_notices_are_encrypted_with_a_key_that_alarms_budgets_and_sns_use(
    deployment: Assembly, synthesise: Any
) -> None:
    """Under SNS's own key alarms would be lost: its policy admits no service."""
    (key,) = (k for k in deployment.of_type("AWS::KMS::Key") if k.logical_id.startswith("Notice"))
    (topic,) = deployment.of_type("AWS::SNS::Topic")
    assert topic.properties["KmsMasterKeyId"].endswith(f"key/{key.logical_id}")
    assert key.properties["EnableKeyRotation"] is True
    statements = {each["Sid"]: each for each in key.properties["KeyPolicy"]["Statement"]}
    used = {
        sid: (each["Action"], each["Condition"]["StringEquals"])
        for sid, each in statements.items()
        if "Condition" in each
    }
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    assert used == {
        "UseThroughSns": (
            actions,
            {"kms:CallerAccount": ACCOUNT, "kms:ViaService": f"sns.{REGION}.amazonaws.com"},
        ),
        "AlarmsAndBudgets": (actions, {"aws:SourceAccount": ACCOUNT}),
    }
    publishers = {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert set(statements["AlarmsAndBudgets"]["Principal"]["Service"]) == publishers
    plain = synthesise(encryption="s3")
    assert "KmsMasterKeyId" not in plain.of_type("AWS::SNS::Topic")[0].properties


def test_settings_decide_how_often_who_and_what_moves_stable(synthesise: Any) -> None:
    chosen = synthesise(
        reconcile_minutes="30", notify_email="team@example.com", stable_channel="promotion"
    )
    (rule,) = [
        rule.properties
        for rule in chosen.of_type("AWS::Events::Rule")
        if "ScheduleExpression" in rule.properties
    ]
    assert rule["ScheduleExpression"] == "rate(30 minutes)"
    (subscription,) = chosen.of_type("AWS::SNS::Subscription")
    assert subscription.properties["Endpoint"] == "team@example.com"
    for function in ("compile_approved", "publish_release", "reconcile"):
        assert variables(chosen, function)["STABLE_FOLLOWS"] == "promotion"


def test_budget_notifies_the_topic_and_is_absent_by_default(
    deployment: Assembly, synthesise: Any
) -> None:
    assert not deployment.of_type("AWS::Budgets::Budget")
    spending = synthesise(monthly_budget_usd="200")
    (budget,) = spending.of_type("AWS::Budgets::Budget")
    assert budget.properties["Budget"]["BudgetLimit"] == {"Amount": 200, "Unit": "USD"}
    filters = budget.properties["Budget"]["CostFilters"]
    assert filters == {"TagKeyValue": ["user:Application$card-recognition"]}
    (policy,) = spending.of_type("AWS::SNS::TopicPolicy")
    allowed = [s.get("Sid") for s in policy.properties["PolicyDocument"]["Statement"]]
    assert "Budgets" in allowed
