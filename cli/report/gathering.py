"""Reads what the approver's page is made of: a version's files, its line, and what is live."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from cli.aws import AwsSession
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.convergence import Observation
    from registry.versions.packages import Package
    from registry.weight_origins import WeightOrigin
    from reports.assembly import PageContext
    from reports.kept_files import KeptFiles
    from reports.page import Page
    from reports.subject import Subject
    from training.page_facts import PageFacts

#: A larger model is not read to its end for the evaluation in it.
_MODEL_LIMIT = 512 * 1024**2
_OUTPUT_LIMIT = 1024**3
_COMPILED = (
    "it was compiled: what that changed is in fidelity.html of its release, and what was seen in "
    "training on the page of the student that it was compiled from"
)


def page_of(
    aws: AwsSession, package: Package, against: Package | None = None, devices: str = ""
) -> Page:
    """The page of a version, with everything that can be had of it.

    Args:
        aws: The session.
        package: The version.
        against: What it is compared with; by default what the stable channel points to.
        devices: How many devices follow each channel, in words; no digest depends on it.
    """
    from dataclasses import replace

    from reports.assembly import assemble

    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    made = f"Made by cards report on {moment} for {package.arn}, from what the registry had then."
    context = replace(_page_context(aws, package, against), devices=devices)
    return assemble(subject_of(aws, package), context, made)


def subject_of(aws: AwsSession, package: Package) -> Subject:
    """What is known of a version; what cannot be had is left out, and why is said."""
    from cli.version_facts import facts
    from registry.compilers import compiled_stages
    from registry.versions.comparison import training_hyperparameters
    from reports.kept_files import KeptFiles, evaluation, evidence
    from reports.page import Row
    from reports.subject import Subject

    model, output = KeptFiles(), KeptFiles()
    if package.name is not None and package.name.stage in compiled_stages():
        output = KeptFiles(fault=_COMPILED)
    elif package.model_data_url:
        model, output = _model(aws, package), _output(aws, package)
    measured, fault = evaluation(model)
    kept, other = evidence(output)
    submission = _submission(aws, package)
    return Subject(
        label=package.label,
        metadata=package.metadata,
        name=package.name,
        approval=package.approval,
        evaluation=measured,
        evidence=kept,
        lacking="; ".join(each for each in (fault, other) if each),
        hyperparameters=training_hyperparameters(aws.client("sagemaker"), package),
        facts=tuple(Row(key, value) for key, value in (*facts(package), *_people(submission))),
        message=submission.message if submission else "",
        weights=_weights(model),
    )


def _model(aws: AwsSession, package: Package) -> KeptFiles:
    from reports.kept_files import CONFIG, EVALUATION, FILE_LIMIT

    limits = {EVALUATION: FILE_LIMIT, CONFIG: FILE_LIMIT}
    return _read(aws, package, package.model_data_url, "ModelArchive", limits, _MODEL_LIMIT)


def _output(aws: AwsSession, package: Package) -> KeptFiles:
    from reports.evidence import EVIDENCE, EVIDENCE_LIMIT

    uri = f"{package.model_data_url.rpartition('/')[0]}/output.tar.gz"
    limits = {EVIDENCE: EVIDENCE_LIMIT}
    return _read(aws, package, uri, "OutputArchive", limits, _OUTPUT_LIMIT)


def _read(
    aws: AwsSession,
    package: Package,
    uri: str,
    recorded: str,
    limits: Mapping[str, int],
    most: int,
) -> KeptFiles:
    """Files of an archive, if the archive is the one that was registered."""
    from typing import IO

    from botocore.exceptions import ClientError

    from registry.object_identity import HashedObject, ObjectIdentity, ObjectMissingError
    from registry.untrusted.archives import ArchiveError, read_members
    from reports.kept_files import KeptFiles, other_archive

    file = uri.rpartition("/")[2]
    try:
        stream = HashedObject(aws.client("s3"), uri)
        if stream.size > most:
            return KeptFiles(
                fault=f"{file} has {stream.size:,} bytes, and more than {most:,} are not read"
            )
        files = read_members(cast(IO[bytes], stream), limits, label=file)
        found = stream.finish().identity
    except (ArchiveError, ObjectMissingError, ClientError) as error:
        return KeptFiles(fault=one_line(str(error)))
    known = ObjectIdentity.parse(package.metadata.get(recorded, ""))
    if known is not None and known.sha256 != found.sha256:
        return other_archive(file)
    return KeptFiles(files)


def _weights(model: KeptFiles) -> tuple[WeightOrigin, ...] | None:
    """Published weights that the model descends from; None where its configuration is not there."""
    from registry.untrusted.json_object import parse_object
    from registry.weight_origins import read_origins
    from reports.kept_files import CONFIG

    body = model.files.get(CONFIG)
    try:
        config = parse_object(body, len(body)) if body else {}
        texts = [str(config[key]) for key in ("initial_weights", "inherited_weights")]
        return read_origins(*texts)
    except (ValueError, KeyError):
        return None


def _people(submission: PageFacts | None) -> list[tuple[str, str]]:
    """Who submitted the training, where there was one."""
    if submission is None:
        return []
    return [("Submitted by", one_line(" and ".join(submission.submitted_by)) or "not recorded")]


def _submission(aws: AwsSession, package: Package) -> PageFacts | None:
    """What its training job was told when it was submitted; None where no training made it."""
    from botocore.exceptions import ClientError

    from training.page_facts import PageFacts

    kind, job = package.own_job or ("", "")
    if kind != "training-job":
        return None
    try:
        answer = aws.client("sagemaker").describe_training_job(TrainingJobName=job)
    except ClientError:
        return PageFacts()  # The job is gone, or this person may not look at it.
    return PageFacts.read(answer.get("Environment", {}))


def _page_context(aws: AwsSession, package: Package, against: Package | None) -> PageContext:
    from cli.report.deployment_facts import circumstances
    from registry.lineage.ancestry import ancestors
    from registry.versions.validation import current_validation
    from reports.assembly import PageContext
    from reports.decision import console_link
    from reports.page import Ancestor

    sagemaker = aws.client("sagemaker")
    chain = ancestors(sagemaker, package)
    other, note = (against, "") if against else _live(aws, package)
    parent = chain[0] if chain else None
    flaw = ""
    if package.name is not None:
        verdict = current_validation(package.name, package.metadata)
        flaw = "" if verdict.passed else "; ".join(verdict.faults)
    return PageContext(
        live=subject_of(aws, other) if other else None,
        role="the version that was asked for" if against else PageContext.role,
        live_note=note,
        parent=_without_files(aws, parent) if parent else None,
        line=tuple(Ancestor(each.label, _word(each)) for each in reversed(chain)),
        seen=_observed(aws, package),
        circumstances=circumstances(aws, package),
        flaw=flaw,
        console="" if aws.is_local else console_link(aws.region, package.group),
    )


def _live(aws: AwsSession, package: Package) -> tuple[Package | None, str]:
    """What a version is compared with, or why there is nothing to compare with."""
    from cli.report.deployment_facts import live_version

    found, note = live_version(aws)
    if found is not None and found.arn == package.arn:
        return None, "This version is what devices have now: the stable channel points to it."
    return found, note


def _without_files(aws: AwsSession, package: Package) -> Subject:
    """A version of which only settings and metadata are compared."""
    from registry.versions.comparison import training_hyperparameters
    from reports.subject import Subject

    given = training_hyperparameters(aws.client("sagemaker"), package)
    return Subject(package.label, package.metadata, package.name, hyperparameters=given)


def _observed(aws: AwsSession, package: Package) -> Observation | None:
    """The version's state as the automation sees it; None where nothing is automated."""
    from cli.report.deployment_facts import compile_settings
    from registry.automation.observation import VersionRef, observe

    settings = compile_settings(aws)
    if settings is None:
        return None
    return observe(aws.deployment, VersionRef(package.arn, package.name), settings).seen


def _word(package: Package) -> str:
    from cli.version_facts import STATUS_WORDS

    return STATUS_WORDS.get(package.approval, package.approval)
