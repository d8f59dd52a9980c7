"""Names that everything else agrees on: models, jobs, releases, S3 prefixes, SSM parameters.

``{model_type}-{architecture}-{stage}-{version}`` is the guide's convention. :func:`parse_name` and
``str(ModelName)`` are each the other's inverse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.compilers import compiled_stages

GROUP = "pokemon-card-recognition-models"
#: The environment whose group and buckets have the guide's names.
FIRST_ENVIRONMENT = "dev"
EXPERIMENT = "pokemon-card-recognition-training"

TEACHER = "teacher"
STUDENT = "student"
#: Which stages each type of model has, in the order in which one is made from another.
STAGES = {
    TEACHER: ("phase1", "phase2"),
    STUDENT: ("stage1", "stage2", *compiled_stages()),
}
#: The only stage whose approval leads to a release.
RELEASABLE_STAGE = "stage2"

#: The input channel of training and compile jobs that holds the card set.
CARDS_CHANNEL = "cards"
#: Begins a training job's environment variables that say what a channel must hold: the digest of
#: its card set, or the SHA-256 of the ``model.tar.gz`` of a teacher or a stage-1 student.
CHANNEL_DIGEST = "CARDS_CHANNEL_DIGEST_"

# S3 prefixes. Training bucket:
CARDS_PREFIX = "cards/"
JOBS_PREFIX = "jobs/"
SOURCE_PREFIX = "source/"
#: Published weights that teams keep themselves; training jobs may read them.
WEIGHTS_PREFIX = "weights/"
NAMES_PREFIX = "names/"
COMPILATIONS_PREFIX = "compilations/"
#: The very models that compile jobs read, and the record of each job that was started. Only the
#: function that starts compile jobs may write here.
APPROVED_PREFIX = "approved/"
MODEL_QUALITY_PREFIX = "model-quality/"
#: The approver's page of each version (:mod:`registry.versions.report_page`).
REPORT_PAGES_PREFIX = "report-pages/"
#: The longest such page, in bytes, of whatever card set.
REPORT_PAGE_LIMIT = 2 * 10**6
#: Characters of the line that states the licence of a card set's scans.
SCANS_LICENCE_LIMIT = 200
RECONCILER_PREFIX = "reconciler/"
# Release bucket:
RELEASES_PREFIX = "releases/"
CHANNELS_PREFIX = "channels/"
KEYS_PREFIX = "keys/"
#: The successor of each signing key.
KEY_ROTATION_PREFIX = f"{KEYS_PREFIX}rotation/"
#: ``devices/<device id>/status.json``: what each device reports of itself (:mod:`registry.fleet`).
DEVICES_PREFIX = "devices/"
#: A device's report, below its own prefix.
DEVICE_STATUS = "status.json"

#: A release's file that is written last and that it is absent without.
RELEASE_MANIFEST = "manifest.json"
#: Marks a retired release (``registry/releases/retention.py``): with it, it is absent. Its content
#: is the manifest's, which stays as a record.
RETIRED = "retired.json"

STABLE_CHANNEL = "stable"
CANDIDATE_CHANNEL = "candidate"
COMPILE_JOB_PREFIX = "compile-"
#: What the names of our actions in SageMaker Lineage begin with.
LINEAGE_ACTION_PREFIX = "cards-"
#: SageMaker's own limit on a job's name.
JOB_NAME_LIMIT = 63

PARAMETER_ROOT = "/cards"
#: The parameter ``mlflow-uri`` of a deployment without MLflow.
NO_MLFLOW = "none"
#: What the parameter says where no secret holds a token for published weights.
NO_TOKEN = "none"  # noqa: S105
#: What stands in parameters and variables where jobs run in no network of ours.
NO_NETWORK = "none"
#: What stands in parameters and variables where no list of signing keys is known.
NO_KEYS = "none"
#: What stands in parameters and variables where devices report nothing.
NO_REPORTS = "none"
#: What stands in parameters and variables where every release is kept.
KEEP_ALL = "all"
#: How many days a channel statement is valid, where the settings say nothing else.
STATEMENT_DAYS = 30
#: What moves a channel: each approval, or a promotion by a person only.
BY_APPROVAL, BY_PROMOTION = "approval", "promotion"
#: What stands in a deployment of an earlier state for the repository that it lacks.
NO_REPOSITORY = "none"
#: The SSM parameters by which the commands and jobs find what was deployed.
PARAMETERS = (
    "group-name",
    "training-bucket",
    "mlflow-bucket",
    "mlflow-uri",
    "release-bucket",
    "training-role-arn",
    "compile-role-arn",
    "signing-key-arn",
    "signing-key-arns",
    "compiler",
    "hub-token-secret",
    "compiler-repository",
    "stable-channel",
    "keep-releases",
    "four-eyes",
    "publisher-role-arn",
    "register-function",
    "compile-function",
    "publish-function",
    "reconciler-function",
    "notice-topic-arn",
    "job-subnets",
    "job-security-group",
    "rollout-failures",
)

#: What deployments of an earlier state do not have; they are good for everything else.
LATER_PARAMETERS = frozenset(
    {"hub-token-secret", "compiler-repository", "stable-channel", "notice-topic-arn"}
    | {"keep-releases", "signing-key-arns", "four-eyes", "publisher-role-arn"}
    | {"job-subnets", "job-security-group", "rollout-failures"}
    | {f"{name}-function" for name in ("register", "compile", "publish", "reconciler")}
)

_VERSION_ARN = re.compile(
    r"arn:[a-z0-9-]+:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[A-Za-z0-9-]{1,63}/[1-9][0-9]{0,9}",
    re.ASCII,
)
_RELEASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_WORD = r"[a-z0-9]+"
_ARCHITECTURE = re.compile(rf"{_WORD}(?:-{_WORD})*")
# Leaves room for `compile-…-<settings>-<attempt>` within SageMaker's 63 characters.
ARCHITECTURE_LIMIT = 21
VERSION_LIMIT = 99_999


class ModelNameError(ValueError):
    """A name that breaks the convention; the message says which part and shows a right one."""


@dataclass(frozen=True)
class ModelName:
    """A model's name by the convention, for example ``student-efficientnet-lite0-stage2-v3``.

    Attributes:
        model_type: ``teacher`` or ``student``.
        architecture: Lower-case words joined by hyphens, for example ``efficientnet-lite0``.
        stage: One of :data:`STAGES` for the type.
        version: Counts from 1 within (type, architecture, stage).
    """

    model_type: str
    architecture: str
    stage: str
    version: int

    def __post_init__(self) -> None:
        check_line(self.model_type, self.architecture, self.stage)
        if not 1 <= self.version <= VERSION_LIMIT:
            raise ModelNameError(f"model name: version {self.version} must be 1 to {VERSION_LIMIT}")

    @property
    def line(self) -> str:
        """The name without its version: what versions are counted in."""
        return f"{self.model_type}-{self.architecture}-{self.stage}"

    @property
    def kind(self) -> str:
        """What it is in words, for example ``stage2 student``."""
        return f"{self.stage} {self.model_type}"

    @property
    def releasable(self) -> bool:
        """Whether approving this version leads to a release: stage-2 students only."""
        return self.model_type == STUDENT and self.stage == RELEASABLE_STAGE

    def __str__(self) -> str:
        return f"{self.line}-v{self.version}"


def check_line(model_type: str, architecture: str, stage: str) -> None:
    """Raises ModelNameError unless the three parts may stand in a name."""
    if model_type not in STAGES:
        raise ModelNameError(f"model name: type {model_type!r} is none of {', '.join(STAGES)}")
    if not _ARCHITECTURE.fullmatch(architecture) or len(architecture) > ARCHITECTURE_LIMIT:
        raise ModelNameError(
            f"model name: architecture {architecture!r} must be lower-case words joined by "
            f"hyphens, at most {ARCHITECTURE_LIMIT} characters, such as efficientnet-lite0"
        )
    if stage not in STAGES[model_type]:
        raise ModelNameError(
            f"model name: stage {stage!r} of a {model_type} is none of "
            f"{', '.join(STAGES[model_type])}"
        )


def parse_name(text: str) -> ModelName:
    """Parses a model's name; ``str(parse_name(text)) == text`` for every name that it takes.

    Raises:
        ModelNameError: The text breaks the convention.
    """
    model_type, _, rest = text.partition("-")
    rest, _, version = rest.rpartition("-v")
    architecture, _, stage = rest.rpartition("-")
    # isdigit() would also take other scripts' digits, which int() reads and str() does not give.
    if not re.fullmatch(r"[1-9][0-9]{0,4}", version, re.ASCII):
        raise ModelNameError(
            f"model name {text[:100]!r}: expected {{model_type}}-{{architecture}}-{{stage}}-v{{N}},"
            " such as student-efficientnet-lite0-stage2-v1"
        )
    return ModelName(model_type, architecture, stage, int(version))


def leads_to(name: ModelName | None) -> str:
    """What approving a version starts, for people and logs."""
    if name is None:
        return "nothing is released from a version without a name by the convention"
    if name.releasable:
        return "its compilation starts by itself; the release follows when the gate has passed"
    if name.model_type == STUDENT and name.stage == "stage1":
        return "stage 1 is an intermediate checkpoint: nothing is released from it"
    return "nothing is released from it: only an approved stage-2 student leads to a release"


def name_in_description(description: str) -> ModelName | None:
    """The model's name that leads a package's description, or None where there is none.

    A versioned model package has no name of its own, so the convention's name leads its
    description; this is how a page of ``ListModelPackages`` is read without describing each.
    """
    words = description.split(maxsplit=1)
    try:
        return parse_name(words[0].rstrip(":,;")) if words else None
    except ModelNameError:
        return None


def is_version_arn(text: str) -> bool:
    """Whether a text is the ARN of a version in a model package group."""
    return _VERSION_ARN.fullmatch(text) is not None


def in_group_of(arn: str, other: str) -> bool:
    """Whether two ARNs are of versions in one group: account, region and group are the same.

    Capitals do not count: SageMaker spells those of a group differently in different answers
    (https://github.com/boto/boto3/issues/4606).
    """
    same = arn.rpartition("/")[0].lower() == other.rpartition("/")[0].lower()
    return is_version_arn(arn) and same


def package_version(package_arn: str) -> int:
    """The group's own version number at the end of a model package's ARN."""
    tail = package_arn.rpartition("/")[2]
    if not package_arn.startswith("arn:") or not tail.isdecimal():
        raise ModelNameError(
            f"{package_arn!r} is not the ARN of a version in a model package group"
        )
    return int(tail)


def compile_job_name(source: ModelName, settings_id: str, attempt: int) -> str:
    """A compile job's name: made from version and compile settings, so that starting it twice
    answers 'exists' instead of running it twice."""
    name = f"{COMPILE_JOB_PREFIX}{source}-{settings_id}-{attempt}"
    if len(name) > JOB_NAME_LIMIT:
        raise ModelNameError(
            f"job name {name!r} is longer than SageMaker's {JOB_NAME_LIMIT} characters"
        )
    return name


def parse_compile_job(name: str) -> tuple[ModelName, str, int] | None:
    """Version, compile settings and attempt of a compile job's name; None for any other name."""
    if not name.startswith(COMPILE_JOB_PREFIX):
        return None
    source, _, tail = name.removeprefix(COMPILE_JOB_PREFIX).rpartition("-")
    source, _, settings_id = source.rpartition("-")
    known = name_in_description(source)
    if known is None or not re.fullmatch(r"[0-9a-f]{8}", settings_id, re.ASCII):
        return None
    return (
        (known, settings_id, int(tail))
        if re.fullmatch(r"[1-9][0-9]{0,5}", tail, re.ASCII)
        else None
    )


def release_id(source: ModelName, compiler: str, settings_id: str) -> str:
    """A release's folder name: one for each (version, compiler, compile settings)."""
    return f"{source}.{compiler}-{settings_id}"


def is_release_id(text: object) -> bool:
    """Whether this can be the name of a release's folder, in the bucket and on a disk."""
    return isinstance(text, str) and _RELEASE_ID.fullmatch(text) is not None


def group_of(environment: str) -> str:
    """The Model Package Group of an environment that names none: the guide's name in the first
    environment, and in every other one that name with the environment's behind it.
    """
    return GROUP if environment == FIRST_ENVIRONMENT else f"{GROUP}-{environment}"


def parameter_name(environment: str, key: str) -> str:
    """The SSM parameter that holds ``key`` of an environment, ``/cards/<environment>/<key>``."""
    if key not in PARAMETERS:
        raise ModelNameError(f"SSM parameter {key!r} is none of {', '.join(PARAMETERS)}")
    return f"{PARAMETER_ROOT}/{environment}/{key}"
