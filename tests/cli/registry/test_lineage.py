"""``cards registry lineage``: the drawing, its forms, and the repair, against a local cloud."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.registry.lineage_drawing import (
    Branch,
    Drawing,
    document,
    dot,
    drawing,
    mermaid,
    telling_edges,
    tree,
)
from cli.registry.lineage_svg import layout, svg
from registry.names import parse_name
from registry.versions.packages import Package
from tests.cli.command import cards, refused
from tests.registry.lineage.lineage_family import NAMES, everything, family, forget, register
from tests.running_cloud import Account, Client, publish_parameters

GROUP = "pokemon-card-recognition-models"
RELEASES = "lineage-releases"
RELEASE = "student-x-stage2-v1.onnx-int8-0a1b2c3d"


def version(number: int, name: str, parent: int = 0, cards_: str = "", **more: Any) -> Package:
    metadata = {"Top1": "0.9"}
    if parent:
        metadata["ParentModelPackageArn"] = arn_of(parent)
    if cards_:
        metadata |= {"CardSetUri": f"s3://b/cards/{cards_}/", "CardSetDigest": cards_ * 4}
    return Package(
        arn=arn_of(number),
        version=number,
        group="models",
        name=parse_name(name),
        approval="Approved",
        description=name,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        model_data_url="",
        image="",
        metadata=metadata,
        **more,
    )


def arn_of(number: int) -> str:
    return f"arn:aws:sagemaker:us-east-2:111122223333:model-package/models/{number}"


LINE = [
    version(1, "teacher-x-phase2-v1", cards_="aaaa"),
    version(2, "student-x-stage1-v1", 1, "aaaa"),
    version(3, "student-x-stage2-v1", 2, "bbbb"),
    version(4, "student-x-onnx-v1", 3),
    version(5, "student-x-int8-v1", 4),
]
DRAWN = drawing(LINE, LINE[2], {LINE[4].arn: RELEASE})


def lines_of(branch: Branch, depth: int = 0) -> list[tuple[int, str]]:
    below = [line for child in branch.children for line in lines_of(child, depth + 1)]
    return [(depth, branch.label), *below]


def test_tree_goes_from_the_cards_to_the_release() -> None:
    (root,) = tree(DRAWN)
    assert lines_of(root) == [
        (0, "card set aaaaaaaaaaaa (s3://b/cards/aaaa/)"),
        (1, "teacher-x-phase2-v1 (Approved, top-1 0.900)"),
        (2, "student-x-stage1-v1 (Approved, top-1 0.900)"),
        (3, "student-x-stage2-v1 (Approved, top-1 0.900), on card set bbbbbbbbbbbb"),
        (4, "student-x-onnx-v1 (Approved, top-1 0.900)"),
        (5, "student-x-int8-v1 (Approved, top-1 0.900)"),
        (6, f"release {RELEASE}"),
    ]


def test_tree_without_recorded_cards_begins_with_the_oldest_version() -> None:
    (root,) = tree(drawing(LINE[3:], LINE[3]))
    assert [label.split()[0] for _, label in lines_of(root)] == [
        "student-x-onnx-v1",
        "student-x-int8-v1",
    ]


def test_document_has_every_version_with_its_parents_job_and_commit() -> None:
    told = replace(LINE[1], commit="c0ffee", generated_by="arn:job")
    machine = document(drawing([LINE[0], told], told))
    model = next(node for node in machine["nodes"] if node["name"] == "student-x-stage1-v1")
    assert model["parent"] == LINE[0].arn
    assert (model["commit"], model["job"]) == ("c0ffee", "arn:job")
    assert model["card_set_digest"] == "aaaa" * 4
    kinds = {(edge["source"], edge["target"]): edge["type"] for edge in machine["edges"]}
    assert kinds == {("d0", "v1"): "training", ("d0", "v2"): "cards", ("v1", "v2"): "distillation"}
    assert json.loads(json.dumps(machine)) == machine


def test_mermaid_and_dot_have_every_node_and_edge_and_mark_the_one_asked_for() -> None:
    for text, arrow, mark in (
        (mermaid(DRAWN), "-->", "style v3 stroke-width:3px"),
        (dot(DRAWN), "->", "penwidth=3"),
    ):
        assert all(package.label in text for package in LINE)
        assert text.count(f" {arrow} ") + text.count(f" {arrow}|") == 7
        assert text.count(mark) == 1


def test_shared_card_set_is_drawn_once_and_listed_for_each_version_in_json() -> None:
    again = [edge for edge in DRAWN.edges if (edge.source, edge.target) == ("d0", "v2")]
    assert again and not set(again) & set(telling_edges(DRAWN))


#: What a stranger may register as a description of who he is.
HOSTILE = [
    '"]; click v1 "javascript:alert(1)',
    "<script>&amp;\"'`#\\",
    "a\nb\x00c\u2028d",
    "]]>" * 9,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    nameless = replace(LINE[0], name=None, arn=f"arn:x:model-package/{text}", approval=text)
    drawn = drawing([nameless], nameless)
    root = ElementTree.fromstring(svg(drawn))
    assert {each.tag.rpartition("}")[2] for each in root.iter()} <= {
        *("svg", "title", "defs", "marker", "path", "rect", "g", "text"),
    }
    for line in mermaid(drawn).splitlines():
        assert not re.search(r'"[^"]*["<`][^"]*"', line.replace("<br/>", ""))
    label = re.search(r'label="((?:[^"\\]|\\.)*)", shape', dot(drawn))
    assert label and "\n" not in label.group(1)
    assert all("\n" not in label for branch in tree(drawn) for _, label in lines_of(branch))


@st.composite
def families(draw: Any) -> Drawing:
    """Any tree of versions, some on cards of their own, some released."""
    size = draw(st.integers(1, 14))
    packages = [version(1, "teacher-x-phase2-v1", cards_="aaaa")]
    for number in range(2, size + 1):
        cards_ = draw(st.sampled_from(["", "aaaa", "bbbb", "cccc"]))
        parent = draw(st.integers(1, number - 1))
        packages.append(version(number, f"student-x-stage1-v{number}", parent, cards_))
    chosen = draw(st.lists(st.sampled_from(packages), unique_by=lambda each: each.arn))
    return drawing(packages, packages[-1], {each.arn: f"release-{each.version}" for each in chosen})


@given(families())
def test_boxes_do_not_overlap_and_are_within_the_page(drawn: Drawing) -> None:
    placed = layout(drawn)
    boxes = list(placed.boxes.values())
    assert len(boxes) == len(drawn.nodes)
    for at, one in enumerate(boxes):
        assert one.x >= 0 and one.x + one.width <= placed.width
        assert one.y >= 0 and one.y + one.height <= placed.height
        for other in boxes[at + 1 :]:
            assert (
                one.x + one.width < other.x
                or other.x + other.width < one.x
                or one.y + one.height < other.y
                or other.y + other.height < one.y
            )


@given(families())
def test_inputs_are_before_their_outputs(drawn: Drawing) -> None:
    placed = layout(drawn)
    for edge in drawn.edges:
        a, b = placed.boxes[edge.source], placed.boxes[edge.target]
        assert (a.y + a.height < b.y) if placed.downwards else (a.x + a.width < b.x)
    assert tree(drawn)
    ElementTree.fromstring(svg(drawn))


@given(families())
def test_tree_has_every_version_once(drawn: Drawing) -> None:
    titles = [label.split()[0] for root in tree(drawn) for _, label in lines_of(root)]
    for node in drawn.nodes:
        if node.kind == "model":
            assert titles.count(node.title) == 1


# --- the command


@pytest.fixture(scope="module")
def client(account: Account) -> Iterator[Client]:
    """A local cloud with a group, a release bucket and what the commands read from SSM."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.variables.items():
            patch.setenv(name, value)
        ours = account.client
        ours("s3").create_bucket(
            Bucket=RELEASES, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
        )
        publish_parameters(ours, group_name=GROUP, release_bucket=RELEASES)
        yield ours


