"""What people are told: fit for a mailbox and a chat, whatever the reason holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from registry.notices import Notice, NoticeKind, Notifier

STEPS = ("cards release list -e dev",)


class Sns:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def publish(self, **given: Any) -> None:
        self.sent.append(given)


def test_mail_and_chat_get_their_own_text_and_it_is_counted() -> None:
    sns, counted = Sns(), list[Notice]()
    notifier = Notifier(sns, "arn:topic", "dev", counted.append)
    notice = Notice(NoticeKind.GATE_FAILED, "student-x-stage2-v1", "arn:x", "cosine .7", STEPS)
    notifier.publish(notice)
    assert counted == [notice]
    (sent,) = sns.sent
    assert sent["Subject"] == "Cards: student-x-stage2-v1 gate failed"
    assert sent["MessageStructure"] == "json"
    texts = json.loads(sent["Message"])
    assert "cosine .7" in texts["email"] and "cards release list -e dev" in texts["email"]
    chat = json.loads(texts["https"])
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert chat["content"]["nextSteps"] == ["`cards release list -e dev`"]
    assert chat["metadata"]["threadId"] == "student-x-stage2-v1"


@given(st.text(max_size=6000), st.text(max_size=400))
@example("", "\x1b[31m")
def test_hostile_words_stay_one_line_and_within_the_limits_of_sns(why: str, name: str) -> None:
    notice = Notice(NoticeKind.RELEASED, name, "arn", why, STEPS)
    assert len(notice.subject) <= 100 and notice.subject.isprintable()
    assert len(notice.text) <= 4000 and "\x1b" not in notice.text
    assert json.loads(notice.chat)["content"]["description"].isprintable()
