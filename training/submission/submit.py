"""Sending training jobs to SageMaker.

With :mod:`training.submission.sdk_session` the only module that knows the ``sagemaker`` SDK
(version 2, script mode); see ``docs/decisions/0003-sagemaker-sdk.md``. The entry points know
SageMaker's own contract alone. :func:`plan` decides everything and asks nobody, :func:`submit`
sends it; :mod:`training.submission.watch` follows it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from registry.deployment import DeployedNames
from registry.names import (
    CARDS_CHANNEL,
    CHANNEL_DIGEST,
    EXPERIMENT,
    JOB_NAME_LIMIT,
    JOBS_PREFIX,
    NO_NETWORK,
    NO_TOKEN,
    SOURCE_PREFIX,
    STUDENT,
    TEACHER,
    ModelName,
)
from registry.object_identity import ObjectIdentity
from registry.registration.failed_runs import MODEL_LINE
from registry.registration.register import COMMIT, INFERENCE_IMAGE
from registry.telemetry import OPT_OUTS
from registry.versions.four_eyes import SUBMITTED_BY
from registry.versions.metadata import MODEL_ARCHIVE
from registry.versions.packages import Package
from training.environment import LIVE_CHANNEL, TOKEN_SECRET, WEIGHTS_CHANNEL
from training.losses.terms import TERMS
from training.page_facts import PageFacts
from training.published_weights import PUBLISHED
from training.recipe import resolve
from training.submission.framework_images import (
    FRAMEWORK_VERSION,
    PYTHON_VERSION,
    framework_image,
    inference_image,
)
from training.submission.plan_checks import (
    STUDENT_STAGES,
    check_pack,
    checked_hyperparameters,
    checked_parent,
    checked_tags,
    notes_on_key,
)
from training.submission.sdk_session import (
    configuration_checked_once,
    sdk_session,
    takes_disk_key,
)
from training.submission.source import staged_source
from training.submission.training_plan import (
    Compute,
    SubmitError,
    TrainingPlan,
    is_distributed,
)

__all__ = ["Compute", "SubmitError", "TrainingPlan", "plan", "request", "submit"]

ENTRY_POINTS = {
    TEACHER: "training/jobs/train_teacher.py",
    STUDENT: "training/jobs/train_student_distillation.py",
}
#: Recipes that a CPU can follow; all others are given one GPU.
SMALL_RECIPES = ("tiny", "demo")
SMALL_INSTANCE, LARGE_INSTANCE = "ml.m5.xlarge", "ml.g5.2xlarge"
#: What the console plots, read by SageMaker from the log (`step=40 loss=1.2 top1=0.6`).
METRICS = (
    *("loss", "learning_rate", "images_per_second", "gradient_norm"),
    *(f"{what}_{term}" for what in ("loss", "share") for term in TERMS),
    *("validation_top1", "validation_top1_unseen", "top1", "top5", "top1_unseen"),
    *("mean_average_precision", "auroc", "similarity"),
)
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


def plan(
    deployment: DeployedNames,
    *,
    region: str,
    kind: str,
    cards_uri: str,
    cards_digest: str | None = None,
    recipe: str,
    stage: int | None = None,
    teacher: Package | None = None,
    initial: Package | None = None,
    compute: Compute | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    weights_uri: str | None = None,
    commit: str | None = None,
    live: Package | None = None,
    page_facts: PageFacts | None = None,
    now: datetime | None = None,
) -> TrainingPlan:
    """Decides what to send.

    Args:
        deployment: Where it runs and writes.
        region: The deployment's AWS region; images are that region's own.
        kind: ``teacher`` or ``student``.
        cards_uri: S3 prefix of the card set (``cards data push`` prints it).
        cards_digest: The set's digest; the job refuses another set. None where nobody says.
        recipe: Name of a training recipe.
        stage: 1 or 2 for a student.
        teacher: The teacher to distil from; students only.
        initial: The stage-1 student to go on from; stage 2 only. It is the parent.
        compute: The machines; by default the recipe's.
        hyperparameters: Settings on top of the recipe, by name.
        weights_uri: S3 address of a backbone's checkpoint to begin with, or of its folder.
        commit: The git commit of the code, for the registry.
        live: What devices have, whose archives the approver's page compares the model with.
        page_facts: What that page says beside what the job measures.
        now: The time in the job's name.

    Raises:
        SubmitError: An argument is missing, or does not go with the others; a pack of cards is too
            small for the recipe.
        ConfigError: No such recipe, or a hyper-parameter that it cannot take.
    """
    parent = checked_parent(kind, stage, teacher, initial)
    compute = _with_network(compute or default_compute(recipe), deployment)
    distributed = is_distributed(compute)
    job_name = _job_name(kind, stage, recipe, now or datetime.now())
    image = framework_image(region, compute.instance_type, "training")
    inference, notes = inference_image(region, image)
    notes += notes_on_key(compute)
    bucket = f"s3://{deployment.training_bucket}"
    channels = {CARDS_CHANNEL: cards_uri.rstrip("/") + "/"}
    stage_name = STUDENT_STAGES[stage] if stage else "phase2"
    if weights_uri is not None:
        if not weights_uri.startswith("s3://") or initial:
            why = "stage 2 begins with stage 1" if initial else "must be an S3 address"
            raise SubmitError(f"--weights {weights_uri}: {why}")
        channels[WEIGHTS_CHANNEL] = weights_uri
    given = checked_hyperparameters(hyperparameters or {})
    # The job would refuse a wrong setting too, after the instance has been paid for.
    config = resolve(recipe, kind, stage_name, given)
    check_pack(cards_uri, config)
    settings: dict[str, Any] = {"recipe": recipe, **given}
    if kind == STUDENT:
        assert teacher and parent
        settings |= {"stage": stage, "parent-model-package-arn": parent.arn}
        channels["teacher"] = _artifact(teacher)
        if initial:
            channels["initial"] = _artifact(initial)
    if live:
        channels[LIVE_CHANNEL] = f"{_artifact(live).rpartition('/')[0]}/"
    environment = {
        **OPT_OUTS,
        "MLFLOW_EXPERIMENT_NAME": EXPERIMENT,
        INFERENCE_IMAGE: inference,
        # So that a run that fails can be registered under its name.
        MODEL_LINE: ModelName(kind, config.architecture, stage_name, 1).line,
    }
    environment |= _channel_digests(cards_digest, teacher, initial)
    from_hub = config.pretrained and config.backbone not in PUBLISHED
    if from_hub and deployment.hub_token_secret != NO_TOKEN:
        environment[TOKEN_SECRET] = deployment.hub_token_secret
    if deployment.mlflow_uri != "none":
        environment["MLFLOW_TRACKING_URI"] = deployment.mlflow_uri
    if commit:
        environment[COMMIT] = commit
    environment |= page_facts.environment() if page_facts else {}
    return TrainingPlan(
        job_name=job_name,
        kind=kind,
        stage=stage,
        region=region,
        role_arn=deployment.training_role_arn,
        image=image,
        entry_point=ENTRY_POINTS[kind],
        compute=compute,
        distributed=distributed,
        hyperparameters=settings,
        channels=channels,
        environment=environment,
        tags=checked_tags(
            {
                "Application": "card-recognition",
                "Environment": deployment.environment,
                "ModelType": kind,
                "Recipe": recipe,
            },
            compute,
        ),
        output_uri=f"{bucket}/{JOBS_PREFIX.rstrip('/')}",
        code_uri=f"{bucket}/{SOURCE_PREFIX.rstrip('/')}",
        checkpoint_uri=f"{bucket}/{JOBS_PREFIX}{job_name}/checkpoints",
        config=config,
        notes=notes,
    )


def default_compute(recipe: str) -> Compute:
    """The machines that a recipe is meant for."""
    return Compute(SMALL_INSTANCE if recipe in SMALL_RECIPES else LARGE_INSTANCE)


def request(plan: TrainingPlan) -> dict[str, Any]:
    """The CreateTrainingJob request that :func:`submit` would send; sends and uploads nothing.

    The SDK itself makes it, given an address in S3 for the code.
    """
    import boto3

    recorded: list[dict[str, Any]] = []
    # The client is never called; it needs no credentials to be made.
    session = boto3.Session(
        region_name=plan.region,
        aws_access_key_id="unused",
        aws_secret_access_key="unused",  # noqa: S106
    )
    source = f"{plan.code_uri}/{plan.job_name}/source/sourcedir.tar.gz"
    _fit(plan, sdk_session(session, record=recorded), source)
    return recorded[0]


def submit(plan: TrainingPlan, session: Any = None) -> str:
    """Uploads the code and starts the job.

    Args:
        plan: From :func:`plan`.
        session: A boto3 session; the caller's own by default.

    Returns:
        The job's name.

    """
    import boto3

    session = session or boto3.Session(region_name=plan.region)
    # AWS's own id of the caller: a version that its submitter approves may be refused by it.
    submitted_by = session.client("sts").get_caller_identity()["UserId"]
    by_caller = replace(
        plan,
        tags={**plan.tags, SUBMITTED_BY: submitted_by},
        environment={**plan.environment, **PageFacts(submitted_by=(submitted_by,)).environment()},
    )
    with staged_source() as source:
        _fit(by_caller, sdk_session(session), str(source))
    return plan.job_name


def _with_network(compute: Compute, deployment: DeployedNames) -> Compute:
    """The machines in the deployment's network, where it has one and no other was given."""
    if compute.subnets or deployment.job_subnets == NO_NETWORK:
        return compute
    return replace(
        compute,
        subnets=tuple(deployment.job_subnets.split(",")),
        security_groups=(deployment.job_security_group,),
    )