@pytest.fixture(scope="module")
def made(client: Client) -> dict[str, Package]:
    """A family whose INT8 version is in a release."""
    sagemaker = client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    versions = family(sagemaker, GROUP)
    sagemaker.update_model_package(
        ModelPackageArn=versions["int8"].arn,
        CustomerMetadataProperties={"CompileJob": "compile-student-x-stage2-v1-0a1b2c3d-1"},
    )
    client("s3").put_object(Bucket=RELEASES, Key=f"releases/{RELEASE}/manifest.json", Body=b"{}")
    return versions


def test_command_draws_the_family_with_cards_and_release(made: dict[str, Package]) -> None:
    done = cards("registry", "lineage", NAMES["stage2"])
    assert done.code == 0, done.err
    lines = [line.strip(" └") for line in done.out.splitlines()]
    assert lines[0].startswith("card set 3f2a9c0d11aa")
    assert [line.split()[0] for line in lines[1:-1]] == list(NAMES.values())
    assert lines[-1] == f"release {RELEASE}"


def test_every_form_goes_to_the_terminal_or_into_a_file(
    made: dict[str, Package], tmp_path: Path
) -> None:
    for form in ("tree", "mermaid", "dot", "svg", "json"):
        shown = cards("registry", "lineage", NAMES["int8"], "--format", form)
        file = tmp_path / f"lineage.{form}"
        kept = cards("registry", "lineage", NAMES["int8"], "--format", form, "--out", str(file))
        assert (shown.code, kept.code) == (0, 0), shown.err + kept.err
        assert file.read_text().strip() == shown.out.strip()
    assert cards("registry", "lineage", NAMES["int8"], "--json").json["nodes"]
    assert not list(tmp_path.glob(".*"))


