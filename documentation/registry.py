"""The reference pages of what the registry writes: metadata keys, metrics, errors of AWS."""

from __future__ import annotations

from collections.abc import Mapping

from documentation.tables import code, table
from registry.aws_errors import KNOWN
from registry.versions.comparison import METRICS
from registry.versions.metadata_schema import ADDED, FAILED, SCHEMAS, Field
from reports.figures import MEANINGS

_BETTER = {1: "more", -1: "less", 0: ""}


def kinds() -> dict[str, Mapping[str, Field]]:
    """The keys of each kind of version, by the kind's title."""
    of_kinds = {f"{model} {stage}": schema for (model, stage), schema in SCHEMAS.items()}
    return {**of_kinds, "Cards added after training": ADDED, "A failed run": FAILED}


def metadata_page() -> str:
    """The page of the metadata keys, as Markdown."""
    parts = [
        "# Metadata",
        "Generated from the code. A version that lacks a required key, or has a value of another "
        "form, is refused. A copy of another deployment's version has `PromotedFrom` beside these "
        "keys: that version.",
    ]
    for title, schema in kinds().items():
        rows = [
            [
                code(key),
                "yes" if each.required else "",
                each.form.words,
                each.unit,
                each.meaning,
                each.source,
                code(each.example),
            ]
            for key, each in schema.items()
        ]
        head = ["Key", "Required", "Form", "Unit", "Meaning", "Source", "Example"]
        parts += [f"## {title}", table(head, rows)]
    return "\n\n".join(parts) + "\n"


def metrics_page() -> str:
    """The page of the metrics, as Markdown."""
    compared = [
        [code(key), _BETTER[each.better], code(each.trials), ", ".join(map(code, each.bounds))]
        for key, each in METRICS.items()
    ]
    figures = [[code(key), each.name, each.unit, each.words] for key, each in MEANINGS.items()]
    return "\n\n".join(
        [
            "# Metrics",
            "Generated from the code.",
            "## What `cards registry compare` knows",
            table(["Metadata key", "Better", "Number of trials", "Interval"], compared),
            "## Figures of an evaluation",
            "By their names in `evaluation.json`; the approver's page shows the second column.",
            table(["Name", "On the page", "Unit", "Meaning"], figures) + "\n",
        ]
    )


def errors_page() -> str:
    """The page of AWS's errors that the product decides by, as Markdown."""
    rows = [
        [meaning.name.lower().replace("_", " "), code(each.code), each.words, each.source]
        for meaning, known in KNOWN.items()
        for each in known
    ]
    return "\n\n".join(
        [
            "# Errors of AWS",
            "Generated from the code: the answers that the product decides by. Every other error "
            "ends a command with one line. "
            "[Exit codes](../guide.md#exit-codes) are in the guide.",
            table(["Meaning", "Code", "Words of its message", "Documented at"], rows) + "\n",
        ]
    )
