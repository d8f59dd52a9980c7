"""The approver's page: its numbers, its words, its bounds, and hostile text on it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from registry.convergence import Approval, JobState, Observation, Step
from registry.names import BY_APPROVAL, BY_PROMOTION, ModelName
from reports.assembly import PageContext, assemble
from reports.decision import STEPS, UNTOUCHED, Circumstances, choices, console_link
from reports.drawings.embedding_map import embedding_map
from reports.evidence import Confusion, Evidence, SharedArtworks
from reports.figures import from_evaluation, from_metadata
from reports.outcomes.view_outcomes import ViewOutcomes
from reports.page import Ancestor
from reports.rendering import LIMIT, content_digest, evidence_digest, version_page
from reports.subject import Subject
from tests.reports import examples
from tests.reports.examples import NAME, card_picture, evaluation, live, metadata, subject

VOID = {"meta", "img", "input", "br", "line", "circle", "rect", "path", "polyline", "polygon"}


class Read(HTMLParser):
    """A page's elements and text; fails where tags do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data

    def of(self, attribute: str) -> dict[str, dict[str, str]]:
        return {each[attribute]: each for _, each in self.elements if attribute in each}


def read(the: Subject, context: PageContext | None = None) -> Read:
    return Read(version_page(assemble(the, context or PageContext(), "Made for a test.")))


def words(page: Read) -> str:
    return " ".join(page.text.split())


def test_every_figure_on_the_page_is_that_of_the_evaluation() -> None:
    page = read(subject())
    shown = {key: float(each["data-value"]) for key, each in page.of("data-figure").items()}
    given = evaluation()
    assert shown.pop("validation_top1") == given["validation"]["top1"]
    assert shown == {key: value for key, value in given.items() if isinstance(value, int | float)}
    assert "68.75 %" in page.text and "43.00 % – 86.00 %" in page.text


def test_without_an_evaluation_the_figures_are_those_of_the_metadata() -> None:
    page = read(subject(evaluation=None))
    shown = {key: float(each["data-value"]) for key, each in page.of("data-figure").items()}
    assert shown == {"top1": 0.8125, "accepted_right": 0.6875, "false_accept_rate": 0.01}
    assert "cannot be read" in page.text


def test_metadata_that_contradicts_the_evaluation_is_the_first_thing_said() -> None:
    assert not assemble(subject(), PageContext(), "").alerts
    page = assemble(subject(metadata=metadata(Top1="0.9125")), PageContext(), "")
    assert len(page.alerts) == 1 and "0.9125" in page.alerts[0] and "0.8125" in page.alerts[0]


def test_verdict_says_what_a_device_does_in_counts_of_100() -> None:
    page = read(subject())
    assert (
        "Names 69 of 100 views of known cards right, names 6 wrong, does not answer 25, "
        "turns away 99 of 100 views of cards that it does not know."
    ) in words(page)
    assert "Nothing is live yet" in page.text


def test_counts_of_the_verdict_make_100() -> None:
    thirds = evaluation(accepted_right=1 / 30, true_accept_rate=8 / 30)
    text = words(read(subject(evaluation=thirds)))
    assert "Names 3 of 100 views of known cards right, names 23 wrong, does not answer 74" in text


def test_one_view_is_not_called_views() -> None:
    all_right, one_wrong = map(examples.evidence, ("R" * 16, "R" * 15 + "W"))
    text = words(read(subject(evidence=all_right), PageContext(live=live(evidence=one_wrong))))
    assert "1 view is named right only by this version, 0 only by the live one" in text
    assert "Of the views of known cards, 0 are nearest to another card" in text
    assert "Of the views of known cards, 1 is nearest" in words(read(subject(evidence=one_wrong)))


def test_comparison_with_the_live_version_is_on_the_same_views() -> None:
    page = read(subject(), PageContext(live=live()))
    text = words(page)
    assert (
        "cannot be told apart from the live version, student-efficientnet-lite0-stage2-v1" in text
    )
    assert "2 views are named right only by this version, 1 only by the live one" in text
    assert "Cards that get worse: 1" in text and "base1-2 4 → 3 of 4 views" in text
    assert "Cards that get better: 1" in text and "base1-4 0 → 2 of 4 views" in text
    named = next(each for each in page.of("data-difference"))
    assert float(named) == pytest.approx(1 / 16)
    pictures = [each["src"] for tag, each in page.elements if tag == "img"]
    assert card_picture(4) in pictures and card_picture(5) in pictures


def test_a_version_without_evidence_says_what_is_missing_and_why() -> None:
    text = words(read(subject(evidence=None), PageContext(live=live())))
    assert "This version keeps no evidence.json" in text
    assert "student-efficientnet-lite0-stage2-v2 keeps no answers view by view" in text
    bare = words(read(Subject("student-x-stage2-v1", {})))
    assert "Nothing is recorded about how well it recognises cards" in bare


