"""Reads what the approver's page is made of: a version's files, its line, and what is live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from cli.aws import AwsSession
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.convergence import Observation
    from registry.versions.packages import Package
    from reports.assembly import PageContext, Subject
    from reports.decision import Circumstances
    from reports.evidence import Evidence
    from reports.page import Page

#: A larger model is not read to its end for the evaluation in it.
_MODEL_LIMIT = 512 * 1024**2
_OUTPUT_LIMIT = 1024**3


def page_of(aws: AwsSession, package: Package, against: Package | None = None) -> Page:
    """The page of a version, with everything that can be had of it.

    Args:
        aws: The session.
        package: The version.
        against: What it is compared with; by default what the stable channel points to.
    """
    from reports.assembly import assemble

    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    made = f"Made by cards report on {moment} for {package.arn}, from what the registry had then."
    return assemble(subject_of(aws, package), _page_context(aws, package, against), made)


def subject_of(aws: AwsSession, package: Package) -> Subject:
    """What is known of a version; what cannot be had is left out, and why is said."""
    from cli.version_facts import facts
    from registry.versions.comparison import training_hyperparameters
    from reports.assembly import Subject
    from reports.page import Row

    evaluation, evidence, lacking = None, None, []
    if package.model_data_url:
        evaluation, fault = _evaluation(aws, package)
        evidence, other = _evidence(aws, package)
        lacking = [each for each in (fault, other) if each]
    return Subject(
        label=package.label,
        metadata=package.metadata,
        name=package.name,
        approval=package.approval,
        evaluation=evaluation,
        evidence=evidence,
        lacking="; ".join(lacking),
        hyperparameters=training_hyperparameters(aws.client("sagemaker"), package),
        facts=tuple(Row(key, value) for key, value in facts(package)),
    )


def _evaluation(aws: AwsSession, package: Package) -> tuple[dict[str, Any] | None, str]:
    """``evaluation.json`` of the model that was registered, or why it cannot be had."""
    from registry.untrusted.json_object import parse_object

    body, fault = _member(
        aws, package, package.model_data_url, "evaluation.json", "ModelArchive", _MODEL_LIMIT
    )
    if body is None:
        return None, fault
    try:
        return parse_object(body, len(body)), ""
    except ValueError as error:
        return None, f"evaluation.json {one_line(str(error))}"


def _evidence(aws: AwsSession, package: Package) -> tuple[Evidence | None, str]:
    """``evidence.json`` that the training job left, or why it cannot be had.

    A version from before there was one has no fault: the reason is its age.
    """
    from reports.evidence import EVIDENCE, Evidence
    from reports.view_outcomes import EvidenceError

    uri = f"{package.model_data_url.rpartition('/')[0]}/output.tar.gz"
    body, fault = _member(aws, package, uri, EVIDENCE, "OutputArchive", _OUTPUT_LIMIT)
    if body is None:
        return None, "" if fault.endswith("is not in it") else fault
    try:
        return Evidence.from_json(body), ""
    except EvidenceError as error:
        return None, one_line(str(error))


def _member(
    aws: AwsSession, package: Package, uri: str, member: str, recorded: str, most: int
) -> tuple[bytes | None, str]:
    """One file of an archive, if the archive is the one that was registered."""
    from typing import IO

    from botocore.exceptions import ClientError

    from registry.object_identity import HashedObject, ObjectIdentity, ObjectMissingError
    from registry.untrusted.archives import ArchiveError, read_member
    from reports.evidence import EVIDENCE_LIMIT

    file = uri.rpartition("/")[2]
    try:
        stream = HashedObject(aws.client("s3"), uri)
        if stream.size > most:
            return None, f"{file} has {stream.size:,} bytes, and more than {most:,} are not read"
        body = read_member(cast(IO[bytes], stream), member, EVIDENCE_LIMIT, label=file)
        found = stream.finish().identity
    except (ArchiveError, ObjectMissingError, ClientError) as error:
        return None, one_line(str(error))
    known = ObjectIdentity.parse(package.metadata.get(recorded, ""))
    if known is not None and known.sha256 != found.sha256:
        return None, f"{file} is not the one that was registered: its SHA-256 differs"
    return body, ""


def _page_context(aws: AwsSession, package: Package, against: Package | None) -> PageContext:
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
        circumstances=_circumstances(aws),
        flaw=flaw,
        console="" if aws.is_local else console_link(aws.region, package.group),
    )


def _live(aws: AwsSession, package: Package) -> tuple[Package | None, str]:
    """What the stable channel points to, or why there is nothing to compare with."""
    from registry.releases import pointers
    from registry.versions.packages import describe

    deployment = aws.deployment
    pointer, _ = pointers.read(deployment.s3, deployment.release_bucket)
    if pointer is None or pointer.package_arn is None:
        return None, "Nothing is live yet, so there is nothing to compare with."
    if pointer.package_arn == package.arn:
        return None, "This version is what devices have now: the stable channel points to it."
    found = describe(deployment.sagemaker, pointer.package_arn)
    if found is None:
        return None, f"The live version, {pointer.name or pointer.package_arn}, was deleted."
    return found, ""


def _without_files(aws: AwsSession, package: Package) -> Subject:
    """A version of which only settings and metadata are compared."""
    from registry.versions.comparison import training_hyperparameters
    from reports.assembly import Subject

    given = training_hyperparameters(aws.client("sagemaker"), package)
    return Subject(package.label, package.metadata, package.name, hyperparameters=given)


def _observed(aws: AwsSession, package: Package) -> Observation | None:
    """The version's state as the automation sees it; None where nothing is automated."""
    from registry.automation.observation import VersionRef, observe

    settings = _settings(aws)
    if settings is None:
        return None
    return observe(aws.deployment, VersionRef(package.arn, package.name), settings).seen


def _circumstances(aws: AwsSession) -> Circumstances:
    from reports.decision import Circumstances

    settings = _settings(aws)
    words = (
        f"It compiles with {settings.kind.title}, for {settings.kind.device}." if settings else ""
    )
    return Circumstances(
        compiler=words,
        stable_channel=aws.deployment.stable_channel,
        four_eyes=aws.deployment.four_eyes,
        price=_last_compilation(aws),
    )


def _settings(aws: AwsSession) -> Any:
    """The deployment's compile settings; None where its functions are not there, or not ours."""
    from botocore.exceptions import ClientError

    from cli.compile_settings import deployed_compile_settings
    from cli.errors import CliError

    try:
        return deployed_compile_settings(aws)
    except (CliError, ClientError, KeyError, ValueError):
        return None


def _last_compilation(aws: AwsSession) -> str:
    """How long the last compile job took, as a measure for the next one."""
    from registry.compilation.jobs import list_jobs
    from registry.convergence import JobState

    sagemaker = aws.client("sagemaker")
    newest = next(list_jobs(sagemaker, state=JobState.COMPLETED), None)
    if newest is None:
        return "How long that takes here is not known: no compile job has ended here yet."
    job = sagemaker.describe_processing_job(ProcessingJobName=newest["ProcessingJobName"])
    start, end = job.get("ProcessingStartTime"), job.get("ProcessingEndTime")
    if start is None or end is None:
        return ""
    machine = job["ProcessingResources"]["ClusterConfig"]["InstanceType"]
    minutes = (end - start).total_seconds() / 60
    return (
        f"The last compile job took {minutes:.1f} minutes on one {machine}; docs/cost.md has the "
        "prices."
    )


def _word(package: Package) -> str:
    from cli.version_facts import STATUS_WORDS

    return STATUS_WORDS.get(package.approval, package.approval)
