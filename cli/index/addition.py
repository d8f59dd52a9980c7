"""A release's card set with more cards, measured, pushed and registered as a new version."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CliError

if TYPE_CHECKING:
    from cli.aws import AwsSession
    from export.student_artifact import StudentArtifact
    from recognition.card_sets.added_cards import AddedCards
    from recognition.card_sets.card_checks import SamePrintPair
    from recognition.card_sets.pack import AnySet
    from registry.registration.added_cards import GrownCardSet
    from registry.versions.packages import Package

_SHOWN = 10
ShowProgress = Callable[[str], None]


@dataclass(frozen=True)
class Addition:
    """What ``cards index add`` has made.

    Attributes:
        outcome: ``registered`` or ``already registered``.
        name: The version's name.
        arn: Its ARN.
        release: The release that the cards were added to.
        parent: Name of the version that the release was made from.
        cards_uri: Where the card set lies that the version is compiled with.
        cards_digest: Its digest.
        new: Ids of the cards that were added now.
        present: Ids of the given cards that the release's card set has already.
        held_out: Those of them that are in no index: figures are measured with them.
        added: How many cards were added since the model was trained, earlier ones counted.
        problems: What of the folder was left out, or used all the same.
        twins: Pairs of a new card and another one of the same print.
        metrics: What was measured; empty where the version was there.
        newer: The release that the candidate channel points to, where it is another one.
    """

    outcome: str
    name: str
    arn: str
    release: str
    parent: str
    cards_uri: str
    cards_digest: str
    new: tuple[str, ...]
    present: tuple[str, ...]
    held_out: tuple[str, ...]
    added: int
    problems: tuple[str, ...]
    twins: tuple[tuple[str, str], ...]
    metrics: Mapping[str, float]
    newer: str | None

    def to_dict(self) -> dict[str, Any]:
        """The form of ``--json``."""
        return asdict(self)


def add_cards(
    aws: AwsSession, release: str, folder: Path, work: Path | None, show_progress: ShowProgress
) -> Addition:
    """Registers a version with a release's model and more cards in its index.

    Args:
        aws: The deployment.
        release: The release's id.
        folder: Scans of the new cards.
        work: Keeps what is fetched; None for a temporary folder.
        show_progress: Called with a line about each step.

    Raises:
        CliError: The folder has nothing new, or the release cannot be added to.
        CardSetError: The folder cannot be used, or would change a card.
        DownloadError: There is no such release.
        RegistrationError: Cards cannot be added to the version that it was made from.
    """
    from export.student_artifact import read_artifact
    from recognition.card_sets.added_cards import compare
    from recognition.card_sets.same_print_pairs import same_print_pairs
    from registry.object_identity import ObjectIdentity
    from registry.registration.added_cards import claim, register, require_model
    from registry.versions.metadata import MODEL_ARCHIVE

    parent = source_version(aws, release)
    require_model(parent)
    given = _given_cards(folder)
    threads = os.cpu_count() or 1
    with _working_folder(work) as there:
        show_progress("fetching the release's card set")
        old = _old_cards(aws, parent, there, show_progress)
        added = compare(old, given)
        if not added.new:
            raise CliError(
                f"{folder}: all {len(added.present)} cards are in the card set of {release} "
                "already; nothing is added"
            )
        show_progress("fetching the model")
        archive = ObjectIdentity.parse(parent.metadata[MODEL_ARCHIVE])
        assert archive is not None  # require_model has read it
        _fetch_archive(aws, parent, archive, there / "model")
        artifact = read_artifact(there / "model", there / "unpacked", archive.sha256)
        cards = _grown(old, given, added, there / "grown", show_progress)
        grown = _grown_set(aws, cards, artifact)
        claimed = claim(aws.deployment, parent, grown)
        show_progress("looking for twins")
        twins = same_print_pairs(cards, added.new, artifact.contract, threads)
        metrics: dict[str, float] = {}
        done = claimed
        if claimed.arn is None:
            metrics = _measure(cards, artifact, threads, show_progress)
            _push(aws, cards, grown, show_progress)
            done = register(aws.deployment, parent, grown, metrics)
    return Addition(
        outcome=done.outcome,
        name=str(done.name),
        arn=str(done.arn),
        release=release,
        parent=parent.label,
        cards_uri=grown.uri,
        cards_digest=grown.digest,
        new=added.new,
        present=added.present,
        held_out=tuple(sorted(set(added.present) & _held_out(artifact))),
        added=grown.added,
        problems=tuple(map(str, given.problems)),
        twins=tuple(_named(pair) for pair in twins),
        metrics=metrics,
        newer=_other_candidate(aws, release),
    )


def lines(found: Addition) -> list[str]:
    """The result for people, what needs a decision first."""
    report = [f"{len(found.new)} new cards, {len(found.present)} that the release has already"]
    if found.newer:
        report.append(
            f"note: the candidate channel points to {found.newer}; cards that were added to that "
            "one and not to this one are missing in the new index: to keep them, add to that one"
        )
    if found.held_out:
        report.append(
            f"{len(found.held_out)} of them are held out to measure with, and in no index: "
            f"{', '.join(found.held_out[:_SHOWN])}"
        )
    report += [f"  {problem}" for problem in found.problems[:_SHOWN]]
    if len(found.problems) > _SHOWN:
        report.append(f"  … and {len(found.problems) - _SHOWN} more (--json lists all)")
    report += [
        f"{one} and {other} show the same print: they cannot be told apart"
        for one, other in found.twins[:_SHOWN]
    ]
    if len(found.twins) > _SHOWN:
        report.append(f"… and {len(found.twins) - _SHOWN} more such pairs (--json lists all)")
    report += figures(found.metrics)
    state = "is there already" if found.outcome != "registered" else "waits for approval"
    report.append(
        f"{found.name}: {state}; the model of {found.parent}, {found.added} cards more than it "
        "was trained and tested on"
    )
    return report


def figures(metrics: Mapping[str, float]) -> list[str]:
    """What was measured, in two lines; none where nothing was."""
    if "top1_added" not in metrics:
        return []
    found = [
        f"added cards: top-1 {metrics['top1_added']:.3f} ({metrics['top1_added_low']:.3f} to "
        f"{metrics['top1_added_high']:.3f}) of {metrics['added_queries']:.0f} views, "
        f"{metrics['accepted_right_added']:.3f} accepted and right"
    ]
    if "top1_before" in metrics:
        pairs = (
            ("top-1", "top1"),
            ("accepted and right", "accepted_right"),
            ("false accepts", "false_accept_rate"),
        )
        told = (
            f"{words} {metrics[f'{key}_before']:.3f} → {metrics[key]:.3f}" for words, key in pairs
        )
        found.append(f"without → with them, for the other cards: {', '.join(told)}")
    return found


def source_version(aws: AwsSession, release: str) -> Package:
    """The version that a release was made from, by its verified manifest.

    Raises:
        DownloadError: There is no such release.
        CliError: The version is gone.
    """
    from cli.release.verified_manifest import manifest_of
    from registry.versions.packages import describe

    source = manifest_of(aws, release)["source"]
    found = describe(aws.client("sagemaker"), str(source["arn"]))
    if found is None or found.group != aws.deployment.group_name:
        raise CliError(
            f"{release}: was made from {source['name']}, which is not in "
            f"{aws.deployment.group_name} any more; add the cards to another release"
        )
    return found


def _given_cards(folder: Path) -> Any:
    from recognition.card_sets.card_set import read_card_set
    from recognition.card_sets.pack import PACK
    from registry.contract import Contract

    if (folder / PACK).is_file():
        raise CliError(f"--cards {folder}: is a pack; give the folder of scans it was made from")
    return read_card_set(folder, Contract())


def _old_cards(
    aws: AwsSession, parent: Package, parent_folder: Path, show_progress: ShowProgress
) -> AnySet:
    from cli.data.download import fetch_card_set
    from cli.data.upload import verify
    from recognition.card_sets.card_set import require_digest
    from recognition.card_sets.pack import open_card_set
    from registry.contract import Contract
    from registry.versions.metadata import CARD_SET_DIGEST, CARD_SET_URI

    uri, digest = (parent.metadata.get(key, "") for key in (CARD_SET_URI, CARD_SET_DIGEST))
    if not uri.startswith("s3://") or not digest:
        raise CliError(
            f"{parent.label}: the address or the digest of its card set is not recorded; train it "
            "again"
        )
    folder = parent_folder / f"cards-{digest[:12]}"
    fetch_card_set(aws.client("s3"), uri, folder, show_progress)
    cards = open_card_set(folder, Contract())
    require_digest(cards, digest)
    verify(cards)
    return cards


def _grown(
    old: AnySet, given: Any, added: AddedCards, out: Path, show_progress: ShowProgress
) -> AnySet:
    """The old set with the new cards, in the form that the old one has."""
    from cli.console import bar
    from recognition.card_sets.added_cards import merged
    from recognition.card_sets.pack import SCALE, PackedSet, open_pack
    from recognition.card_sets.pack_writing import extend_pack

    if not isinstance(old, PackedSet):
        return merged(old, given, added)
    assert old.side % SCALE == 0
    extend_pack(
        old,
        given.only(added.new),
        out,
        threads=os.cpu_count() or 1,
        progress=lambda done, total: show_progress(
            f"{bar(done, total)} {done} of {total} scans packed"
        ),
    )
    return open_pack(out)


def _grown_set(aws: AwsSession, cards: AnySet, artifact: StudentArtifact) -> GrownCardSet:
    from cli.data.upload import card_set_uri
    from registry.registration.added_cards import GrownCardSet

    trained = {*artifact.split.known, *_held_out(artifact)}
    return GrownCardSet(
        card_set_uri(aws.deployment.training_bucket, cards),
        cards.digest,
        len(set(cards.card_ids) - trained),
    )


def _held_out(artifact: StudentArtifact) -> set[str]:
    return {*artifact.split.unseen_validation, *artifact.split.unseen_test}


def _fetch_archive(aws: AwsSession, parent: Package, archive: Any, folder: Path) -> None:
    from export.student_artifact import ARCHIVE
    from registry.aws import split_s3_uri

    folder.mkdir(parents=True, exist_ok=True)
    bucket, key = split_s3_uri(parent.model_data_url)
    version = {"VersionId": archive.version_id} if archive.version_id else None
    aws.client("s3").download_file(bucket, key, str(folder / ARCHIVE), ExtraArgs=version)


def _measure(
    cards: AnySet, artifact: StudentArtifact, threads: int, show_progress: ShowProgress
) -> dict[str, float]:
    """Retrieval of known and added cards by the float model that every compiler is given."""
    from export.fidelity.gate_images import evaluation_images
    from export.fidelity.measurement import measure
    from recognition.onnx_model import OnnxEmbedder
    from registry.compilers import ONNX_STAGE

    show_progress("measuring")
    images = evaluation_images(cards, artifact)
    embedder = OnnxEmbedder(artifact.model, artifact.contract, threads=threads)
    found = measure(
        images,
        {ONNX_STAGE: embedder},
        lambda line: show_progress(f"measuring: {line}"),
        false_accepts=artifact.false_accepts,
        printing_margin=artifact.printing_margin,
    )
    return found[ONNX_STAGE].metrics()


def _push(aws: AwsSession, cards: AnySet, grown: GrownCardSet, show_progress: ShowProgress) -> None:
    from cli.data.upload import push

    done = push(
        aws.client("s3"),
        aws.deployment.training_bucket,
        cards,
        lambda sent, total: show_progress(f"pushing: {sent} of {total} files"),
    )
    if (done.uri, done.digest) != (grown.uri, grown.digest):
        raise CliError(f"{done.uri}: is not where {grown.uri} was meant; type the same again")


def _other_candidate(aws: AwsSession, release: str) -> str | None:
    """The release that the candidate channel points to, where it is another one."""
    from registry.names import CANDIDATE_CHANNEL
    from registry.releases.pull.download import release_in_channel
    from registry.releases.pull.pulled_folder import DownloadError

    try:
        bucket = aws.deployment.release_bucket
        found = release_in_channel(aws.client("s3"), bucket, CANDIDATE_CHANNEL)
    except DownloadError:
        return None
    return None if found == release else found


def _named(pair: SamePrintPair) -> tuple[str, str]:
    return pair.one, pair.other


@contextmanager
def _working_folder(work: Path | None) -> Iterator[Path]:
    if work is None:
        with tempfile.TemporaryDirectory(prefix="cards-index-") as folder:
            yield Path(folder)
        return
    work.mkdir(parents=True, exist_ok=True)
    yield work
