"""From PyTorch to the ONNX graph that ships, checked against PyTorch before it is in place.

The only file of this package that imports torch; the training job uses it.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from export.graphs.graph import parameter_count
from export.graphs.lint import LintFinding, lint
from recognition.atomic_files import atomic_file
from recognition.onnx_model import OnnxEmbedder
from recognition.search.gallery import l2_normalise
from registry.compilation.gate_thresholds import GateThresholds
from registry.contract import Contract

OPSET = 17
INPUT, OUTPUT = "image", "embedding"
#: Two runtimes differ by rounding; a wrong layout or channel order is far below this.
LEAST_COSINE = GateThresholds.onnx_cosine_mean


class ExportError(RuntimeError):
    """A network that cannot be exported faithfully; says what differs."""


@dataclass(frozen=True)
class OnnxReport:
    """What an export made.

    Attributes:
        nodes: Number of nodes by operation.
        parameters: Numbers in the network's weights and biases, BatchNorm folded.
        mean_cosine: Mean cosine between ONNX Runtime's and PyTorch's embeddings.
        worst_cosine: The lowest of them.
        largest_difference: The largest difference of two values of embeddings of length 1.
        findings: What the Hailo parser would refuse.
    """

    opset: int
    nodes: dict[str, int]
    parameters: int
    mean_cosine: float
    worst_cosine: float
    largest_difference: float
    findings: tuple[LintFinding, ...]

    @property
    def hailo_compatible(self) -> bool:
        """Whether the lint found nothing."""
        return not self.findings


class _Shipped(nn.Module):
    """The network with the contract in front of it: uint8 NHWC in, normalisation inside."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, contract: Contract) -> None:
        super().__init__()
        self.network = network
        mean = torch.tensor(contract.mean).view(1, 3, 1, 1)
        std = torch.tensor(contract.std).view(1, 3, 1, 1)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 (1, S, S, 3) to float32 (1, D)."""
        pixels = image.to(torch.float32).permute(0, 3, 1, 2)
        embedding: Tensor = self.network(pixels * self.scale + self.shift)
        return embedding


def export_onnx(
    module: nn.Module, contract: Contract, path: Path, check_images: NDArray[np.uint8]
) -> OnnxReport:
    """Exports a trained network as the graph that ships.

    The graph takes ``image``, uint8 (1, S, S, 3), and gives ``embedding``, float32 (1, D), before
    the L2 norm. BatchNorm is folded, the batch is fixed, and the file appears only if ONNX
    Runtime agrees with PyTorch on ``check_images``.

    Args:
        module: Takes normalised float32 (N, 3, S, S), gives (N, D).
        contract: The preprocessing.
        path: The file to write.
        check_images: uint8 (N, S, S, 3).

    Raises:
        ExportError: The two runtimes disagree, or there is nothing to compare them on.
    """
    shipped = _Shipped(_folded(module), contract).eval()
    if not len(check_images):
        raise ExportError(f"{path.name}: no images to compare ONNX Runtime with PyTorch on")
    with atomic_file(path) as partial:
        _export(shipped, contract, partial)
        model = _simplified(partial)
        onnx.checker.check_model(model)
        partial.write_bytes(model.SerializeToString())
        exported = OnnxEmbedder(partial, contract).embed(check_images)
        reference = _reference(module, contract, check_images)
        cosines = (exported.astype(np.float64) * reference).sum(axis=1)
        if not cosines.mean() >= LEAST_COSINE:
            raise ExportError(
                f"{path.name}: ONNX Runtime and PyTorch disagree (mean cosine {cosines.mean():.6f} "
                f"on {len(cosines)} images, at least {LEAST_COSINE} expected); nothing was written"
            )
    return OnnxReport(
        opset=OPSET,
        nodes=dict(Counter(node.op_type for node in model.graph.node)),
        parameters=parameter_count(model),
        mean_cosine=float(cosines.mean()),
        worst_cosine=float(cosines.min()),
        largest_difference=float(np.abs(exported - reference).max()),
        findings=tuple(lint(model, contract)),
    )


def _folded(module: nn.Module) -> nn.Module:
    """A copy in which each BatchNorm behind a linear layer has become part of it."""
    network = copy.deepcopy(module).cpu().float().eval()
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for child in network.modules():
        if not isinstance(child, nn.Sequential):
            continue
        for place in range(len(child) - 1):
            linear, norm = child[place], child[place + 1]
            if isinstance(linear, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                child[place] = fuse_linear_bn_eval(linear, norm)
                child[place + 1] = nn.Identity()
    return network


def _export(shipped: nn.Module, contract: Contract, path: Path) -> None:
    example = torch.zeros((1, contract.size, contract.size, 3), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.inference_mode():
        # The newer exporter writes opset 18 and more, which the Hailo parser does not take.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            shipped,
            (example,),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=True,
        )


def _simplified(path: Path) -> onnx.ModelProto:
    import onnxslim

    simplified: Any = onnxslim.slim(onnx.load(path))
    model: onnx.ModelProto = simplified
    return model


def _reference(
    module: nn.Module, contract: Contract, images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """PyTorch's embeddings by the network as it was given, (N, D), rows of length 1.

    Nothing of the exported wrapper is used, so that a mistake in it or in a fold is noticed.
    """
    network = copy.deepcopy(module).cpu().float().eval()
    mean, std = (np.asarray(values, np.float32) for values in (contract.mean, contract.std))
    rows = []
    with torch.inference_mode():
        for image in images:
            planes = ((image / np.float32(255) - mean) / std).transpose(2, 0, 1)
            rows.append(network(torch.from_numpy(np.ascontiguousarray(planes)[None])).numpy())
    return l2_normalise(np.concatenate(rows))