def test_page_says_which_figures_are_not_measured() -> None:
    text = words(read(subject()))
    for each in ("No chip", "No real photographs", "Only 4 unknown cards", "needs at least 1000",
                 "Licence of the scans", "Reprints and twins"):  # fmt: skip
        assert each in text
    enough = words(read(subject(evaluation=evaluation(unseen_cards=400))))
    assert "unknown cards measured how" not in enough


def test_every_step_that_can_follow_has_words() -> None:
    assert set(STEPS) == set(Step)


def test_decision_is_the_one_that_the_automation_takes() -> None:
    seen = Observation(Approval.PENDING, releasable=True)
    channels = Circumstances(stable_channel=BY_APPROVAL)
    approve, reject = choices(NAME, str(NAME), seen, channels)
    assert approve.sentences[0] == STEPS[Step.START_COMPILATION]
    assert "candidate and stable" in " ".join(approve.sentences)
    assert reject.sentences == (UNTOUCHED,)
    assert approve.command == f'cards registry approve {NAME} --reason "why"'
    released = replace(seen, approval=Approval.APPROVED, released=True, announced=True)
    approve, reject = choices(NAME, str(NAME), released, channels)
    assert approve.sentences[0] == STEPS[Step.NOTHING]
    assert reject.sentences == (STEPS[Step.WITHDRAW],)
    running = replace(seen, job=JobState.RUNNING)
    assert choices(NAME, "x", running, channels)[1].sentences == (
        STEPS[Step.STOP_COMPILATION],
        UNTOUCHED,
    )
    promotion = Circumstances(stable_channel=BY_PROMOTION, four_eyes=True)
    text = " ".join(choices(NAME, "x", seen, promotion)[0].sentences)
    assert "cards release promote" in text and "Four eyes" in text


def test_number_of_devices_stands_where_a_decision_reaches_them_and_in_no_digest() -> None:
    pending = Observation(Approval.PENDING, releasable=True)
    published = replace(pending, approval=Approval.APPROVED, released=True, announced=True)
    for seen, places in ((pending, ["If you approve"]), (published, ["If you reject"])):
        context = PageContext(seen=seen, devices="12 devices follow stable.")
        page = assemble(subject(), context, "")
        assert [
            each.title for each in (page.approve, page.reject) if each.reaches_devices
        ] == places
        assert words(read(subject(), context)).count("12 devices follow stable.") == 1
        other = assemble(subject(), replace(context, devices="13 devices follow stable."), "")
        assert content_digest(page) == content_digest(other)
        assert evidence_digest(page) == evidence_digest(other)
    approve, _ = choices(NAME, "x", pending, Circumstances(stable_channel=BY_APPROVAL, held="r7"))
    assert "the channel candidate only: a person holds stable at r7" in " ".join(approve.sentences)


def test_a_version_that_leads_to_no_release_says_so() -> None:
    stage1 = ModelName("student", "a", "stage1", 1)
    approve, _ = choices(stage1, "x", None, Circumstances(), flaw="no validation")
    assert approve.sentences[0].startswith("It has no passed validation")
    assert "intermediate checkpoint" in approve.sentences[1]
    assert not approve.reaches_devices
    assert approve.command.endswith("--override")


HOSTILE = (
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "a\u202eb\x1b[31m",
    "' onmouseover='alert(1)",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str) -> None:
    wrong = replace(examples.wrong_view(), card_id=text, answer=text)
    kept = examples.evidence(
        worst=(wrong,),
        unknown=(wrong,),
        confusions=(Confusion(text, text, 1, 2),),
        views=ViewOutcomes("d0", (text, "b", "c", "d"), 4, examples.OUTCOMES),
        cards={text: card_picture(1)},
    )
    others = replace(kept, views=replace(kept.views, outcomes=examples.LIVE_OUTCOMES))
    given = metadata(**{"Recipe": text, "CardSetUri": text, "CompileFailure": text})
    the = subject(
        label=text, metadata=given, evidence=kept, message=text, lacking=text,
        evaluation=evaluation(warnings=[text]),
    )  # fmt: skip
    context = PageContext(
        live=live(label=text, evidence=others), flaw=text, line=(Ancestor(text, text),),
        console=console_link(text, text),
    )  # fmt: skip
    page = read(the, context)
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "link", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert attributes.get("src", "data:image/webp;").startswith("data:image/")
        assert re.match(r"#|https://console\.aws\.amazon\.com/", attributes.get("href", "#"))
    assert "49" not in page.text.replace("49.", "") or text != HOSTILE[3]
    assert "\u202e" not in page.text and "\x1b" not in page.text


def test_a_page_forbids_everything_but_what_is_in_it() -> None:
    page = read(subject())
    policy = next(each["content"] for _, each in page.elements if "http-equiv" in each)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_every_picture_and_chart_has_words() -> None:
    page = read(subject(), PageContext(live=live()))
    assert all(each.get("alt") for tag, each in page.elements if tag == "img")
    charts = [each for tag, each in page.elements if tag == "svg"]
    assert all(each.get("aria-labelledby") or each.get("aria-hidden") for each in charts)
    ids = {each["id"] for _, each in page.elements if "id" in each}
    links = [each["href"][1:] for tag, each in page.elements if each.get("href", "")[:1] == "#"]
    assert links and set(links) <= ids


