"""The approver's page as a training job makes it: ``report.html``, beside its request to register.

What was measured is the job's own. What devices have now comes with the channel ``live``; the rest
of what the registry knows was looked up when the job was submitted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recognition.file_digest import file_sha256
from registry.names import ModelName
from registry.registration.register import COMMIT
from registry.registration.request import REQUEST_FILE, REQUEST_LIMIT
from registry.untrusted.archives import ArchiveError, read_members
from registry.untrusted.json_object import JsonObjectError, parse_object
from registry.untrusted.text import one_line
from registry.versions.metadata import kept_metrics
from registry.versions.validation import validate
from registry.weight_origins import read_origins
from reports.assembly import PageContext, assemble
from reports.decision import Circumstances
from reports.evidence import EVIDENCE, EVIDENCE_LIMIT, Evidence
from reports.followers import of_a_job
from reports.kept_files import (
    CONFIG,
    EVALUATION,
    FILE_LIMIT,
    KeptFiles,
    evaluation,
    evidence,
    other_archive,
)
from reports.page import Ancestor, Row
from reports.rendering import version_page
from reports.subject import Subject
from training.artifacts.model_archive import configured_facts
from training.config import ConfigError, TrainingConfig
from training.environment import LIVE_CHANNEL, JobEnvironment
from training.reporting.evaluation import TrainingResult

#: Stands for the version's name where no job of SageMaker's runs.
_NO_JOB = "NAME"


def report_page(
    config: TrainingConfig,
    environment: JobEnvironment,
    request: Mapping[str, Any],
    result: TrainingResult,
    views: Evidence,
    parent: TrainingConfig | None = None,
) -> str:
    """The page's HTML.

    Args:
        config: Of the job.
        environment: Its folders and what was known when it was submitted.
        request: To register the model.
        result: What was measured.
        views: What the job keeps for the approver.
        parent: Configuration of the model that this one is made from.
    """
    facts, job = environment.page_facts, environment.job_name or _NO_JOB
    # The version's number is given when it is registered; what follows from a decision does not
    # depend on it.
    name = ModelName(config.model_type, config.architecture, config.stage, 1)
    metrics = kept_metrics(config.model_type, config.stage, request["metrics"])
    metadata = {
        **request["metadata"],
        **metrics,
        "CardSetDigest": str(request["card_set"]["digest"]),
    }
    verdict = validate(name, metadata)
    subject = Subject(
        label=job,
        title=f"{name.line}, made by {job}",
        metadata=metadata,
        name=name,
        evaluation=json.loads(json.dumps(result.to_dict())),
        evidence=views,
        hyperparameters=_settings(config),
        facts=_facts(environment, request),
        message=facts.message,
        weights=read_origins(config.initial_weights, config.inherited_weights),
    )
    live, live_note = None, facts.live_note or PageContext.live_note
    if not name.releasable:
        live_note = "Nothing is released from it, so it is not compared with what devices have."
    elif facts.live:
        live = _live(environment)
    context = PageContext(
        live=live,
        live_note=live_note,
        parent=_parent(facts.line[-1], parent) if parent and facts.line else None,
        line=tuple(Ancestor(each, "") for each in facts.line),
        circumstances=Circumstances(
            facts.compiler,
            facts.stable_channel,
            facts.four_eyes,
            facts.submitted_by,
            facts.price,
            facts.held,
        ),
        flaw="" if verdict.passed else "; ".join(verdict.faults),
        console=facts.console,
        devices=of_a_job(job),
    )
    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    made = (
        f"Made by the training job {job} on {moment}, before its version was registered, from what "
        "was live when it was submitted. What holds now: cards report NAME."
    )
    return version_page(assemble(subject, context, made))


def _settings(config: TrainingConfig) -> dict[str, str]:
    return {key: str(value) for key, value in config.to_dict().items()}


def _facts(environment: JobEnvironment, request: Mapping[str, Any]) -> tuple[Row, ...]:
    rows = (
        ("Made by", environment.job_name),
        ("Submitted by", " and ".join(environment.page_facts.submitted_by)),
        ("Made from", str(request.get("parent_model_package_arn") or "")),
        ("Commit", os.environ.get(COMMIT, "")),
        ("MLflow run", str(request.get("mlflow_run_id") or "")),
    )
    return tuple(Row(name, value) for name, value in rows if value)


def _parent(label: str, config: TrainingConfig) -> Subject:
    settings = _settings(config) if config.model_type == "student" else None
    return Subject(label, configured_facts(config), hyperparameters=settings)


def _live(environment: JobEnvironment) -> Subject:
    """The live version, as far as its archives say."""
    facts = environment.page_facts
    folder = environment.channels.get(LIVE_CHANNEL)
    members = {EVALUATION: FILE_LIMIT, CONFIG: FILE_LIMIT}
    model = _read(folder, "model.tar.gz", facts.live_model, members)
    members = {EVIDENCE: EVIDENCE_LIMIT, REQUEST_FILE: REQUEST_LIMIT}
    output = _read(folder, "output.tar.gz", facts.live_output, members)
    measured, fault = evaluation(model)
    kept, other = evidence(output)
    request = _object(output.files.get(REQUEST_FILE))
    metadata = request.get("metadata")
    settings = None
    if CONFIG in model.files:
        try:
            settings = _settings(TrainingConfig.from_dict(_object(model.files[CONFIG])))
        except ConfigError:
            settings = None  # Of another state of the product: its settings mean something else.
    return Subject(
        facts.live,
        {str(key): str(value) for key, value in metadata.items()}
        if isinstance(metadata, dict)
        else {},
        approval="Approved",
        evaluation=measured,
        evidence=kept,
        lacking="; ".join(each for each in (fault, other) if each),
        hyperparameters=settings,
    )


def _read(folder: Path | None, file: str, sha256: str, limits: Mapping[str, int]) -> KeptFiles:
    """Members of an archive in the channel, if it is the one that was registered."""
    path = folder / file if folder else None
    if path is None or not path.is_file():
        return KeptFiles(fault=f"{file} is not there")
    if sha256 and file_sha256(path) != sha256:
        return other_archive(file)
    try:
        with path.open("rb") as stream:
            return KeptFiles(read_members(stream, limits, file))
    except (ArchiveError, OSError) as error:
        return KeptFiles(fault=one_line(str(error)))


def _object(body: bytes | None) -> dict[str, Any]:
    try:
        return dict(parse_object(body, len(body))) if body else {}
    except JsonObjectError:
        return {}
