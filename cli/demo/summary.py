"""The summary at the demo's end: lineage, metrics, times, folders, and commands to try next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.aws import AwsSession
from cli.demo.artifact import artifact_document
from recognition.atomic_files import write_atomically
from registry.compilers import COMPILERS, ONNX_FORMAT, ONNX_STAGE

if TYPE_CHECKING:
    from cli.demo.recognise import Views
    from cli.registry.lineage_drawing import Branch
    from registry.versions.packages import Package

SUMMARY_FILE = "summary.json"
_COUNTS = ("queries", "unseen_test")
_FIGURES = (
    *("top1", "top5", "top1_unseen", "queries", "unseen_test", "auroc", "accepted_right"),
    "false_accept_rate",
)
#: Of those, what is measured of three frames, too.
_OF_FRAMES = ("top1", "top1_unseen", "accepted_right", "false_accept_rate")
_REPORT_LIMIT = 1024**2
_TITLES = {
    "teacher": "teacher",
    "stage1": "student, stage 1",
    "stage2": "student, stage 2",
    ONNX_STAGE: f"student, {ONNX_FORMAT}",
    **{kind.stage: f"student, {kind.title}" for kind in COMPILERS},
}


def collect(
    aws: AwsSession,
    *,
    packages: Mapping[str, Package],
    manifest: Mapping[str, Any],
    views: Views,
    device: Mapping[str, Any],
    times: Mapping[str, float],
    places: Mapping[str, str],
    which: str,
) -> dict[str, Any]:
    """Puts the summary together from the registry and the signed manifest.

    Args:
        packages: The trained versions by stage, in order.
        manifest: The release's.
        views: What the recogniser said.
        device: What the device's client said (:func:`cli.demo.device.device_step`).
        times: Seconds by step, and in ``total``.
        places: Where everything lies.
        which: Options of `cards local` for this local cloud.
    """
    from cli.find_version import find_package
    from cli.registry.lineage import lineage_tree

    # Looked up again: the student has been approved since it was registered.
    chain = {stage: find_package(aws, package.arn) for stage, package in packages.items()}
    for entry in manifest["lineage"]:
        if "stage" in entry:
            chain[entry["stage"]] = find_package(aws, entry["name"])
    return {
        "release": manifest["release"],
        "compiler": manifest["compiler"],
        "gate": manifest["gate"],
        "acceptance_threshold": manifest["acceptance_threshold"],
        "acceptance": manifest.get("acceptance"),
        "card_set": manifest["card_set"],
        "lineage": _tree_document(lineage_tree(aws, chain["stage2"])),
        "figures": {
            stage: {
                "name": package.label,
                "arn": package.arn,
                **figures(package, measured_metrics(aws, package)),
            }
            for stage, package in chain.items()
        },
        "recognition": views.to_dict(),
        "device": dict(device),
        "false_accepts": artifact_document(aws, chain["stage2"], "config.json")["false_accepts"],
        "warnings": artifact_document(aws, chain["stage2"], "evaluation.json").get("warnings", []),
        "seconds": round(times["total"], 2),
        "seconds_by_step": {name: round(value, 2) for name, value in times.items()},
        "places": dict(places),
        "next": next_commands(chain["stage2"].label, places["release"], which),
    }


def measured_metrics(aws: AwsSession, package: Package) -> dict[str, Any]:
    """A version's model quality report: every metric, where its metadata has room for some."""
    from registry.names import MODEL_QUALITY_PREFIX

    answer = aws.client("s3").get_object(
        Bucket=aws.deployment.training_bucket, Key=f"{MODEL_QUALITY_PREFIX}{package.name}.json"
    )
    document = json.loads(answer["Body"].read(_REPORT_LIMIT))
    return dict(document["card_retrieval_metrics"])


