"""The networks: a teacher of any of timm's families, and a student that the Hailo compiler takes.

Both take normalised float images (N, 3, size, size) and return embeddings (N, embedding_dim) that
are not L2-normalised: the host does that (see ``registry.contract``).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from registry.names import TEACHER
from training.architectures import is_vit
from training.checkpoint_files import CheckpointError
from training.config import ConfigError, TrainingConfig
from training.models.checkpoint import load_problem, without_classifier, without_unused_bias
from training.models.torchvision_without_cuda import mend_torchvision

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Teacher(nn.Module):
    """A backbone whose image feature is projected to the embedding.

    The recipe of the guide is DINOv3's ViT-L/16 (https://arxiv.org/abs/2508.10104), whose feature
    is the class token. Any of timm's networks will do that give a feature and maps: smaller ViTs
    of the same architecture, DINOv3's ConvNeXt, an EfficientNet-Lite for two cores.
    """

    def __init__(self, config: TrainingConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self._is_vit = is_vit(config.backbone)
        self.backbone = _backbone(config, weights, **(_vit_options(config) if self._is_vit else {}))
        if not all(hasattr(self.backbone, name) for name in _OF_A_TEACHER):
            raise ConfigError(f"backbone {config.backbone}: timm gives no feature and maps of it")
        self._frozen = _frozen(self.backbone, config)
        features = int(self.backbone.num_features)
        hidden = config.projection_width
        first = (
            (nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.GELU())
            if hidden
            else ()
        )
        self.projection = nn.Sequential(
            *first,
            nn.Linear(hidden or features, config.embedding_dim, bias=False),
            nn.BatchNorm1d(config.embedding_dim),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S), normalised, to embeddings (N, D)."""
        embeddings: Tensor = self.projection(self.backbone(images))
        return embeddings

    def forward_with_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (N, D), and a ViT's patch tokens on their grid or the last map of another
        network, (N, :attr:`map_channels`, h, w)."""
        options = {"norm": True} if self._is_vit else {}
        features, maps = self.backbone.forward_intermediates(images, indices=1, **options)
        return self.projection(self.backbone.forward_head(features)), maps[0]

    @property
    def map_channels(self) -> int:
        """Channels of the map."""
        return int(self.backbone.feature_info[-1]["num_chs"])

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters outside the backbone."""
        return self.projection.parameters()

    def trainable_backbone_parameters(self) -> list[nn.Parameter]:
        """The parameters that learn, in the backbone's order."""
        return _parameters_outside(self.backbone, self._frozen)

    def train(self, mode: bool = True) -> Teacher:
        """Training mode, except for the frozen stages."""
        super().train(mode)
        _keep(self._frozen)
        return self