def _channel_digests(
    cards_digest: str | None, teacher: Package | None, initial: Package | None
) -> dict[str, str]:
    """What the job's channels must hold: an S3 address says where, and not what."""
    archives = {"teacher": teacher, "initial": initial}
    found = {CARDS_CHANNEL: cards_digest}
    for channel, package in archives.items():
        identity = (
            ObjectIdentity.parse(package.metadata.get(MODEL_ARCHIVE, "")) if package else None
        )
        found[channel] = identity.sha256 if identity else None
    return {f"{CHANNEL_DIGEST}{name.upper()}": digest for name, digest in found.items() if digest}


def _artifact(package: Package) -> str:
    if not package.model_data_url.startswith("s3://"):
        raise SubmitError(f"--parent {package.label}: has no model artifact in S3")
    return package.model_data_url


def _max_wait(compute: Compute) -> int | None:
    """SageMaker wants the time that may be spent waiting for capacity included."""
    if not compute.spot:
        return None
    return compute.max_wait_seconds or 2 * compute.max_run_seconds


def _job_name(kind: str, stage: int | None, recipe: str, now: datetime) -> str:
    parts = [kind, *([STUDENT_STAGES[stage]] if stage else []), recipe]
    stamp = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    return f"{'-'.join(parts)}-{stamp}"[:JOB_NAME_LIMIT]


