"""What a version was made from, how large it is, and whether it is expected to compile."""

from __future__ import annotations

from collections.abc import Sequence

from registry.contract import Contract
from registry.weight_origins import NOT_STATED, WeightOrigin
from reports.page import Row
from reports.subject import Subject

#: What the licence of a card set's scans is called, in tables and among differences.
SCANS_LICENCE = "Licence of the scans"


def data_rows(subject: Subject) -> tuple[Row, ...]:
    """The card set, and the licences of what the model is made from."""
    metadata = subject.metadata
    digest = metadata.get("CardSetDigest", "")
    rows = []
    if subject.evidence:
        data = subject.evidence.data
        digest = digest or data.digest
        unseen = data.unseen_validation + data.unseen_test
        rows = [
            Row("Cards in the set", f"{data.cards:,}", f"{data.images:,} scans"),
            Row("Known cards", f"{data.known:,}", "trained on, and in the gallery"),
            Row(
                "Cards kept out",
                f"{unseen:,}",
                f"{data.unseen_validation:,} choose the threshold, {data.unseen_test:,} measure",
            ),
            Row(
                "Remarks on the scans",
                f"{sum(data.problems.values()):,}",
                ", ".join(f"{count:,} {kind}" for kind, count in sorted(data.problems.items())),
            ),
        ]
    elif "NumClasses" in metadata:
        rows = [Row("Known cards", f"{metadata['NumClasses']}")]
    if metadata.get("CardSetUri"):
        rows.append(Row("Where it lies", metadata["CardSetUri"]))
    if digest:
        rows.append(Row("SHA-256 of the set", digest))
    rows.append(
        scans_licence_row(subject.evidence.data.licence)
        if subject.evidence
        else Row(SCANS_LICENCE, "not recorded")
    )
    return (*rows, *_weights(subject.weights))


def size_rows(subject: Subject) -> tuple[Row, ...]:
    """The network and its files."""
    rows = []
    if "Parameters" in subject.metadata:
        count = subject.metadata["Parameters"]
        rows.append(Row("Parameters", f"{int(count):,}" if count.isdecimal() else count))
    if "EmbeddingDim" in subject.metadata:
        rows.append(Row("Values of an embedding", subject.metadata["EmbeddingDim"]))
    size = subject.metadata.get("InputSize", str(Contract.size))
    rows.append(Row("Input", f"{size} × {size} pixels"))
    if subject.evidence:
        rows += [
            Row(name, f"{count / 1e6:.2f} MB", "as trained; the compiled file is smaller")
            for name, count in sorted(subject.evidence.sizes.items())
        ]
    rows.append(Row("Speed on a device", "not measured"))
    return tuple(rows)


def lint_words(subject: Subject) -> str:
    """Whether it is expected to compile."""
    if subject.evidence and subject.evidence.lint:
        count = len(subject.evidence.lint.findings)
        if not count:
            return (
                "The lint of the graph found nothing that the Hailo compiler is known to refuse. "
                "Only the compiler itself can tell."
            )
        return f"The Hailo compiler is expected to refuse this graph, for {count} reasons:"
    compatible = subject.metadata.get("HailoCompatible")
    if compatible == "true":
        return "The registry says that the lint found nothing that the compiler would refuse."
    if compatible == "false":
        return "The registry says that the compiler is expected to refuse this graph."
    return "This kind of model is not compiled, so its graph was not checked."


def scans_licence_row(stated: str | None) -> Row:
    """The licence of a card set's scans.

    Args:
        stated: As the set states it; empty where it states none, None where nobody asked.
    """
    if stated:
        return Row(SCANS_LICENCE, stated, "as the card set's file LICENSE states it")
    why = "its evidence does not say" if stated is None else "the card set has no file LICENSE"
    return Row(SCANS_LICENCE, "not stated", why)


def _weights(weights: tuple[WeightOrigin, ...] | None) -> tuple[Row, ...]:
    if weights is None:
        return (Row("Licence of the weights", "not recorded"),)
    if not weights:
        return (Row("Licence of the weights", "none is needed", "it began with random weights"),)
    return licence_rows(weights)


def licence_rows(weights: Sequence[WeightOrigin]) -> tuple[Row, ...]:
    """The licences of the published weights that a model descends from."""
    return tuple(
        Row(
            "Licence of the weights",
            "not stated" if each.licence == NOT_STATED else each.licence,
            f"of {each.name}, which it descends from",
        )
        for each in weights
    )
