"""``cards report``, against a local cloud."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.aws import AwsSession
from cli.find_version import find_package
from cli.report import gathering, printing
from cli.train.job_sequence import PlannedJob
from cli.train.options import TrainingRequest
from cli.train.page_facts import page_facts
from registry.names import parameter_name
from registry.versions.packages import Package
from reports.rendering import LIMIT
from tests.browser import needs_chromium
from tests.cli.command import cards, refused
from tests.cli.report.registered import BUCKET, LIVE, NEW, OLD, RELEASES, archive, register
from tests.reports import examples
from tests.reports.test_page import Read
from tests.running_cloud import Client
from training.page_facts import PageFacts
from training.recipe import resolve


def test_report_compares_with_the_live_version_on_the_same_views(
    client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    done = cards("report", NEW, "--output", str(file), "--json")
    assert done.code == 0, done.err
    said: dict[str, Any] = done.json
    body = file.read_bytes()
    assert said["sha256"] == hashlib.sha256(body).hexdigest() and len(body) < LIMIT
    assert said["against"] == LIVE
    assert said["differences"]["Named right"]["difference"] == pytest.approx(1 / 16)
    assert (said["cards_won"], said["cards_lost"]) == (1, 1)
    assert said["figures"]["top1"] == {"value": 13 / 16, "interval": [0.55, 0.94]}
    assert said["approve"].startswith(f"cards registry approve {NEW}")
    page = Read(body.decode())
    assert "Recipe" in page.text and "full" in page.text
    assert "no validation is recorded" in page.text


@pytest.mark.parametrize("what", [NEW, "--all"])
def test_missing_release_bucket_is_named_with_the_remedy(
    client: Client, tmp_path: Path, what: str
) -> None:
    ssm, parameter = client("ssm"), parameter_name("dev", "release-bucket")
    ssm.put_parameter(Name=parameter, Value="gone-releases", Type="String", Overwrite=True)
    try:
        done = cards("report", what, "--output", str(tmp_path / "page"))
    finally:
        ssm.put_parameter(Name=parameter, Value=RELEASES, Type="String", Overwrite=True)
    refused(done, "s3://gone-releases does not exist", "cards doctor")
    assert list(tmp_path.iterdir()) == []


def test_report_of_what_is_live_says_so_and_takes_another_to_compare_with(
    client: Client, tmp_path: Path
) -> None:
    file = str(tmp_path / "page.html")
    done = cards("report", LIVE, "--output", file)
    assert "This version is what devices have now" in done.out
    said = cards("report", LIVE, "--against", NEW, "--output", file, "--json").json
    assert said["against"] == NEW
    assert "than the version that was asked for" in said["comparison"] or (
        "from the version that was asked for" in said["comparison"]
    )
    assert "the live version" not in Path(file).read_text()
    assert said["differences"]["Named right"]["difference"] == pytest.approx(-1 / 16)
    refused(cards("report", LIVE, "--against", LIVE, "--output", file), "is the version itself")


def test_report_of_an_earlier_version_says_what_it_lacks(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    said = cards("report", OLD, "--output", str(file), "--json").json
    assert said["not_compared"] == f"{OLD} keeps no answers view by view"
    assert "was registered before training jobs wrote one" in file.read_text()


def test_report_of_a_compiled_version_leads_to_where_its_views_are(
    client: Client, tmp_path: Path
) -> None:
    name = "student-c-int8-v1"
    register(client, name, None)
    file = tmp_path / "page.html"
    said = cards("report", name, "--output", str(file), "--json").json
    assert "(it was compiled: what that changed is in fidelity.html" in said["not_compared"]
    text = Read(file.read_text()).text
    assert "the compiled model answered on the compile job's machine" in text
    for each in ("in full precision", "does not exist", "cannot be read", "not stated"):
        assert each not in text, each


def test_report_uses_no_bytes_but_those_that_were_registered(
    client: Client, tmp_path: Path
) -> None:
    better = archive(**{"evidence.json": examples.evidence("R" * 16).to_json()})
    name = "student-b-stage2-v1"
    register(client, name, examples.evidence(), put=better)
    file = tmp_path / "page.html"
    said = cards("report", name, "--output", str(file), "--json").json
    assert said["differences"] == {}
    assert "output.tar.gz is not the one that was registered" in file.read_text()


def test_index_lists_every_version_and_links_the_pages_beside_it(
    client: Client, tmp_path: Path
) -> None:
    client("sagemaker").update_model_package(
        ModelPackageArn=register(client, "student-c-stage2-v1", None),
        ModelApprovalStatus="Rejected",
        ApprovalDescription="Rejected by somebody: mixes <reprints>",
    )
    done = cards("report", "--all", "--output", str(tmp_path), "--json")
    assert done.code == 0, done.err
    page = Read((tmp_path / "index.html").read_text())
    for name in (LIVE, NEW, OLD, "student-c-stage2-v1", "mixes <reprints>"):
        assert name in page.text
    links = {each["href"] for tag, each in page.elements if tag == "a"} - {"#content"}
    assert f"{NEW}.html" in links and "student-c-stage2-v1.html" not in links
    assert links == {Path(each).name for each in done.json["pages"]}
    assert all((tmp_path / link).is_file() for link in links)


@pytest.mark.parametrize("wrong", [[], ["--all", NEW], ["--all", "--against", NEW]])
def test_report_takes_a_name_or_all(wrong: list[str]) -> None:
    refused(cards("report", *wrong), "give a NAME")


def test_report_of_a_version_that_is_not_there_is_refused(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    refused(cards("report", "student-z-stage2-v9", "--output", str(file)), "cards registry list")
    assert not file.exists()


def test_pdf_needs_chromium_and_says_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printing, "PROGRAMS", ("no-such-browser",))
    file = tmp_path / "page.html"
    refused(cards("report", NEW, "--output", str(file), "--pdf"), "Chromium is not installed")
    refused(cards("report", "--all", "--pdf"), "give a NAME")


@pytest.mark.processes
@needs_chromium
def test_pdf_is_printed_beside_the_page(client: Client, tmp_path: Path) -> None:
    done = cards("report", NEW, "--output", str(tmp_path / "page.html"), "--pdf", "--json")
    assert done.code == 0, done.err
    assert done.json["pdf"] == str(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")


def test_training_job_is_told_what_is_live_and_where_its_archives_lie(client: Client) -> None:
    """``cards train`` looks it up; the job's page then compares with it."""
    aws = AwsSession("dev")
    request = cast(TrainingRequest, SimpleNamespace(aws=aws, message="for autumn"))
    parent = find_package(aws, NEW)
    config = resolve("tiny", "student", "stage2", {})
    live, facts = page_facts(request, PlannedJob("student", 2, config), parent)
    assert live is not None and live.label == facts.live == LIVE
    assert facts.live_output == live.metadata["OutputArchive"]
    assert facts.message == "for autumn" and facts.line[-1] == NEW
    assert facts.stable_channel == "approval" and not facts.four_eyes
    # A stage-1 student is not compared with what devices have.
    assert page_facts(request, PlannedJob("student", 1, config), parent)[0] is None
    place = {"Bucket": BUCKET, "Key": f"jobs/{LIVE}/output/model.tar.gz"}
    body = client("s3").get_object(**place)["Body"].read()
    client("s3").delete_object(**place)
    none, facts = page_facts(request, PlannedJob("student", 2, config), parent)
    assert none is None and "is not there any more" in facts.live_note
    client("s3").put_object(**place, Body=body)


@pytest.mark.parametrize(
    ("kind", "told", "row"),
    [
        ("training-job", PageFacts(submitted_by=("a:ann", "b:bob")), "a:ann and b:bob"),
        ("training-job", PageFacts(), "not recorded"),
        ("processing-job", PageFacts(), None),
    ],
)
def test_page_names_who_submitted_the_training(kind: str, told: PageFacts, row: str | None) -> None:
    sagemaker = SimpleNamespace(
        describe_training_job=lambda **_: {"Environment": told.environment()}
    )
    aws = cast(AwsSession, SimpleNamespace(client=lambda service: sagemaker))
    package = cast(Package, SimpleNamespace(own_job=(kind, "job")))
    rows = gathering._people(gathering._submission(aws, package))
    assert rows == ([("Submitted by", row)] if row else [])


def test_commands_take_the_job_that_made_a_version(client: Client) -> None:
    """A job's page names itself: its version has no name yet."""
    name, job = "student-i-stage2-v1", "student-stage2-demo-20260102-030405-abcd"
    register(client, name, None, TrainingJob=job)
    assert name in cards("registry", "show", job).out
    refused(cards("registry", "show", "student-stage2-demo-20260102-030405-0000"), "is not in")
