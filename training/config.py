"""The configuration of a training run: every setting, its default and its limits.

``training/recipe.py`` puts one together: defaults < recipe < hyper-parameters. A key that no field
takes, or a value that a field cannot hold, stops the job before it costs money.
"""

# Over 400 lines: every setting stands in one class, with its default, its limits and its meaning.

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_type_hints

from recognition.acceptance.false_accepts import FALSE_ACCEPTS
from recognition.views.scales import scan_scale
from registry.contract import LARGEST_SIZE, Contract, ContractError
from registry.names import STUDENT, TEACHER, ModelNameError, check_line
from registry.weight_origins import WeightOriginError, is_licence, read_origins
from training.architectures import STUDENTS, is_backbone, is_vit
from training.losses.term import Need
from training.losses.terms import SETTINGS as LOSS_SETTINGS
from training.losses.terms import TERMS, terms_of

#: Six orders of the colour channels, each as it is and mirrored.
MOST_VARIANTS = 12
TEACHER_STAGES = ("phase2",)
STUDENT_STAGES = ("stage1", "stage2")
MAP_STRIDES = (2, 4, 8, 16, 32)
TARGETS = ("view", "scan")
PRECISIONS = ("fp32", "bf16")
POOLS = ("token", "avg")
_CHOICES = {"distillation_target": TARGETS, "precision": PRECISIONS, "pool": POOLS}


