"""What may differ between deployments: the ``cards`` object of ``cdk.json``, typed and checked.

A single value is overridden on the command line by its dotted path, for example
``cdk deploy --all -c cards.environment=prod -c cards.compile.calibration_images=512``
(:mod:`infra.reading_settings`).
Nothing here imports the CDK, so that a wrong setting is named at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields

from infra.setting_checks import (
    account_ids,
    between,
    bucket_name,
    ecr_image,
    matches,
    one_of,
    secret_name,
    setting,
)
from registry.compilation.gate_thresholds import GateThresholds
from registry.compilation.job_time_limit import DEFAULT_SECONDS, LONGEST_SECONDS
from registry.compilers import COMPILERS, CompilerKind, compiler_kind, compiler_names
from registry.names import FIRST_ENVIRONMENT, KEEP_ALL, NO_REPORTS, STATEMENT_DAYS, group_of

CONTEXT_KEY = "cards"

MLFLOW_APP = "app"
MLFLOW_TRACKING_SERVER = "tracking-server"
MLFLOW_NONE = "none"

BY_APPROVAL, BY_PROMOTION = "approval", "promotion"
PUBLIC, ISOLATED = "public", "isolated"
KMS, S3_MANAGED = "kms", "s3"
#: The stack with what starts by itself; CloudFormation names its parts.
AUTOMATION = "automation"
#: The stacks whose state operators look at; the network's has nothing that changes.
STACKS = ("registry", "access", AUTOMATION)

#: The only retention times that CloudWatch Logs takes, in days (``PutRetentionPolicy``).
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class SettingsError(ValueError):
    """A setting that is unknown or wrong: one line that names it, the cause and the remedy."""


def _names(*, with_image: bool) -> str:
    """The compilers that need, or do not need, an image of their own."""
    return " or ".join(kind.name for kind in COMPILERS if bool(kind.image) is with_image)


@dataclass(frozen=True)
class Compile:
    """The compile job.

    Attributes:
        instance_type: SageMaker instance of the processing job.
        image: Container for a compiler without an image of its own; None takes the region's
            PyTorch CPU container.
        calibration_images: Camera views that the quantiser sees; None takes as many as the compiler
            should have.
        max_runtime_seconds: After this time SageMaker stops the job. Hailo's compiler is stopped
            earlier, by a sixth of it and at most half an hour, so that the job can say why.
        gate: Thresholds of the fidelity gate; see ``docs/export.md``.
    """

    instance_type: str = setting(
        "ml.m5.xlarge",
        matches(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", "a SageMaker instance type such as ml.m5.xlarge"),
    )
    image: str | None = setting(None, ecr_image)
    calibration_images: int | None = setting(None, between(1, 100_000))
    max_runtime_seconds: int = setting(DEFAULT_SECONDS, between(60, LONGEST_SECONDS))
    gate: GateThresholds = field(default_factory=GateThresholds)


@dataclass(frozen=True)
class Settings:
    """Everything that a deployment may choose.

    Attributes:
        environment: Leads stack names and SSM parameters (``/cards/<environment>/…``).
        group_name: The Model Package Group; None takes the guide's name, followed by the
            environment's in every environment but ``dev``.
        training_bucket: Name; None makes ``pokemon-card-training-<account>-<region>``, and
            ``cards-<environment>-training-<account>-<region>`` in every environment but ``dev``.
        mlflow_bucket: Name; None as above, with ``mlflow``.
        release_bucket: Name; None as above, with ``releases``.
        mlflow: ``app`` (serverless), ``tracking-server`` (hourly price) or ``none``.
        compiler: Name of the compiler; None takes Hailo's where ``compiler_image`` is set, and ONNX
            Runtime's quantiser elsewhere.
        compiler_image: ECR image that holds the chip's compiler (Hailo's Dataflow Compiler); None
            compiles by ONNX Runtime instead, which makes no ``.hef``.
        compile: The compile job.
        hub_token_secret: Name or ARN of an AWS Secrets Manager secret that holds the token for
            published weights (DINOv3's need one); None where no job fetches such.
        stable_channel: What moves the stable channel: ``approval``, or ``promotion`` where an
            approved model is first tried by devices of the candidate channel.
        four_eyes: Whether who submitted a training may not approve its model: the automation
            releases nothing that its own submitter approved.
        keep_releases: How many of the newest releases stay beside what channels need; null keeps
            all. Of one that goes the manifest stays.
        signing_keys: How many signing keys exist, the retired ones among them; a key stays for as
            long as a release that it signed is used.
        signing_key: Which of them signs, counted from 1. ``cards release rotate-key`` must have
            signed for it before, see ``docs/devices.md``.
        devices: Whether devices may get credentials from AWS IoT by their certificates, and report
            what they run: a role that reads releases and writes a device's own report alone.
        rollout_failures: A roll-out to a share of the devices is halted when more than this share
            of those that have tested its release report a failed self-test (at least three have);
            of no effect without ``devices``.
        statement_days: How many days a channel's signed statement is valid; it is renewed when a
            third of them is left.
        notify_email: Who is notified about releases, failures and alarms; more can subscribe to the
            topic.
        reconcile_minutes: Minutes between two runs of the reconciler, which repairs what no event
            reported.
        network: Where jobs run: ``public``, as SageMaker places them, or ``isolated``, in a network
            of their own without a way to the internet.
        log_retention_days: Of the functions' log groups.
        permissions_boundary: ARN of a policy that no role here may exceed, as many companies ask.
        reader_accounts: Ids of other AWS accounts that may read the group's versions and pull
            releases, and nothing else.
        monthly_budget_usd: Subscribers of the notices are warned when a month's cost reaches 80 %
            of it, and when it is forecast to exceed it.
        encryption: What encrypts the buckets' objects: ``kms``, a key of this deployment's own, and
            another one for notices on their way; or ``s3``, S3's, and none for notices. What was
            written before a change needs its key on: with ``retain: false`` a change to ``s3``
            schedules that key for deletion.
        retain: Whether buckets, group and keys outlive their stack, which is then also protected
            from deletion.
    """

    environment: str = setting(
        FIRST_ENVIRONMENT,
        matches(
            # Policies of environment `a` name `cards-a-automation-*`.
            rf"(?!.*-{AUTOMATION}(?:-|$))[a-z](?:-?[a-z0-9]){{0,15}}",
            "1 to 16 lower-case letters, digits and single hyphens, beginning with a letter, and "
            f"without the word {AUTOMATION} behind a hyphen",
        ),
    )
    group_name: str | None = setting(
        None,
        matches(
            r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}",
            "1 to 63 letters, digits and inner hyphens, as SageMaker names a group",
        ),
    )
    training_bucket: str | None = setting(None, bucket_name)
    mlflow_bucket: str | None = setting(None, bucket_name)
    release_bucket: str | None = setting(None, bucket_name)
    mlflow: str = setting(MLFLOW_APP, one_of(MLFLOW_APP, MLFLOW_TRACKING_SERVER, MLFLOW_NONE))
    compiler: str | None = setting(None, one_of(*compiler_names()))
    compiler_image: str | None = setting(None, ecr_image)
    compile: Compile = Compile()
    hub_token_secret: str | None = setting(None, secret_name)
    stable_channel: str = setting(BY_APPROVAL, one_of(BY_APPROVAL, BY_PROMOTION))
    four_eyes: bool = setting(False, one_of(True, False))
    keep_releases: int | None = setting(None, between(1, 10_000))
    signing_keys: int = setting(1, between(1, 20))
    signing_key: int = setting(1, between(1, 20))
    devices: bool = setting(False, one_of(True, False))
    rollout_failures: float = setting(0.05, between(0, 1))
    statement_days: int = setting(STATEMENT_DAYS, between(1, 365))
    notify_email: str | None = setting(
        None, matches(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,190}", "an e-mail address")
    )
    reconcile_minutes: int = setting(60, between(5, 24 * 60))
    network: str = setting(PUBLIC, one_of(PUBLIC, ISOLATED))
    log_retention_days: int = setting(90, one_of(*LOG_RETENTION_DAYS))
    permissions_boundary: str | None = setting(
        None,
        matches(
            r"arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[\w+=,.@/-]{1,512}",
            "the ARN of an IAM policy",
        ),
    )
    reader_accounts: tuple[str, ...] = setting((), account_ids)
    monthly_budget_usd: int | None = setting(None, between(1, 10_000_000))
    encryption: str = setting(KMS, one_of(KMS, S3_MANAGED))
    retain: bool = setting(True, one_of(True, False))

    def __post_init__(self) -> None:
        buckets = [self.training_bucket, self.mlflow_bucket, self.release_bucket]
        given = [name for name in buckets if name is not None]
        if len(set(given)) != len(given):
            raise SettingsError(
                f"{CONTEXT_KEY}: training_bucket, mlflow_bucket and release_bucket must differ"
            )
        if self.compiler_image and self.compile.image:
            raise SettingsError(
                f"{CONTEXT_KEY}.compile.image is for {_names(with_image=False)} only and "
                f"{CONTEXT_KEY}.compiler_image chooses {_names(with_image=True)}: "
                "remove one of the two"
            )
        if self.signing_key > self.signing_keys:
            raise SettingsError(
                f"{CONTEXT_KEY}.signing_key is {self.signing_key}, and there are "
                f"{self.signing_keys} signing keys: raise {CONTEXT_KEY}.signing_keys first, deploy "
                "it, then: cards release rotate-key"
            )
        kind = self.compiler_kind
        if kind.image and not self.compiler_image:
            raise SettingsError(
                f"{CONTEXT_KEY}.compiler is {kind.name}, which needs {kind.image.software}: set "
                f"{CONTEXT_KEY}.compiler_image to an image that holds it"
            )
        if self.compiler_image and not kind.image:
            raise SettingsError(
                f"{CONTEXT_KEY}.compiler is {kind.name}, which needs no image of its own: remove "
                f"{CONTEXT_KEY}.compiler_image, or choose {_names(with_image=True)}"
            )

    @property
    def group(self) -> str:
        """The Model Package Group's name, chosen or derived."""
        return self.group_name or group_of(self.environment)

    def bucket_name(self, purpose: str, account: str, region: str) -> str:
        """The derived name of a bucket, other than any other environment's of the account.

        Args:
            purpose: ``training``, ``mlflow`` or ``releases``.
            account: Its id.
            region: Its name.
        """
        first = self.environment == FIRST_ENVIRONMENT
        # With ``pokemon-card`` and the longest environment a name would exceed S3's 63 characters.
        prefix = "pokemon-card" if first else f"cards-{self.environment}"
        return f"{prefix}-{purpose}-{account}-{region}"

    @property
    def compiler_kind(self) -> CompilerKind:
        """The named compiler, or the first that does, or does not, need an image of its own."""
        if self.compiler is not None:
            return compiler_kind(self.compiler)
        wanted = bool(self.compiler_image)
        return next(kind for kind in COMPILERS if bool(kind.image) is wanted)

    @property
    def kept_releases(self) -> str:
        """``keep_releases`` as parameters and variables spell it."""
        return KEEP_ALL if self.keep_releases is None else str(self.keep_releases)

    @property
    def accepted_failures(self) -> str:
        """``rollout_failures`` as parameters and variables spell it."""
        return str(self.rollout_failures) if self.devices else NO_REPORTS

    @property
    def compile_settings(self) -> str:
        """The compile settings as canonical JSON: equal settings give equal text."""
        gate = {item.name: getattr(self.compile.gate, item.name) for item in fields(GateThresholds)}
        return json.dumps(
            {
                "compiler": self.compiler_kind.name,
                "calibration_images": self.compile.calibration_images
                or self.compiler_kind.calibration_images,
                "gate": gate,
            },
            sort_keys=True,
            separators=(",", ":"),
        )