def _fit(plan: TrainingPlan, session: Any, source: str) -> None:
    with configuration_checked_once():
        _send(plan, session, source)


def _send(plan: TrainingPlan, session: Any, source: str) -> None:
    from sagemaker.inputs import TrainingInput
    from sagemaker.pytorch.estimator import PyTorch

    compute = plan.compute
    estimator = PyTorch(
        entry_point=plan.entry_point,
        source_dir=source,
        code_location=plan.code_uri,
        output_path=plan.output_uri,
        role=plan.role_arn,
        image_uri=plan.image,
        framework_version=FRAMEWORK_VERSION,
        py_version=PYTHON_VERSION,
        instance_type=compute.instance_type,
        instance_count=compute.instance_count,
        volume_size=compute.volume_gb,
        max_run=compute.max_run_seconds,
        use_spot_instances=compute.spot,
        max_wait=_max_wait(compute),
        keep_alive_period_in_seconds=compute.keep_alive_seconds or None,
        subnets=list(compute.subnets) or None,
        security_group_ids=list(compute.security_groups) or None,
        volume_kms_key=compute.kms_key if takes_disk_key(compute.instance_type) else None,
        output_kms_key=compute.kms_key,
        distribution={"torch_distributed": {"enabled": True}} if plan.distributed else None,
        hyperparameters=dict(plan.hyperparameters),
        environment=dict(plan.environment),
        checkpoint_s3_uri=plan.checkpoint_uri,
        metric_definitions=[{"Name": name, "Regex": rf"\b{name}={_NUMBER}"} for name in METRICS],
        tags=[{"Key": key, "Value": value} for key, value in plan.tags.items()],
        # Both cost a rule job or a container of their own and measure what MLflow has already.
        disable_profiler=True,
        debugger_hook_config=False,
        sagemaker_session=session,
    )
    estimator.fit(
        {name: TrainingInput(uri) for name, uri in plan.channels.items()},
        wait=False,
        job_name=plan.job_name,
    )
