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
@example("\x1b]0;title\x07", "a\u202eb\x9b\ud800")
def test_hostile_text_is_one_line_within_the_limits_of_sns(why: str, name: str) -> None:
    notice = Notice(NoticeKind.RELEASED, name, "arn", why, STEPS)
    assert len(notice.subject) <= 100 and notice.subject.isprintable()
    assert len(notice.text) <= 4000 and "\x1b" not in notice.text
    assert notice.text.replace("\n", "").isprintable()
    assert json.loads(notice.chat)["content"]["description"].isprintable()


@given(st.text(st.characters(codec=None), max_size=400))
@example("\x1b[2J")
def test_every_field_of_what_is_published_can_be_shown(text: str) -> None:
    sns = Sns()
    Notifier(sns, "arn:topic", "dev").publish(
        Notice(NoticeKind.RELEASED, text, f"arn:{text}", text, (f"cards trace {text}",))
    )
    (sent,) = sns.sent
    value = sent["MessageAttributes"]["version"]["StringValue"]
    assert value and value.isprintable() and len(value) <= 256
    texts = json.loads(sent["Message"])
    chat = json.loads(texts["https"])
    shown = [sent["Subject"], texts["email"].replace("\n", ""), chat["metadata"]["threadId"]]
    shown += [*chat["content"].values(), *chat["metadata"]["relatedResources"]]
    assert all(str(each).isprintable() for each in shown)