def test_17592_cards_make_a_page_within_its_bound_quickly() -> None:
    rng = np.random.default_rng(0)
    cards = [f"set{number // 200}-{number % 200}-with-a-long-name" for number in range(17_592)]
    noise = [card_image(rng) for _ in range(4)]
    gallery = rng.normal(size=(len(cards), 768)).astype(np.float32)

    def made(seed: int) -> Evidence:
        draws = np.random.default_rng(seed).random((2, len(cards) * 2))
        views = ViewOutcomes.of(
            "d", [card for card in cards for _ in range(2)], draws[0] < 0.9, draws[1] < 0.8
        )
        wrong = replace(
            examples.wrong_view(cards[0], cards[1]), view=noise[0], scan=noise[1], match=noise[2]
        )
        return examples.evidence(
            views=views,
            worst=(wrong,) * 12,
            unknown=(wrong,) * 6,
            confusions=tuple(Confusion(card, cards[0], 1, 2) for card in cards[:40]),
            cards=dict.fromkeys(cards[:48], noise[3]),
            map=embedding_map(gallery, cards, [(card, cards[0]) for card in cards[:40]]),
            shared=SharedArtworks(900, 2000, tuple((card,) * 8 for card in cards[:24])),
        )

    started = time.monotonic()
    ours, theirs = made(1), made(2)
    assert len(ours.to_json()) < 4 * 10**6
    kept = Evidence.from_json(ours.to_json())
    page = version_page(
        assemble(subject(evidence=kept), PageContext(live=live(evidence=theirs)), "")
    )
    assert len(page.encode()) < LIMIT
    assert time.monotonic() - started < 60


def card_image(rng: np.random.Generator) -> str:
    """A picture that compresses as badly as can be."""
    from reports.drawings.pictures import picture

    return picture(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8))


def test_figures_of_later_evaluations_are_read_by_their_groups() -> None:
    given: dict[str, Any] = evaluation(
        three_frames={"accepted_right": 0.9, "accepted_right_interval": [0.8, 0.95]},
        false_accept_rate_interval=[0.001, 0.02],
        false_accept_bound=0.03,
    )
    found = from_evaluation(given)
    assert found["three_frames_accepted_right"].high == 0.95
    assert found["false_accept_rate"].low == 0.001 and found["false_accept_bound"].value == 0.03
    hostile = from_evaluation({"top1": "<b>", "auroc": float("nan"), "threshold": True})
    assert hostile == {}
    assert from_metadata({"Top1": "0.5", "Top1Low": "0.4", "Top1High": "0.6"})["top1"].low == 0.4


def test_map_shows_which_neighbourhoods_are_confused() -> None:
    gallery = np.eye(6, dtype=np.float32)[:, :4] + 0.1
    ids = ["a", "b", "c", "d", "e", "f"]
    where = embedding_map(gallery, ids, [("a", "b"), ("c", "b"), ("e", "f")])
    assert len(where.dots) == 6 and set(where.places) == {"a", "b", "c", "e", "f"}
    assert all(0 <= each <= 1000 for place in where.dots for each in place) and where.share > 0.5
    pairs = (Confusion("a", "b", 2, 4), Confusion("c", "b", 1, 4), Confusion("e", "f", 1, 4))
    kept = Evidence.from_json(examples.evidence(map=where, confusions=pairs).to_json())
    text = words(read(subject(evidence=kept)))
    assert "a, b, c: 3 views are nearest to another of them" in text
    assert "e, f: 1 view is nearest to another of them" in text


def test_reprints_are_listed_as_what_no_view_tells_apart() -> None:
    shared = SharedArtworks(2, 5, (("base1-4", "base4-4", "lc-3"), ("base1-2", "base2-2")))
    text = words(read(subject(evidence=examples.evidence(shared=shared))))
    assert "5 cards show one of 2 pictures that other cards show" in text
    assert "base1-4 and base4-4 and lc-3; base1-2 and base2-2" in text


@pytest.mark.parametrize("stated", [None, "", "CC-BY-4.0, by <b>Ada</b>"])
def test_licence_of_the_scans_stands_on_the_page_or_is_said_to_be_missing(
    stated: str | None,
) -> None:
    kept = examples.evidence(data=replace(examples.evidence().data, licence=stated))
    kept = Evidence.from_json(kept.to_json())
    text = words(read(subject(evidence=kept), PageContext(live=live())))
    assert f"Licence of the scans{stated or 'not stated'}" in text
    assert ("The licence of the scans is not stated" in text) == (not stated)
    # Among what differs from the live version, where it does.
    assert text.count("by <b>Ada</b>") == (2 if stated else 0)
