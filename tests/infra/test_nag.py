"""cdk-nag's AwsSolutions rules and cfn-lint, on the templates that are deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from tests.infra.assembly import ACCOUNT, REGION, ROOT, Assembly

#: Node synthesises two more deployments, and cfn-lint takes ten seconds.
pytestmark = pytest.mark.processes
#: What a deployment may also have; the second has every part.
KINDS = {
    "usual": Settings(),
    "all": Settings(
        network="isolated",
        monthly_budget_usd=100,
        notify_email="a@example.com",
        keep_releases=20,
        reader_accounts=("222222222222",),
        devices=True,
    ),
}


@pytest.fixture(scope="module", params=KINDS)
def findings(
    request: pytest.FixtureRequest,
    deployment: Assembly,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    """``<rule> <construct>`` of what is neither right nor accepted beside the resource."""
    import aws_cdk as cdk
    import cdk_nag

    from infra.deployment import add_deployment

    out = tmp_path_factory.mktemp("nag")
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(context=context, outdir=str(out))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks())
    add_deployment(app, KINDS[request.param], cdk.Environment(account=ACCOUNT, region=REGION))
    # The prefixes that IAM5 warns of make the synthesis fail: the report is read instead.
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report: dict[str, Any] = json.loads((out / "validation-report.json").read_text())
    return [
        f"{violation['ruleName']} {construct['constructPath']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]


def test_nag_finds_nothing_that_is_not_accepted_with_its_reason(findings: list[str]) -> None:
    """But for wildcards in resources, which ``test_policies`` holds to named prefixes."""
    assert [each for each in findings if "-IAM5[Resource::" not in each] == []


def test_nag_ran(findings: list[str]) -> None:
    """A report in a new format must not pass for a clean one."""
    assert len([each for each in findings if "TrainingRole" in each]) > 3


def test_every_accepted_finding_has_its_reason(deployment: Assembly) -> None:
    accepted = {
        acknowledged
        for name in deployment.names.values()
        for acknowledged in acknowledgements(deployment.folder / f"{name}.metadata.json")
    }
    assert {rule.rpartition("-")[2] for rule, _ in accepted} == {"S1", "L1", "SQS3"}
    assert all(len(reason.split()) > 5 for _, reason in accepted)


def acknowledgements(file: Path) -> list[tuple[str, str]]:
    """Rule and reason of each finding that a construct accepts."""
    return [
        acknowledged
        for entries in json.loads(file.read_text()).values()
        for entry in entries
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for acknowledged in entry["data"].items()
    ]


def test_cfn_lint_finds_nothing(deployment: Assembly) -> None:
    from cfnlint.api import ManualArgs, lint  # slow to import

    # W3005: a dependency that a reference implies too. The CDK writes those by itself.
    config = ManualArgs(regions=[REGION], ignore_checks=["W3005"])
    for name in deployment.names.values():
        template = (deployment.folder / f"{name}.template.json").read_text()
        assert [str(match) for match in lint(template, config=config)] == []
