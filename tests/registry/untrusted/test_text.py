"""Text from outside: what people are shown, and what AWS's patterns take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localcloud.sagemaker.api_model.service_model import check_request
from registry.lineage.graph import JobRecord, version_graph
from registry.lineage.record import _creation
from registry.names import parse_name
from registry.untrusted.text import aws_line, html_text, one_line, printable, shortened
from registry.versions.packages import REJECTED, NewPackage, create, describe

ESCAPE = "a\x1b[2Jb\x07c\x9bd\u202ee\ud800f\u2028g\n"
JOB = "arn:aws:sagemaker:us-east-2:123456789012:training-job/x"
VERSION = "arn:aws:sagemaker:us-east-2:123456789012:model-package/cards/1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
texts = st.text(st.characters(codec=None), max_size=300)


@given(texts)
@example(ESCAPE)
def test_printable_text_has_its_length_and_nothing_that_commands_a_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text) and shown.isprintable()
    shown.encode()
    assert printable(text, keep="\n").replace("\n", "").isprintable()
    assert all(new in (old, "?") for old, new in zip(text, shown, strict=True))


@given(texts, st.integers(0, 400))
@example(ESCAPE, 1024)
def test_line_for_aws_is_one_line_within_its_limit(text: str, limit: int) -> None:
    assert one_line(text).isprintable() and one_line(text) == one_line(text).strip()
    assert len(aws_line(text, limit)) <= limit
    assert shortened("x" * 300) == "x" * 253 + "..."


def test_text_for_a_page_is_escaped_and_printable() -> None:
    assert html_text("<b>\x1b'&") == "&lt;b&gt;?&#x27;&amp;"


class Sagemaker:
    """Refuses what SageMaker's own patterns refuse."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def create_model_package(self, **request: Any) -> dict[str, str]:
        check_request("CreateModelPackage", request)
        self.sent = request
        return {"ModelPackageArn": "arn"}

    def describe_model_package(self, **_: Any) -> dict[str, Any]:
        return {"ModelPackageArn": VERSION, "CreationTime": NOW, **self.sent}


@given(texts)
@example(ESCAPE)
@example("x" * 2000)
@example("AlgorithmError: \x1b[31mred\x1b[0m, exit code: 1")
def test_version_and_lineage_with_any_text_fit_the_patterns_of_sagemaker(text: str) -> None:
    sagemaker = Sagemaker()
    name = parse_name("student-efficientnet-lite0-stage2-v1")
    metadata = {"ModelType": "student", "TrainingJob": "x", "FailureReason": "seen"}
    create(
        sagemaker,
        "cards",
        NewPackage(
            name=name,
            approval=REJECTED,
            summary=f"failed: {text}",
            model_data_url=None,
            image="",
            metadata=metadata,
            generated_by=JOB,
            commit=text or None,
            approval_reason=text or None,
        ),
    )
    package = describe(sagemaker, VERSION)
    assert package is not None
    job = JobRecord(JOB, "TrainingJob", "Failed", text, text)
    graph = version_graph(package, job)
    for action in graph.actions:
        check_request("CreateAction", _creation(action))
    for artifact in graph.artifacts:
        check_request(
            "CreateArtifact",
            {
                "ArtifactName": artifact.name,
                "Source": {"SourceUri": artifact.source_uri},
                "ArtifactType": artifact.type,
                "Properties": dict(artifact.properties),
            },
        )


@pytest.mark.parametrize("limit", [0, 1, 3, 4])
def test_short_limits_are_kept(limit: int) -> None:
    assert len(shortened("abcdefgh", limit)) == limit