class Student(nn.Module):
    """EfficientNet-Lite to an embedding: convolution, BatchNorm, ReLU6, pooling and one Linear.

    The BatchNorm after the linear layer keeps the embedding's dimensions on one scale while it
    trains; an export folds it into the layer.
    """

    def __init__(self, config: TrainingConfig, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.backbone = _backbone(config, weights)
        self._frozen = _frozen(self.backbone, config)
        strides = [info["reduction"] for info in self.backbone.feature_info]
        self._map_stage = strides.index(config.map_stride)
        self.projection = nn.Sequential(
            nn.Linear(int(self.backbone.num_features), config.embedding_dim, bias=False),
            nn.BatchNorm1d(config.embedding_dim),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S), normalised, to embeddings (N, D)."""
        embeddings: Tensor = self.projection(self.backbone(images))
        return embeddings

    def forward_with_map(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (N, D) and the map (N, channels, S/stride, S/stride) of ``map_stride``."""
        features, maps = self.backbone.forward_intermediates(images, indices=[self._map_stage])
        return self.projection(self.backbone.forward_head(features)), maps[0]

    @property
    def map_channels(self) -> int:
        """Channels of the map."""
        return int(self.backbone.feature_info[self._map_stage]["num_chs"])

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters outside the backbone."""
        return self.projection.parameters()

    def trainable_backbone_parameters(self) -> list[nn.Parameter]:
        """The parameters that learn, in the backbone's order."""
        return _parameters_outside(self.backbone, self._frozen)

    def train(self, mode: bool = True) -> Student:
        """Training mode, except for the frozen stages."""
        super().train(mode)
        _keep(self._frozen)
        return self


CardModel = Teacher | Student

#: What a teacher asks of its backbone.
_OF_A_TEACHER = ("forward_intermediates", "forward_head", "feature_info", "num_features")

#: What timm raises about options, and its hub's client about what it cannot fetch.
_UNBUILDABLE = (TypeError, ValueError, RuntimeError, AssertionError, OSError)


def build_model(config: TrainingConfig, weights: Mapping[str, Tensor] | None = None) -> CardModel:
    """The network of a configuration, its initial weights drawn from the configuration's seed.

    Args:
        config: Names and shapes the network.
        weights: The backbone's tensors, in timm's names or Meta's; replace what
            ``config.pretrained`` says.

    Raises:
        ConfigError: timm knows no such backbone, or cannot build it in that shape.
        CheckpointError: The weights are those of another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        kind = Teacher if config.model_type == TEACHER else Student
        return kind(config, weights)


def check_weights(config: TrainingConfig, weights: Mapping[str, Tensor]) -> None:
    """Tells by names and shapes whether weights are those of the configured backbone.

    Nothing is computed and no memory is taken for the network.

    Args:
        config: Names and shapes the network.
        weights: The backbone's tensors, in timm's names or Meta's; they may lack storage.

    Raises:
        ConfigError: timm knows no such backbone, or cannot build it in that shape.
        CheckpointError: The weights are those of another network.
    """
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch: copying to a tensor without storage
            build_model(config, weights)
    except CheckpointError as error:
        # Patches and positions of another size are resampled, which needs storage: the job does
        # that. Only tensors that are missing, of another shape or unusable are refused here.
        cause = error.__cause__
        if cause is None or str(cause).startswith("Error(s) in loading state_dict"):
            raise


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers in a module: what ships, without optimiser, classifier or statistics."""
    return sum(parameter.numel() for parameter in module.parameters())


def _frozen(backbone: Any, config: TrainingConfig) -> list[nn.Module]:
    """The modules that stay as they began: what comes before the trainable blocks.

    Without a gradient they cost a forward pass only, and their BatchNorm keeps its statistics: on
    two cores a network whose first stages, which see the largest maps, stay as they are trains
    more than twice as fast (docs/recognition.md).
    """
    blocks = getattr(backbone, "blocks", getattr(backbone, "stages", None))
    if not config.trainable_blocks:
        return []
    if blocks is None or config.trainable_blocks > len(blocks):
        count = "no" if blocks is None else len(blocks)
        raise ConfigError(
            f"trainable_blocks {config.trainable_blocks}: {config.backbone} has {count} blocks"
        )
    children = list(backbone.children())
    before = children[: next(place for place, each in enumerate(children) if each is blocks)]
    return [*before, *list(blocks)[: len(blocks) - config.trainable_blocks]]


def _parameters_outside(backbone: nn.Module, frozen: list[nn.Module]) -> list[nn.Parameter]:
    if not frozen:
        return list(backbone.parameters())
    kept = {id(parameter) for module in frozen for parameter in module.parameters()}
    # A ViT's own tokens and positions belong to no module.
    kept |= {id(parameter) for parameter in backbone.parameters(recurse=False)}
    return [parameter for parameter in backbone.parameters() if id(parameter) not in kept]


def _keep(frozen: list[nn.Module]) -> None:
    for module in frozen:
        module.eval()


def _vit_options(config: TrainingConfig) -> dict[str, Any]:
    given = {
        "patch_size": config.patch_size,
        "depth": config.depth,
        "embed_dim": config.width,
        "num_heads": config.heads,
        "init_values": config.layer_scale,
        "drop_path_rate": config.drop_path,
    }
    options = {key: value for key, value in given.items() if value}
    return {**options, "img_size": config.image_size, "global_pool": config.pool}


def _backbone(
    config: TrainingConfig, weights: Mapping[str, Tensor] | None = None, **options: Any
) -> Any:
    mend_torchvision()
    import timm

    if config.backbone.partition(".")[0] not in timm.list_models():
        raise ConfigError(f"backbone {config.backbone!r}: this timm ({timm.__version__}) has none")
    try:
        if weights is not None:
            return _with_weights(timm, config, weights, options)
        return timm.create_model(
            config.backbone, pretrained=config.pretrained, num_classes=0, **options
        )
    except _UNBUILDABLE as error:
        if isinstance(error, CheckpointError):
            raise
        raise ConfigError(
            f"backbone {config.backbone}: cannot be built with {options}: {error}"
        ) from error


def _with_weights(
    timm: Any, config: TrainingConfig, weights: Mapping[str, Tensor], options: dict[str, Any]
) -> Any:
    """The backbone with all of its tensors from ``weights``; none stays random."""
    # Without storage: only the names are asked for, which the options decide.
    with torch.device("meta"):
        plain = timm.create_model(config.backbone, num_classes=0, **options)
    expected = set(plain.state_dict())
    state = without_unused_bias(without_classifier(weights, expected), expected)
    # timm tolerates missing tensors where the published number of classes differs from the one
    # asked for; with the same number each tensor must be there.
    overlay = {"state_dict": state, "num_classes": 0}
    try:
        model = timm.create_model(
            config.backbone,
            pretrained=True,
            num_classes=0,
            pretrained_cfg_overlay=overlay,
            **options,
        )
    except Exception as error:  # timm, torch and the tensors decide which one
        raise CheckpointError(load_problem(error)) from error
    model.pretrained_cfg.pop("state_dict", None)
    return model