def test_repair_writes_missing_lineage_once_and_reports_it(
    made: dict[str, Package], client: Client
) -> None:
    sagemaker = client("sagemaker")
    forget(sagemaker)
    first = cards("registry", "lineage", NAMES["stage2"], "--repair")
    assert first.code == 0, first.err
    assert "written" in first.out and NAMES["int8"] in first.out
    assert "5 versions compared" in first.out
    whole = everything(sagemaker)
    again = cards("registry", "lineage", NAMES["stage2"], "--repair", "--json")
    assert again.json == {"versions": 5, "changes": []}
    (row,) = sagemaker.list_actions(ActionType="Export")["ActionSummaries"]
    for end in ("SourceArn", "DestinationArn"):
        for edge in sagemaker.list_associations(**{end: row["ActionArn"]})["AssociationSummaries"]:
            sagemaker.delete_association(
                SourceArn=edge["SourceArn"], DestinationArn=edge["DestinationArn"]
            )
    sagemaker.delete_action(ActionName=row["ActionName"])
    mended = cards("registry", "lineage", "--repair", "--json").json["changes"]
    assert {change["version"] for change in mended} == {NAMES["onnx"]}
    assert everything(sagemaker) == whole


def test_repair_reports_an_unrecorded_parent(made: dict[str, Package], client: Client) -> None:
    from registry.lineage.ancestry import artifact_of

    sagemaker = client("sagemaker")
    stranger = register(sagemaker, GROUP, "teacher-z-phase2-v1")
    assert cards("registry", "lineage", "--repair").code == 0
    ends = {
        "SourceArn": artifact_of(sagemaker, stranger.arn),
        "DestinationArn": artifact_of(sagemaker, made["int8"].arn),
    }
    sagemaker.add_association(**ends, AssociationType="DerivedFrom")
    told = cards("registry", "lineage", NAMES["int8"], "--repair")
    assert told.code == 0
    assert "unexpected" in told.out and "teacher-z-phase2-v1" in told.out
    assert "0 entities written" in told.out
    sagemaker.delete_association(**ends)


def test_wrong_uses_are_one_line(made: dict[str, Package], tmp_path: Path) -> None:
    refused(cards("registry", "lineage"), "NAME is missing", "cards registry list")
    refused(cards("registry", "lineage", "student-x-int8-v9"), "student-x-int8-v9")
    refused(cards("registry", "lineage", "--repair", "--format", "svg"), "--repair")
    (tmp_path / "file").touch()
    refused(
        cards("registry", "lineage", NAMES["int8"], "--out", str(tmp_path / "file" / "x.svg")),
        "File exists",
    )