def figures(package: Package, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The measured figures of a version, with their 95 % intervals.

    Args:
        package: The version; what its metadata has is taken from there.
        metrics: Its model quality report's, by name: ``value`` and perhaps ``interval_95``.
    """
    from registry.versions.metadata import metric_key

    found: dict[str, Any] = {}
    for name in _FIGURES:
        key = metric_key(name)
        if key in package.metadata:
            value = float(package.metadata[key])
            found[name] = round(value) if name in _COUNTS else value
        low, high = (package.metadata.get(f"{key}{end}") for end in ("Low", "High"))
        if low and high:
            found[f"{name}_interval"] = [float(low), float(high)]
        else:
            found |= _interval(name, metrics.get(name, {}))
    frames: dict[str, Any] = {}
    for name in _OF_FRAMES:
        entry = metrics.get(f"three_frames_{name}")
        if entry:
            frames |= {name: entry["value"], **_interval(name, entry)}
    if frames:
        found["three_frames"] = frames
    return found


def _interval(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}_interval": entry["interval_95"]} if "interval_95" in entry else {}


def write_summary(summary: Mapping[str, Any], out: Path) -> None:
    """Writes ``summary.json`` and prints the summary."""
    write_atomically(out / SUMMARY_FILE, json.dumps(summary, indent=2) + "\n")
    print_summary(summary, out)


def print_summary(summary: Mapping[str, Any], out: Path) -> None:
    """Prints the summary: tables on a terminal, plain lines elsewhere."""
    from cli.console import (
        fraction,
        percentage,
        print_line,
        print_table,
        print_tree,
        seconds,
    )

    print_line()
    print_line("Lineage")
    print_tree(_branch(summary["lineage"]))
    print_line()
    print_table(
        ["MODEL", "TOP-1", "95 %", "VIEWS", "NEW CARDS", "ACCEPTED", "FALSE", "NAME"],
        [_figure_row(_TITLES.get(stage, stage), row) for stage, row in summary["figures"].items()],
        title="Top-1 on unseen camera views, and on cards that were never trained on; accepted: "
        f"named right with the threshold that lets "
        f"{percentage(summary['false_accepts'])} of unknown cards pass; false: how many it let "
        "pass of those that no choice has seen",
        right=[1, 2, 3, 4, 5, 6],
    )
    several = {
        stage: row["three_frames"]
        for stage, row in summary["figures"].items()
        if "three_frames" in row
    }
    if several:
        print_line()
        print_table(
            ["MODEL", "TOP-1", "NEW CARDS", "ACCEPTED", "FALSE"],
            [
                [_TITLES.get(stage, stage), *(fraction(row.get(name)) for name in _OF_FRAMES)]
                for stage, row in several.items()
            ],
            title="The same with three frames of a card as one query",
            right=[1, 2, 3, 4],
        )
    for warning in summary["warnings"]:
        print_line(f"warning: {warning}")
    print_line()
    seen = summary["recognition"]
    print_line(
        f"New views of known cards, with the pulled release: the nearest card is right for "
        f"{seen['known_nearest']} of {seen['known_views']}"
    )
    print_line(
        f"  with the release's threshold {seen['known_right']} are named right, "
        f"{seen['known_wrong']} taken for another card, {seen['known_turned_away']} turned away"
    )
    print_line(
        f"Unknown cards: {seen['unseen_turned_away']} of {seen['unseen_views']} views of "
        f"{seen['unseen_cards']} card{'s'[: seen['unseen_cards'] != 1]} that nobody trained on "
        "were turned away"
    )
    example = seen["example_turned_away"]
    if example:
        print_line(
            f"  for example {example['card']}: nearest is {example['nearest']} at "
            f"{example['similarity']:.3f}, below {example['threshold']:.3f}"
        )
    device = summary["device"]
    print_line(
        f"The device's client took the release and tested it ({device['runtime']}): the nearest "
        f"card is right for {device['known_nearest']} of {device['known_views']} of these views, "
        f"{device['unseen_turned_away']} of {device['unseen_views']} unknown ones were turned away"
    )
    print_line()
    print_table(
        ["STEP", "TIME"],
        [[name, seconds(value)] for name, value in summary["seconds_by_step"].items()],
        right=[1],
    )
    print_line()
    places = {**summary["places"], "summary": str(out / SUMMARY_FILE)}
    print_table(["WHERE", ""], [[name, place] for name, place in places.items()])
    print_line()
    print_line("Next")
    for line in summary["next"]:
        print_line(f"  {line}")


def next_commands(name: str, release: str, which: str) -> list[str]:
    """Commands to try after the demo.

    Args:
        name: The student's.
        release: The folder of the pulled release.
        which: Options of `cards local` for this local cloud; empty for the default one.
    """
    from registry.names import GROUP

    return [
        f'eval "$(cards local env{which})"',
        "cards registry list",
        f"cards registry lineage {name}",
        f"cards release verify {release}",
        f"cards recognise {release} YOUR-PHOTO.jpg",
        f"aws sagemaker list-model-packages --model-package-group-name {GROUP} "
        "--sort-by CreationTime --sort-order Descending",
        f"cards demo --cards YOUR-SCANS/{which}",
        f"cards local down{which}",
    ]


def _figure_row(title: str, row: Mapping[str, Any]) -> list[str]:
    from cli.console import fraction

    low, high = row.get("top1_interval", (None, None))
    return [
        title,
        fraction(row.get("top1")),
        f"{fraction(low)} to {fraction(high)}" if low is not None else "–",
        str(row.get("queries", "–")),
        fraction(row.get("top1_unseen")),
        fraction(row.get("accepted_right")),
        fraction(row.get("false_accept_rate")),
        row["name"],
    ]


def _tree_document(branch: Branch) -> dict[str, Any]:
    return {
        "label": branch.label,
        "children": [_tree_document(child) for child in branch.children],
    }


def _branch(document: Mapping[str, Any]) -> Branch:
    from cli.registry.lineage_drawing import Branch

    return Branch(document["label"], [_branch(child) for child in document["children"]])
