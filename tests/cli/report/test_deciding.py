"""A decision is bound to the page that was read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cli.report import gathering
from reports.assembly import PageContext, assemble
from reports.evidence import Evidence
from reports.rendering import version_page
from tests.cli.command import cards, refused
from tests.cli.report.registered import BUCKET, denied, register
from tests.reports import examples
from tests.running_cloud import Client


def job_page(evidence: Evidence) -> str:
    """As a training job makes it, which does not know its version's name."""
    job = "student-stage2-demo-20260102-030405-6789"
    model = examples.subject(label=job, title=f"made by {job}", evidence=evidence)
    live = examples.live(evaluation=examples.evaluation())
    return version_page(assemble(model, PageContext(live=live), "Made by a job."))


def test_approval_records_the_page_and_warns_where_it_is_out_of_date(
    client: Client, tmp_path: Path
) -> None:
    name = "student-d-stage2-v1"
    arn = register(client, name, examples.evidence())
    file = tmp_path / "page.html"
    digest = cards("report", name, "--output", str(file), "--json").json["sha256"]
    why = ("--override", "--reason", "as good")
    done = cards("registry", "approve", name, *why, "--page", str(file))
    assert done.code == 0 and "is not what the page" not in done.err, done.err
    described = client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert described["ApprovalDescription"].endswith(f": as good (page {digest})")

    other = "student-e-stage2-v1"
    register(client, other, examples.evidence())
    done = cards("registry", "approve", other, *why, "--page", str(file))
    assert done.code == 0 and f"is not what the page of {other} says now" in done.err
    file.write_text("<p>hello</p>")
    refused(cards("registry", "approve", other, *why, "--page", str(file)), "is no page")


def test_approval_is_bound_to_the_page_of_the_job(client: Client, tmp_path: Path) -> None:
    name, page = "student-f-stage2-v1", job_page(examples.evidence())
    digest = hashlib.sha256(page.encode()).hexdigest()
    arn = register(client, name, examples.evidence(), page=page)
    done = cards("registry", "approve", name, "--override", "--reason", "as good")
    assert done.code == 0 and done.err == "", done.err
    described = client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert described["ApprovalDescription"].endswith(f": as good (page {digest})")
    assert f"Decided on page  {digest}" in " ".join(cards("registry", "show", name).out.split(" "))


def test_approval_warns_where_the_job_s_page_does_not_hold_any_more(
    client: Client, tmp_path: Path
) -> None:
    name = "student-g-stage2-v1"
    register(client, name, examples.evidence(), page=job_page(examples.evidence("R" * 16)))
    why = ("--override", "--reason", "as good")
    done = cards("registry", "approve", name, *why)
    assert done.code == 0 and f"is not what the page of {name} says now" in done.err
    name = "student-h-stage2-v1"
    arn = register(client, name, examples.evidence(), page=job_page(examples.evidence()))
    client("s3").put_object(Bucket=BUCKET, Key=f"report-pages/{name}.html", Body=b"<p>other</p>")
    done = cards("registry", "approve", name, *why)
    assert "is not the page that was registered" in done.err
    described = client("sagemaker").describe_model_package(ModelPackageName=arn)
    assert described["ApprovalDescription"].endswith(": as good")


@pytest.mark.parametrize("given", [True, False])
def test_who_may_not_read_what_a_page_is_made_of_can_decide(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    """As with the policy Approver alone, which reads the page and no release."""
    name = f"student-{'k' if given else 'm'}-stage2-v1"
    page, file = job_page(examples.evidence()), tmp_path / "page.html"
    file.write_text(page)
    arn = register(client, name, examples.evidence(), page=page)
    monkeypatch.setattr(gathering, "page_of", denied)
    asked = ("--page", str(file)) if given else ()
    done = cards("registry", "approve", name, "--override", "--reason", "as good", *asked)
    assert done.code == 0 and "whether it still holds is not known" in done.err, done.err
    described = client("sagemaker").describe_model_package(ModelPackageName=arn)
    digest = hashlib.sha256(page.encode()).hexdigest()
    assert described["ApprovalDescription"].endswith(f"(page {digest})")
