"""Whom a registration tells that a version waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.notices import Notifier
from registry.registration.register import REGISTERED, Registration
from registry.registration.waiting_notice import publish_waiting_notice

STUDENT = "student-efficientnet-lite0-stage2-v3"


class Sns:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def publish(self, **given: Any) -> None:
        self.sent.append(given)


def test_waiting_student_is_announced_with_its_page_and_the_commands_to_decide() -> None:
    sns = Sns()
    done = Registration(
        REGISTERED,
        "arn:package/3",
        STUDENT,
        summary="efficientnet-lite0, top-1 0.991",
        page_uri=f"s3://training/report-pages/{STUDENT}.html",
    )
    assert publish_waiting_notice(Notifier(sns, "arn:topic", "prod"), done)  # type: ignore[arg-type]
    (sent,) = sns.sent
    assert sent["Subject"] == f"Cards: {STUDENT} waits for approval"
    text = json.loads(sent["Message"])["email"]
    assert "top-1 0.991" in text and "arn:package/3" in text
    assert f"aws s3 cp s3://training/report-pages/{STUDENT}.html ." in text
    assert f"cards report {STUDENT} --open -e prod" in text
    assert f"cards registry approve {STUDENT} --reason … -e prod" in text
    assert f"cards registry reject {STUDENT} --reason … -e prod" in text


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        ("already registered", STUDENT),
        ("registered as failed", STUDENT),
        (REGISTERED, "student-efficientnet-lite0-stage1-v3"),
        (REGISTERED, "teacher-dinov3-vitl16-phase2-v1"),
        ("not ours", None),
    ],
)
def test_what_no_approval_releases_is_not_announced(outcome: str, name: str | None) -> None:
    sns = Sns()
    done = Registration(outcome, "arn:package/3" if name else None, name)
    assert not publish_waiting_notice(Notifier(sns, "arn:topic", "dev"), done)  # type: ignore[arg-type]
    assert not sns.sent
