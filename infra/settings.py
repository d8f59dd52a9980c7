"""What may differ between deployments: the ``cards`` object of ``cdk.json``, typed and checked.

A single value is overridden on the command line by its dotted path, for example
``cdk deploy --all -c cards.environment=prod -c cards.compile.calibration_images=512``.
Nothing here imports the CDK, so that a wrong setting is named at once.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from typing import Any

from registry.compilation.gate_thresholds import HIGH, LOW, GateThresholds
from registry.compilers import COMPILERS, CompilerKind, compiler_kind, compiler_names
from registry.names import FIRST_ENVIRONMENT, KEEP_ALL, STATEMENT_DAYS, group_of

CONTEXT_KEY = "cards"

MLFLOW_APP = "app"
MLFLOW_TRACKING_SERVER = "tracking-server"
MLFLOW_NONE = "none"

BY_APPROVAL, BY_PROMOTION = "approval", "promotion"
PUBLIC, ISOLATED = "public", "isolated"
KMS, S3_MANAGED = "kms", "s3"

#: The only retention times that CloudWatch Logs takes, in days (``PutRetentionPolicy``).
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
#: SageMaker's own limit on a processing job, five days, in seconds.
LONGEST_JOB = 5 * 24 * 3600


class SettingsError(ValueError):
    """A setting that is unknown or wrong: one line that names it, the cause and the remedy."""


Check = Callable[[Any], str | None]


def _matches(pattern: str, what: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: None if compiled.fullmatch(value) else f"must be {what}"


def _one_of(*allowed: Any) -> Check:
    listed = ", ".join(str(value) for value in allowed)
    return lambda value: None if value in allowed else f"must be one of {listed}"


def _between(low: float, high: float) -> Check:
    return lambda value: (
        None
        if math.isfinite(value) and low <= value <= high
        else f"must be a number from {low} to {high}"
    )


def _bucket_name(value: str) -> str | None:
    shape = re.fullmatch(r"[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){1,61}[a-z0-9]", value, re.ASCII)
    # Dots would break TLS on virtual-hosted addresses, and these buckets are TLS only.
    if shape and "." not in value and not value.startswith("xn--"):
        return None
    return "must be 3 to 63 lower-case letters, digits and hyphens, as S3 names a bucket"


_image = _matches(
    r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
    r"/[a-z0-9][a-z0-9._/-]{0,254}(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})",
    "an ECR image with a tag or digest, "
    "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>",
)


_secret = _matches(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}"
    r"|(?!arn:)[A-Za-z0-9/_+=.@-]{1,512}",
    "the name or the ARN of a secret in AWS Secrets Manager",
)


def _accounts(values: tuple[str, ...]) -> str | None:
    if not all(re.fullmatch(r"[0-9]{12}", value, re.ASCII) for value in values):
        return "must be account ids, 12 digits each"
    return None if len(set(values)) == len(values) else "must name each account once"


def _setting(default: Any, check: Check) -> Any:
    return field(default=default, metadata={"check": check})


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
        calibration_images: Camera views that the quantiser sees.
        max_runtime_seconds: After this time SageMaker stops the job. Hailo's compiler is stopped
            earlier, by a sixth of it and at most half an hour, so that the job can say why.
        gate: Thresholds of the fidelity gate; see ``docs/export.md``.
    """

    instance_type: str = _setting(
        "ml.m5.xlarge",
        _matches(r"ml\.[a-z0-9-]+\.[a-z0-9-]+", "a SageMaker instance type such as ml.m5.xlarge"),
    )
    image: str | None = _setting(None, _image)
    calibration_images: int = _setting(1024, _between(1, 100_000))
    max_runtime_seconds: int = _setting(6 * 3600, _between(60, LONGEST_JOB))
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
        encryption: What encrypts the buckets' objects: ``kms``, a key of this deployment's own, or
            ``s3``, S3's. What was written before a change needs its key on: with ``retain: false``
            a change to ``s3`` schedules that key for deletion.
        retain: Whether buckets, group and keys outlive their stack, which is then also protected
            from deletion.
    """

    environment: str = _setting(
        FIRST_ENVIRONMENT,
        _matches(
            r"[a-z](?:-?[a-z0-9]){0,15}",
            "1 to 16 lower-case letters, digits and single hyphens, beginning with a letter",
        ),
    )
    group_name: str | None = _setting(
        None,
        _matches(
            r"[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}",
            "1 to 63 letters, digits and inner hyphens, as SageMaker names a group",
        ),
    )
    training_bucket: str | None = _setting(None, _bucket_name)
    mlflow_bucket: str | None = _setting(None, _bucket_name)
    release_bucket: str | None = _setting(None, _bucket_name)
    mlflow: str = _setting(MLFLOW_APP, _one_of(MLFLOW_APP, MLFLOW_TRACKING_SERVER, MLFLOW_NONE))
    compiler: str | None = _setting(None, _one_of(*compiler_names()))
    compiler_image: str | None = _setting(None, _image)
    compile: Compile = Compile()
    hub_token_secret: str | None = _setting(None, _secret)
    stable_channel: str = _setting(BY_APPROVAL, _one_of(BY_APPROVAL, BY_PROMOTION))
    four_eyes: bool = _setting(False, _one_of(True, False))
    keep_releases: int | None = _setting(None, _between(1, 10_000))
    signing_keys: int = _setting(1, _between(1, 20))
    signing_key: int = _setting(1, _between(1, 20))
    statement_days: int = _setting(STATEMENT_DAYS, _between(1, 365))
    notify_email: str | None = _setting(
        None, _matches(r"[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,190}", "an e-mail address")
    )
    reconcile_minutes: int = _setting(60, _between(5, 24 * 60))
    network: str = _setting(PUBLIC, _one_of(PUBLIC, ISOLATED))
    log_retention_days: int = _setting(90, _one_of(*LOG_RETENTION_DAYS))
    permissions_boundary: str | None = _setting(
        None,
        _matches(
            r"arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[\w+=,.@/-]{1,512}",
            "the ARN of an IAM policy",
        ),
    )
    reader_accounts: tuple[str, ...] = _setting((), _accounts)
    monthly_budget_usd: int | None = _setting(None, _between(1, 10_000_000))
    encryption: str = _setting(KMS, _one_of(KMS, S3_MANAGED))
    retain: bool = _setting(True, _one_of(True, False))

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
    def compile_settings(self) -> str:
        """The compile settings as canonical JSON: equal settings give equal text."""
        gate = {item.name: getattr(self.compile.gate, item.name) for item in fields(GateThresholds)}
        return json.dumps(
            {
                "compiler": self.compiler_kind.name,
                "calibration_images": self.compile.calibration_images,
                "gate": gate,
            },
            sort_keys=True,
            separators=(",", ":"),
        )


def load_settings(context: Mapping[str, Any], account: str | None = None) -> Settings:
    """Reads the settings from the app's context.

    Args:
        context: The CDK app's context: the ``cards`` object and any ``cards.<path>`` overrides.
        account: Where it is deployed to; None where that is open.

    Raises:
        SettingsError: An unknown key, a value of the wrong type or out of its range.
    """
    document = context.get(CONTEXT_KEY, {})
    if not isinstance(document, Mapping):
        raise SettingsError(
            f"{CONTEXT_KEY}: must be an object in cdk.json; "
            f"override one value by its path, such as -c {CONTEXT_KEY}.environment=prod"
        )
    tree = _copied(document)
    for key, value in context.items():
        if key.startswith(f"{CONTEXT_KEY}."):
            _override(tree, key, value)
    settings = typing.cast(Settings, _build(Settings, CONTEXT_KEY, tree))
    if account in settings.reader_accounts:
        raise SettingsError(
            f"{CONTEXT_KEY}.reader_accounts: {account} is the account that this is deployed to, "
            "which needs no such right: remove it"
        )
    return settings


@dataclass(frozen=True)
class _Typed:
    """A value from the command line: text, to be read by the type of the field it is for."""

    text: str


def _copied(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _copied(value) if isinstance(value, Mapping) else value
        for key, value in document.items()
    }


def _override(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")[1:]
    for parent in parents:
        child = tree.setdefault(parent, {})
        if not isinstance(child, dict):
            raise SettingsError(f"{key}: {parent} is a single value, nothing lies below it")
        tree = child
    tree[last] = _Typed(value) if isinstance(value, str) else value


def _build(cls: type, path: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{path}: must be an object with {_known(cls)}")
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in hints:
            raise SettingsError(f"{path}.{key}: no such setting; {path} has {_known(cls)}")
    built: dict[str, Any] = {}
    for item in fields(cls):
        if item.name not in values:
            continue
        where, value, hint = f"{path}.{item.name}", values[item.name], hints[item.name]
        if is_dataclass(hint):
            built[item.name] = _build(typing.cast(type, hint), where, value)
            continue
        value = _read(where, hint, value)
        fault = None if value is None else _check_of(item)(value)
        if fault:
            raise SettingsError(f"{where}: {value!r} {fault}")
        built[item.name] = value
    return cls(**built)


def _check_of(item: Field[Any]) -> Check:
    """A threshold of the gate declares its range, every other setting its check."""
    if LOW in item.metadata:
        return _between(item.metadata[LOW], item.metadata[HIGH])
    check: Check = item.metadata["check"]
    return check


def _known(cls: type) -> str:
    return ", ".join(item.name for item in fields(cls))


def _read(where: str, hint: Any, value: Any) -> Any:
    """The value in its field's type; a whole number is taken for a fraction, a flag for neither."""
    if typing.get_origin(hint) is tuple:
        return _listed(where, value)
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    optional = type(None) in kinds
    kind = next(entry for entry in kinds if entry is not type(None))
    if isinstance(value, _Typed):
        value = _parsed(kind, optional, value.text)
    if value is None and optional:
        return None
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        expected = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        null = " or null" if optional else ""
        raise SettingsError(f"{where}: {value!r} must be {expected[kind]}{null}")
    return value


def _parsed(kind: type, optional: bool, text: str) -> Any:
    if optional and text in ("", "null"):
        return None
    if kind is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _listed(where: str, value: Any) -> tuple[str, ...]:
    """A list of texts; on the command line as JSON, or separated by commas."""
    if isinstance(value, _Typed):
        text = value.text.strip()
        if text in ("", "null"):
            value = []
        elif text.startswith("["):
            value = _parsed(list, False, text)
        else:
            value = [each.strip() for each in text.split(",")]
    if not isinstance(value, list) or not all(type(each) is str for each in value):
        raise SettingsError(f"{where}: {value!r} must be a list of texts")
    return tuple(value)