class ConfigError(ValueError):
    """A setting that cannot be followed: names the key, the value and what is allowed."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a run's result, beside the card set and the code.

    Sizes are counts, rates are per optimiser step, shares are fractions in [0, 1]. A 0 in a field
    of the backbone's shape means the backbone's own value.

    Attributes:
        recipe: Name of the recipe that it came from.
        model_type: ``teacher`` or ``student``.
        stage: ``phase2`` for a teacher, ``stage1`` or ``stage2`` for a student.
        parent_model_package_arn: The registered model that this one is made from; students only.
        seed: Of the split, the views, the order and the initial weights.
        architecture: Lower-case words joined by hyphens; stands in the model's name.
        backbone: timm's name of the backbone.
        pretrained: Whether the backbone begins with its published weights: those of its package
            (``training.published_weights``), or the hub's where there is none.
        weights_licence: SPDX identifier of the licence of a checkpoint that the job is given.
        initial_weights: What it did begin with, as the job found it: name, SHA-256 and licence
            (:mod:`registry.weight_origins`); empty for random weights.
        inherited_weights: The same, one line each, of the models that it was made from or learnt
            from.
        camera_side: Side in pixels of the camera's picture that a view is rendered as, before the
            contract brings it to ``image_size``; without effect where it is not larger.
        layer_scale: Initial value of a ViT's layer scale.
        projection_width: Hidden width of the teacher's projection; 0 for one linear layer.
        steps: Optimiser steps; or 0, and ``epochs`` decides.
        epochs: Passes over the known scans; or 0, and ``steps`` decides.
        most_steps: Steps that ``epochs`` may come to, for a set that is larger than a recipe was
            made for; 0 for no limit.
        frozen_share: First share of the steps in which a teacher's backbone stays as it is and
            the head learns at ``frozen_learning_rate``, with a schedule of its own.
        trainable_blocks: How many of a ViT's last blocks, or of a convolution network's last
            stages, are trained; the others stay as they began. 0 trains all.
        batch_size: Cards in a batch, over all processes.
        accumulate: Parts that a process's rows of a batch go through the network in, one after
            the other. Terms that compare cards compare those of one part.
        shared_norms: Whether several processes measure BatchNorm's statistics together, as one
            process would.
        scan_share: Clean scans fed beside the views, as a share of the batch.
        virtual_share: Share of a batch that are virtual cards (see ``training.data.batches``).
        variants: How many identities a card is trained as: itself, mirrored, and both with its
            colour channels in other orders (:func:`training.data.batches.card_variant`). Half of
            the views show the card itself. For runs without a term that asks the teacher.
        identities: How many identities they may make in all, so that a larger set keeps its views
            for its own cards; 0 for any number.
        head_rate_factor: The head's learning rate over the backbone's.
        distillation_target: Whether a view's target is the teacher's embedding of that very
            ``view`` or of the card's clean ``scan``.
        losses: Settings of the loss terms by name, as ``training/losses/terms`` declares them:
            their weights (``weight_<term>``; a term of weight 0 is not computed) and their own,
            such as ``arcface_margin``. Recipes, hyper-parameters and ``config.json`` have them
            beside the other settings. What is left out has its default.
        map_stride: Which of the student's maps the teacher's patch tokens are compared with, by
            its stride in pixels.
        normalisation_batches: Batches by which BatchNorm's statistics are measured again for the
            averaged weights.
        compile: Whether torch compiles the backbone: pays on long runs on a GPU.
        checkpoint_minutes: Time between two checkpoints.
        gpu_views: Whether a GPU that trains also renders the views, where there is one.
        validations: How often the averaged model is validated while it trains, evenly spread.
        patience: Validations in a row that may bring nothing better before the run ends with the
            best weights; 0 never ends it.
        divergence: How many times its mean over the first 20 steps the loss may become; 0 allows
            anything.
        held_out_share: Share of the cards that nothing is trained on, for validation and for test
            each.
        validation_share: Another share for validation, whose cards choose the acceptance
            threshold; 0 is ``held_out_share``.
        drawn_strangers: How many drawn cards (``recognition.sample_cards``) choose the acceptance
            threshold beside the set's own held-out cards; they count only where they predict what
            the own ones do (``recognition.retrieval``).
        validation_views: Views of known cards in validation, in all (at least one a card).
        query_views: Likewise for the queries that are reported.
        unseen_views: Views of cards never trained on, in all, for validation and for test each.
        false_accepts: The false-accept rate that the acceptance threshold is to hold, shown with
            95 % confidence over the cards that choose it, where they are enough.
    """

    recipe: str
    model_type: str
    stage: str
    parent_model_package_arn: str = ""
    seed: int = 1
    # What is trained.
    image_size: int = 224
    camera_side: int = 256
    embedding_dim: int = 768
    architecture: str = ""
    backbone: str = ""
    pretrained: bool = False
    weights_licence: str = ""
    initial_weights: str = ""
    inherited_weights: str = ""
    patch_size: int = 0
    depth: int = 0
    width: int = 0
    heads: int = 0
    layer_scale: float = 0.0
    pool: str = "token"
    drop_path: float = 0.0
    projection_width: int = 1024
    # How long, and in what order.
    steps: int = 0
    epochs: float = 0.0
    most_steps: int = 0
    frozen_share: float = 0.0
    trainable_blocks: int = 0
    batch_size: int = 64
    accumulate: int = 1
    shared_norms: bool = True
    scan_share: float = 0.25
    virtual_share: float = 0.0
    variants: int = 1
    identities: int = 0
    # Optimiser.
    learning_rate: float = 1e-3
    frozen_learning_rate: float = 1e-3
    head_rate_factor: float = 1.0
    weight_decay: float = 0.01
    second_moment_decay: float = 0.999
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    precision: str = "fp32"
    channels_last: bool = False
    # Losses.
    distillation_target: str = "view"
    teacher_views: int = 0
    map_stride: int = 16
    losses: Mapping[str, float] = field(default_factory=dict)
    # Afterwards.
    normalisation_batches: int = 0
    validations: int = 0
    patience: int = 0
    divergence: float = 3.0
    held_out_share: float = 0.05
    validation_share: float = 0.0
    drawn_strangers: int = 0
    validation_views: int = 1000
    query_views: int = 2000
    unseen_views: int = 400
    false_accepts: float = FALSE_ACCEPTS
    # The machine; no influence on the result beyond rounding.
    compile: bool = False
    gpu_views: bool = True
    checkpoint_minutes: float = 5.0
    threads: int = 0
    render_threads: int = 1
    prefetch: int = 4
    log_seconds: float = 5.0

    def __post_init__(self) -> None:
        defaults = {key: setting.default for key, setting in LOSS_SETTINGS.items()}
        unknown = set(self.losses) - set(defaults)
        if unknown:
            raise ConfigError(f"{sorted(unknown)[0]}: is no setting of a loss term")
        object.__setattr__(self, "losses", {**defaults, **self.losses})
        stages = {TEACHER: TEACHER_STAGES, STUDENT: STUDENT_STAGES}.get(self.model_type)
        if stages is None or self.stage not in stages:
            raise ConfigError(
                f"stage {self.stage!r} of a {self.model_type}: must be "
                f"{' or '.join(TEACHER_STAGES)} for a teacher, "
                f"{' or '.join(STUDENT_STAGES)} for a student"
            )
        if not is_backbone(self.model_type, self.backbone):
            raise ConfigError(
                f"backbone {self.backbone!r}: a teacher is one of timm's models, "
                f"a student {', '.join(STUDENTS)}"
            )
        shape = ("patch_size", "depth", "width", "heads", "layer_scale")
        given = [name for name in shape if getattr(self, name)]
        if given and not is_vit(self.backbone):
            raise ConfigError(f"{given[0]}: is for ViTs; {self.backbone} has its own shape")
        if self.weights_licence and not is_licence(self.weights_licence):
            raise ConfigError(
                f"weights_licence {self.weights_licence!r}: must be an SPDX identifier, for "
                "example Apache-2.0"
            )
        try:
            read_origins(self.initial_weights, self.inherited_weights)
        except WeightOriginError as error:
            raise ConfigError(f"initial_weights or inherited_weights: {error}") from None
        try:
            check_line(self.model_type, self.architecture, self.stage)
            _ = self.contract
        except (ModelNameError, ContractError) as error:
            raise ConfigError(str(error)) from None
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ConfigError(f"{name} {value}: must be {low} to {high}")
        for name, setting in LOSS_SETTINGS.items():
            value = self.losses[name]
            if not (math.isfinite(value) and setting.low <= value <= setting.high):
                raise ConfigError(f"{name} {value}: must be {setting.low:g} to {setting.high:g}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} {getattr(self, name)!r}: must be {' or '.join(allowed)}")
        if (self.steps > 0) == (self.epochs > 0):
            raise ConfigError(
                f"steps {self.steps} and epochs {self.epochs}: give one of them, the other 0"
            )
        if bool(self.width) != bool(self.heads) or (self.width and self.width % (4 * self.heads)):
            raise ConfigError(
                f"width {self.width} and heads {self.heads}: give both or neither, the width a "
                "multiple of 4 x heads (rotary positions turn pairs in two directions)"
            )
        if not self.terms:
            raise ConfigError("no loss: every weight_… is 0")
        used = [TERMS[name] for name in self.terms]
        for term in used:
            if Need.SCANS in term.needs and not self.scan_share:
                raise ConfigError(f"{term.weight}: needs clean scans; set scan_share above 0")
        asking = [term.weight for term in used if term.needs_teacher]
        if self.variants > 1 and asking:
            raise ConfigError(
                f"variants {self.variants}: the teacher answers about cards as they are, and "
                f"{asking[0]} asks it; set variants to 1 or the weight to 0"
            )
        compared = [term.weight for term in used if Need.MAPS in term.needs]
        if self.patience and not self.validations:
            raise ConfigError(f"patience {self.patience}: needs validations above 0")
        if self.teacher_views and compared:
            raise ConfigError(
                f"teacher_views {self.teacher_views}: keeps the teacher's embeddings, and "
                f"{compared[0]} needs its maps; set one of them to 0"
            )
        if self.map_stride not in MAP_STRIDES:
            raise ConfigError(f"map_stride {self.map_stride}: must be one of {MAP_STRIDES}")
        if compared and self.distillation_target != "view":
            raise ConfigError(
                f"{compared[0]}: a view's places are those of the view, not of the scan; "
                "set distillation_target view"
            )
        for term in used:
            if self.model_type not in term.model_types:
                raise ConfigError(
                    f"{term.weight}: no term of a {self.model_type}; it has "
                    f"{', '.join(terms_of(self.model_type))}"
                )

    @property
    def contract(self) -> Contract:
        """The preprocessing contract of the model: ImageNet's mean and deviation."""
        return Contract(size=self.image_size, embedding_dim=self.embedding_dim)

    @property
    def scan_scale(self) -> int:
        """How many times as large as the network's input the scans are that views are made of."""
        return scan_scale(self.image_size, self.camera_side)

    @property
    def terms(self) -> dict[str, float]:
        """Weights of the loss terms that are used, by the term's name."""
        weights = {name: self.losses[term.weight] for name, term in TERMS.items()}
        return {name: weight for name, weight in weights.items() if weight > 0}

    @property
    def fed_scans(self) -> int:
        """Clean scans of a batch that the trained model sees beside the views."""
        return round(self.scan_share * self.batch_size)

    def variants_of(self, known: int) -> int:
        """How many identities each of so many known cards is trained as."""
        if not self.identities:
            return self.variants
        return max(1, min(self.variants, self.identities // known))

    def total_steps(self, scans: int) -> int:
        """Optimiser steps of the run on this many known scans."""
        steps = self.steps or max(1, math.ceil(self.epochs * scans / self.batch_size))
        return min(steps, self.most_steps or steps)

    def to_dict(self) -> dict[str, Any]:
        """The form of ``config.json``: the loss terms' settings beside the others."""
        document = asdict(self)
        losses = document.pop("losses")
        return {**document, **losses}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The configuration of typed settings, those of the loss terms beside the others."""
        losses = {key: value for key, value in values.items() if key in LOSS_SETTINGS}
        others = {key: value for key, value in values.items() if key not in LOSS_SETTINGS}
        return cls(**others, losses=losses)

    @classmethod
    def from_dict(cls, document: Any, label: str = "config.json") -> TrainingConfig:
        """Reads :meth:`to_dict`'s form back.

        Raises:
            ConfigError: Not an object, an unknown key, or a value that a field cannot hold.
        """
        if not isinstance(document, Mapping):
            raise ConfigError(f"{label}: is no JSON object")
        try:
            values = {
                key: convert_setting(key, value, f"{label}: ") for key, value in document.items()
            }
            return cls.from_settings(values)
        except TypeError as error:
            raise ConfigError(f"{label}: {error}") from None


_RANGES: Mapping[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "camera_side": (0, LARGEST_SIZE),
    "patch_size": (0, 64),
    "depth": (0, 64),
    "width": (0, 4096),
    "heads": (0, 64),
    "layer_scale": (0, 10),
    "drop_path": (0, 0.9),
    "projection_width": (0, 16384),
    "steps": (0, 10_000_000),
    "most_steps": (0, 10_000_000),
    "epochs": (0, 10_000),
    "frozen_share": (0, 0.9),
    "trainable_blocks": (0, 64),
    "batch_size": (2, 65536),
    "accumulate": (1, 4096),
    "scan_share": (0, 1),
    "teacher_views": (0, 100_000),
    "validations": (0, 1000),
    "patience": (0, 1000),
    "divergence": (0, 1e6),
    "held_out_share": (0.001, 0.4),
    "validation_share": (0, 0.4),
    "drawn_strangers": (0, 100_000),
    "checkpoint_minutes": (0, 1440),
    "virtual_share": (0, 1),
    "variants": (1, MOST_VARIANTS),
    "identities": (0, 10_000_000),
    "learning_rate": (1e-8, 1),
    "frozen_learning_rate": (1e-8, 1),
    "head_rate_factor": (0.01, 1000),
    "weight_decay": (0, 1),
    "second_moment_decay": (0.5, 0.99999),
    "warmup_share": (0, 0.9),
    "clip_norm": (1e-3, 1e6),
    "ema_decay": (0, 0.999999),
    "normalisation_batches": (0, 10_000),
    "validation_views": (1, 10_000_000),
    "query_views": (1, 10_000_000),
    "unseen_views": (1, 10_000_000),
    "false_accepts": (1e-6, 0.5),
    "threads": (0, 1024),
    "render_threads": (1, 256),
    "prefetch": (1, 1024),
    "log_seconds": (0.01, 3600),
}


@functools.cache
def _kinds() -> dict[str, Any]:
    fields = get_type_hints(TrainingConfig)
    del fields["losses"]
    return {**fields, **dict.fromkeys(LOSS_SETTINGS, float)}


def convert_setting(key: str, value: Any, where: str) -> Any:
    """A value in its field's type; numbers and booleans may come as text.

    Args:
        key: The setting's name.
        value: Text, a number or a boolean.
        where: What an error begins with.

    Raises:
        ConfigError: No such setting, or a value that it cannot hold.
    """
    kinds = _kinds()
    if key not in kinds:
        near = difflib.get_close_matches(key, kinds, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"{where}{key}: is no setting{hint} (all of them: TrainingConfig in training/config.py "
            "and training/losses/terms)"
        )
    kind = kinds[key]
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        if isinstance(value, bool) or (isinstance(value, float) and kind is int and value % 1):
            raise ValueError
        if kind is str:
            if not isinstance(value, str):
                raise ValueError
            return value
        return kind(value)
    except (KeyError, ValueError, TypeError, OverflowError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
        raise ConfigError(f"{where}{key} {value!r}: must be {wanted[kind]}") from None
