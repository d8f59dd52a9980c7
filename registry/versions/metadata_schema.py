"""Every metadata key of every kind of model: its form, its unit, and where its value comes from.

The keys are the guide's and what the jobs measure. ``config/model_metadata_template.json`` is
made from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.compilers import COMPILERS, HAILO, ONNX_INT8, ONNX_STAGE, compiled_stages
from registry.names import STUDENT, TEACHER


@dataclass(frozen=True)
class Form:
    """What a value looks like.

    Attributes:
        pattern: Matches the whole text of a value.
        words: What an error calls it.
    """

    pattern: re.Pattern[str]
    words: str

    def fits(self, value: str) -> bool:
        """Whether a value has this form."""
        return self.pattern.fullmatch(value) is not None


_DECIMAL = r"(0|[1-9][0-9]*)(\.[0-9]+)?(e[-+]?[0-9]+)?"
TEXT = Form(re.compile(r".*\S.*", re.DOTALL), "some text")
COUNT = Form(re.compile(r"[1-9][0-9]*", re.ASCII), "a whole number above 0")
WHOLE = Form(re.compile(r"0|[1-9][0-9]*", re.ASCII), "a whole number")
SHARE = Form(re.compile(r"0(\.[0-9]+)?(e-[0-9]+)?|1(\.0+)?|[1-9](\.[0-9]+)?e-[0-9]+", re.ASCII),
             "a number from 0 to 1")  # fmt: skip
COSINE = Form(
    re.compile(r"-?(0(\.[0-9]+)?|1(\.0+)?|[1-9](\.[0-9]+)?e-[0-9]+)", re.ASCII),
    "a number from -1 to 1",
)
NUMBER = Form(re.compile(rf"-?{_DECIMAL}", re.ASCII), "a number")
BOOLEAN = Form(re.compile(r"true|false"), "true or false")
DIGEST = Form(re.compile(r"[0-9a-f]{64}"), "a SHA-256 in hexadecimal")
S3_ADDRESS = Form(re.compile(r"s3://[^/\s]+/\S*"), "an S3 address")
ARCHIVE = Form(re.compile(r"[0-9a-f]{64}( [\w.:/=+\-@]{1,180})?", re.ASCII),
               "a SHA-256 in hexadecimal and an S3 version id")  # fmt: skip
PACKAGE = Form(re.compile(r"arn:\S+:model-package/\S+"), "the ARN of a version")
VERDICT = Form(re.compile(r"passed|failed"), "passed or failed")

CONFIGURATION = "the job's resolved configuration"
WEIGHTS = "counted in the model that ships"
CARDS = "the card set as the job read it"
EVALUATION = "the job's evaluation on views that nothing was trained or chosen by"
LINT = "the lint of the exported graph"
JOB = "DescribeTrainingJob"
COMPILATION = "the compile job's report"
GATE = "the fidelity gate"
REGISTRY = "the registry, on registration"


@dataclass(frozen=True)
class Field:
    """One metadata key.

    Attributes:
        form: Of its value.
        unit: Of its value; empty where it has none.
        meaning: One line.
        source: Where the value comes from.
        example: A value of the right form.
        required: Whether a version of the kind may lack it.
    """

    form: Form
    unit: str
    meaning: str
    source: str
    example: str
    required: bool = False


Fields = Mapping[str, Field]


def _either(words: Sequence[str]) -> str:
    """``a, b or c``."""
    return f"{', '.join(words[:-1])} or {words[-1]}"


#: What the registry writes itself about every version.
LINKS: Fields = {
    "ModelName": Field(TEXT, "", "Name by the convention", REGISTRY,
                       "student-efficientnet-lite0-stage2-v1"),
    "ParentModel": Field(TEXT, "", "Name of the version it was made from", REGISTRY,
                         "student-efficientnet-lite0-stage1-v1"),
    "ParentModelPackageArn": Field(
        PACKAGE, "", "ARN of the version it was made from", REGISTRY,
        "arn:aws:sagemaker:us-east-2:123456789012:model-package/group/7"),
    "ApprovalReason": Field(TEXT, "", "Why it was registered as approved or rejected", REGISTRY,
                            "Passed the fidelity gate"),
    "Validation": Field(VERDICT, "", "Whether it may be approved without an override", REGISTRY,
                        "passed"),
    "ValidationFaults": Field(TEXT, "", "Why not", REGISTRY, "Top1 is not above chance"),
}  # fmt: skip

_IDENTITY: Fields = {
    "Architecture": Field(TEXT, "", "Backbone as it was built", CONFIGURATION,
                          "efficientnet_lite0", True),
    "Parameters": Field(COUNT, "parameters", "Size of the network that ships", WEIGHTS,
                        "4354816", True),
    "EmbeddingDim": Field(COUNT, "values", "Length of the embedding", CONFIGURATION, "768", True),
    "ModelType": Field(TEXT, "", "teacher or student", CONFIGURATION, "student", True),
    "Purpose": Field(TEXT, "", "What it is for", CONFIGURATION, "edge_deployment_hailo8l", True),
    "InferenceTarget": Field(TEXT, "", "Where it runs", CONFIGURATION,
                             HAILO.inference_target,
                             True),
    "InputSize": Field(COUNT, "pixels", "Side of the square input", CONFIGURATION, "224"),
}  # fmt: skip

#: What is measured by looking views up in a gallery.
RETRIEVAL: Fields = {
    "Top1": Field(SHARE, "share of queries", "The right card is nearest", EVALUATION, "0.883",
                  True),
    "Top1Low": Field(SHARE, "share of queries", "Lower end of its 95 % interval (Wilson)",
                     EVALUATION, "0.86"),
    "Top1High": Field(SHARE, "share of queries", "Upper end of its 95 % interval (Wilson)",
                      EVALUATION, "0.902"),
    "Top5": Field(SHARE, "share of queries", "The right card is among five", EVALUATION, "0.97"),
    "Queries": Field(COUNT, "views", "Unseen camera views behind Top1", EVALUATION, "920"),
    "Top1Unseen": Field(SHARE, "share of queries", "Top-1 of cards that were never trained on",
                        EVALUATION, "0.801"),
    "Top1UnseenLow": Field(SHARE, "share of queries", "Lower end of its 95 % interval",
                           EVALUATION, "0.75"),
    "Top1UnseenHigh": Field(SHARE, "share of queries", "Upper end of its 95 % interval",
                            EVALUATION, "0.84"),
    "Auroc": Field(SHARE, "probability", "A known card's best similarity is above an unknown's",
                   EVALUATION, "0.967"),
    "Threshold": Field(COSINE, "cosine", "From here on a match is accepted", EVALUATION, "0.99"),
    "FalseAcceptTarget": Field(SHARE, "share of queries", "Unknown cards that the threshold may "
                               "accept", CONFIGURATION, "0.01"),
    "FalseAcceptRate": Field(SHARE, "share of queries", "Unknown cards accepted at the threshold",
                             EVALUATION, "0.01"),
    "AcceptedRight": Field(SHARE, "share of queries", "Accepted at the threshold, and right",
                           EVALUATION, "0.195"),
}  # fmt: skip

_TRAINED: Fields = {
    **_IDENTITY,
    "NumClasses": Field(COUNT, "cards", "Known cards: identities, not images", CARDS, "17592",
                        True),
    "TrainingApproach": Field(TEXT, "", "The loss terms that were used, with their weights",
                              CONFIGURATION, "embedding 1 + relational 1", True),
    "Recipe": Field(TEXT, "", "Training recipe", CONFIGURATION, "full"),
    "Seed": Field(WHOLE, "", "Of every random choice", CONFIGURATION, "0"),
    **RETRIEVAL,
    "ValidationTop1": Field(SHARE, "share of queries", "Top-1 on the views that settings are "
                            "chosen by", EVALUATION, "0.88"),
    "TrainingJob": Field(TEXT, "", "Name of the training job", JOB, "student-stage2-full-…"),
    "InstanceType": Field(TEXT, "", "Machine of the job", JOB, "ml.p4d.24xlarge"),
    "InstanceCount": Field(COUNT, "machines", "How many of them", JOB, "1"),
    "TrainingSeconds": Field(WHOLE, "seconds", "From the job's start to its end", JOB, "780"),
    "CardSetUri": Field(S3_ADDRESS, "", "The card set that it was trained on", JOB,
                        "s3://bucket/cards/0f3a/"),
    "CardSetDigest": Field(TEXT, "", "Digest of the card list and the images", CARDS, "0f3a"),
    "ModelArchive": Field(ARCHIVE, "", "SHA-256 and S3 version of model.tar.gz", REGISTRY,
                          "0" * 64 + " 3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrH"),
    "OutputArchive": Field(ARCHIVE, "", "SHA-256 and S3 version of output.tar.gz", REGISTRY,
                           "0" * 64 + " 3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrH"),
    "MlflowRunId": Field(TEXT, "", "The run that logged it", CONFIGURATION, "9d5e…"),
    "ReportPage": Field(ARCHIVE, "", "SHA-256 and S3 version of the page to read before a decision",
                        REGISTRY, "0" * 64 + " 3sL4kqtJlcpXroDTDmJ-rmSpXd3dIbrH"),
    "Stated": Field(TEXT, "", "Keys whose values a person stated, as no source says them; and who",
                    REGISTRY, "NumClasses Top1 by arn:aws:iam::123456789012:user/someone"),
    **LINKS,
}  # fmt: skip

_STUDENT: Fields = {
    **_TRAINED,
    "Stage": Field(TEXT, "", "stage1 or stage2", CONFIGURATION, "stage2", True),
    "TeacherModel": Field(TEXT, "", "Architecture of the teacher", "the teacher's own artifact",
                          "dinov3-vitl16", True),
    "BestSimilarity": Field(COSINE, "cosine", "Mean to the teacher, on unseen views", EVALUATION,
                            "0.9234", True),
    "HailoCompatible": Field(BOOLEAN, "", "Whether the Hailo parser is expected to take it", LINT,
                             "true", True),
    "Normalization": Field(TEXT, "", "Kinds of normalisation layers", WEIGHTS, "BatchNorm", True),
    "CompileFailedJob": Field(TEXT, "", "The compile job that failed last", COMPILATION,
                              "compile-…-1"),
    "CompileFailure": Field(TEXT, "", "Why", COMPILATION, "fidelity gate failed: …"),
    "Release": Field(TEXT, "", "The release made from it, once people were told", COMPILATION,
                     f"student-efficientnet-lite0-stage2-v1.{ONNX_INT8.name}-…"),
}  # fmt: skip

_EXPORTED: Fields = {
    **_IDENTITY,
    "Stage": Field(TEXT, "", _either(compiled_stages()), COMPILATION, ONNX_INT8.stage, True),
    "SizeBytes": Field(COUNT, "bytes", "Of the model file", COMPILATION, "4871337", True),
    "Sha256": Field(DIGEST, "", "Of the model file", COMPILATION, "0" * 64),
    **RETRIEVAL,
    "CosineMean": Field(COSINE, "cosine", "Mean to the model it was made from", GATE, "0.998"),
    "CosineWorst": Field(COSINE, "cosine", "Of the worst view", GATE, "0.96"),
    "FidelityGate": Field(VERDICT, "", "The gate's word", GATE, "passed"),
    "Cards": Field(COUNT, "cards", "Known cards behind Top1", COMPILATION, "17592"),
    "CompileJob": Field(TEXT, "", "Name of the compile job", COMPILATION, "compile-…-1"),
    **LINKS,
}  # fmt: skip

_ONNX: Fields = {
    **_EXPORTED,
    "Opset": Field(COUNT, "", "ONNX operator set", COMPILATION, "17"),
}

_QUANTISED: Fields = {
    **_EXPORTED,
    "CalibrationImages": Field(COUNT, "images", "That the value ranges come from", COMPILATION,
                               "1024"),
    "CalibrationSha256": Field(DIGEST, "", "Of the calibration images' bytes", COMPILATION,
                               "0" * 64),
    "Toolchain": Field(TEXT, "", "Compiler and versions", COMPILATION, "onnxruntime 1.32.0"),
}  # fmt: skip

#: What a version says beside its kind's keys whose index has cards that were added after training.
ADDED: Fields = {
    "AddedCards": Field(COUNT, "cards", "Added to the index after training", CARDS, "24"),
    "Top1Added": Field(SHARE, "share of queries", "Top-1 of the added cards' views", EVALUATION,
                       "0.951"),
    "AcceptedRightAdded": Field(SHARE, "share of queries", "Of them accepted at the threshold, and "
                                "right", EVALUATION, "0.72"),
}  # fmt: skip

#: What a run that failed can say: it has no model to measure.
FAILED: Fields = {
    "ModelType": Field(TEXT, "", "teacher or student", REGISTRY, "student", True),
    "Stage": Field(TEXT, "", "Stage of the name", REGISTRY, "stage1"),
    "TrainingJob": Field(TEXT, "", "Name of the training job", JOB, "student-stage1-…", True),
    "FailureReason": Field(TEXT, "", "In the job's own words", JOB, "AlgorithmError: …", True),
    "Recipe": _TRAINED["Recipe"],
    "InstanceType": _TRAINED["InstanceType"],
    "InstanceCount": _TRAINED["InstanceCount"],
    "TrainingSeconds": _TRAINED["TrainingSeconds"],
    "CardSetUri": _TRAINED["CardSetUri"],
    **LINKS,
}

#: Keys that the function writes, or removes, which publishes releases; no other function does.
PUBLISHER_KEYS = frozenset({"CompileFailedJob", "CompileFailure", "Release"})
#: Keys of each kind of model, by (model type, stage).
SCHEMAS: Mapping[tuple[str, str], Fields] = {
    (TEACHER, "phase1"): _TRAINED,
    (TEACHER, "phase2"): _TRAINED,
    (STUDENT, "stage1"): _STUDENT,
    (STUDENT, "stage2"): _STUDENT,
    (STUDENT, ONNX_STAGE): _ONNX,
    **{(STUDENT, kind.stage): _QUANTISED for kind in COMPILERS},
}
#: Every key that a version of any kind may have.
SCHEMA_KEYS = frozenset(
    {
        "PromotedFrom",
        *(key for fields in (*SCHEMAS.values(), ADDED, FAILED) for key in fields),
    }
)
