"""The estimate of the price: made from the templates, and the page is what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts import cost_estimate
from scripts.cost_estimate import ENDPOINT_ZONES, EstimateError, Line, calls_a_month, estimate
from tests.infra.assembly import ROOT, Assembly

PAGE = ROOT / "docs" / "cost.md"


def resources(assembly: Assembly) -> list[dict[str, Any]]:
    return cost_estimate.read_resources(assembly.folder)


def amounts(lines: Any) -> dict[str, float]:
    """How much of each unit price."""
    return {line.price: line.amount for line in lines}


def test_page_is_what_the_command_prints(deployment: Assembly) -> None:
    """After a change: ``cdk synth -q && python -m scripts.cost_estimate``, into the page."""
    assert estimate(deployment.folder) in PAGE.read_text()


def test_counts_are_those_of_the_template(deployment: Assembly, synthesise: Any) -> None:
    usual = amounts(cost_estimate.idle(resources(deployment)))
    assert usual["alarm"] == len(deployment.of_type("AWS::CloudWatch::Alarm")) > 0
    assert usual["kms_key"] == len(deployment.of_type("AWS::KMS::Key")) > 0
    assert usual["lambda_request"] == 730
    often = synthesise(reconcile_minutes="5", mlflow="tracking-server")
    changed = amounts(cost_estimate.idle(resources(often)))
    assert changed["lambda_request"] == 730 * 12
    assert changed["mlflow_server"] == 730 and "mlflow_app" not in changed


def test_isolated_network_costs_what_the_page_says(synthesise: Any) -> None:
    isolated = amounts(cost_estimate.idle(resources(synthesise(network="isolated"))))
    assert isolated["endpoint_hour"] == ENDPOINT_ZONES * 730
    assert amounts(cost_estimate.by_choice())["endpoint_hour"] == isolated["endpoint_hour"]


def test_compile_job_is_priced_on_the_instance_of_the_settings(synthesise: Any) -> None:
    other = synthesise(compile__instance_type="ml.m5.2xlarge")
    assert "ml.m5.2xlarge" in amounts(cost_estimate.release(resources(other)))
    text = estimate(other.folder)
    assert "of ml.m5.2xlarge | 0.0833333 | no price found | ?" in text
    assert "together, without what has no price here" in text.partition("### One release")[2]


def test_every_kind_of_resource_is_priced_or_known_to_be_free(
    deployment: Assembly, synthesise: Any, tmp_path: Path
) -> None:
    for assembly in (deployment, synthesise(mlflow="tracking-server")):
        assert "Not in this estimate" not in estimate(assembly.folder)
    template = tmp_path / "other.json"
    template.write_text(json.dumps({"Resources": {"Web": {"Type": "AWS::WAFv2::WebACL"}}}))
    assert estimate(template).endswith("Not in this estimate: AWS::WAFv2::WebACL.")


def test_every_price_has_its_page_and_day_or_says_that_there_is_none(deployment: Assembly) -> None:
    listed = json.loads(cost_estimate.PRICES.read_text())["prices"]
    for name, entry in listed.items():
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", entry["seen"]), name
        if entry["usd"] is None:
            assert "no price found" in entry["note"], name
        else:
            assert entry["source"] and entry["usd"] >= 0, name
    used = [
        *cost_estimate.idle(resources(deployment)),
        *cost_estimate.release(resources(deployment)),
        *cost_estimate.by_choice(),
    ]
    assert {line.price for line in used} == set(listed)


def test_sum_is_that_of_the_lines(tmp_path: Path) -> None:
    lines = [Line("a", 3, "x"), Line("b", 2, "y"), Line("c", 1, "z")]
    listed = {"x": {"usd": 0.5}, "y": {"usd": 0.001}, "z": {"usd": None}}
    table = cost_estimate._table(lines, listed, digits=2, total=True)
    assert "| a | 3 | 0.5 | 1.50 |" in table
    assert "| b | 2 | 0.001 | < 0.01 |" in table
    assert "| c | 1 | no price found | ? |" in table
    assert table.endswith("|  |  | **1.50** |")


@pytest.mark.parametrize(
    ("schedule", "calls"),
    [("rate(1 hour)", 730), ("rate(5 minutes)", 8760), ("rate(1 day)", 730 / 24)],
)
def test_schedule_is_priced_by_its_number_of_calls(schedule: str, calls: float) -> None:
    assert calls_a_month(schedule) == pytest.approx(calls)
    with pytest.raises(EstimateError, match="is no rate"):
        calls_a_month("cron(0 * * * ? *)")


@pytest.mark.parametrize(
    ("content", "cause"), [(None, "holds no template"), ("{}", "is no CloudFormation template")]
)
def test_without_a_template_one_line_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, cause: str
) -> None:
    if content is not None:
        (tmp_path / "a.template.json").write_text(content)
    assert cost_estimate.main([str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cost_estimate: ") and cause in line
