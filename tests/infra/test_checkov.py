"""checkov's findings on the templates are acted on, or accepted in one file with a reason."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.infra.assembly import ROOT, Assembly

ANSWERS = ROOT / "config" / "checkov.yaml"


def accepted() -> dict[str, str]:
    """The reason of each rule that is skipped."""
    reasons: dict[str, str] = {}
    words: list[str] = []
    lines = ANSWERS.read_text(encoding="utf-8").partition("skip-check:\n")[2].splitlines()
    for line in lines:
        rule = re.fullmatch(r"  - (CKV2?_AWS_\d+)", line)
        if rule:
            reasons[rule[1]], words = " ".join(words), []
        else:
            words.append(line.removeprefix("  # "))
    return reasons


def test_each_accepted_finding_has_a_reason() -> None:
    assert len(accepted()) == 8
    for rule, reason in accepted().items():
        assert len(reason.split()) > 8, rule
        assert reason.endswith("."), rule


@pytest.mark.processes
def test_checkov_finds_nothing_else_and_each_answer_is_needed(deployment: Assembly) -> None:
    """Where checkov is on the PATH; its own boto3 keeps it out of this environment."""
    checkov = shutil.which("checkov")
    if checkov is None:
        pytest.skip("checkov is not installed; see config/checkov.yaml")
    files = [
        word
        for name in deployment.names.values()
        for word in ("-f", str(deployment.folder / f"{name}.template.json"))
    ]
    ran = subprocess.run(
        [checkov, *files, "--framework", "cloudformation", "--compact", "--quiet",
         "--skip-download"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert set(re.findall(r"CKV2?_AWS_\d+", ran.stdout)) == set(accepted()), ran.stdout + ran.stderr
