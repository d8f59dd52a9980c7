"""The exported graph is the trained network, whatever is in front of it and folded into it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from export.graphs import onnx_export
from export.graphs.onnx_export import ExportError, export_onnx
from recognition.onnx_model import OnnxEmbedder
from tests.export.conftest import Exported
from tests.export.student import SmallStudent, embedded


def test_onnx_runtime_agrees_with_the_original_network(exported: Exported) -> None:
    theirs = OnnxEmbedder(exported.model, exported.contract).embed(exported.views)
    ours = embedded(exported.student, exported.contract, exported.views)
    assert (theirs * ours).sum(axis=1).min() > 0.99999
    assert np.std(ours @ ours.T) > 0.05, "the student tells nothing apart, so nothing was compared"


def test_graph_is_the_contract_s(exported: Exported) -> None:
    model = onnx.load(exported.model)
    (taken,), (given,) = model.graph.input, model.graph.output
    shape = [dim.dim_value for dim in taken.type.tensor_type.shape.dim]
    assert (taken.name, shape) == ("image", [1, 32, 32, 3])
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [dim.dim_value for dim in given.type.tensor_type.shape.dim] == [1, 768]
    assert (given.name, given.type.tensor_type.elem_type) == ("embedding", onnx.TensorProto.FLOAT)
    assert [opset.version for opset in model.opset_import] == [17] == [exported.report.opset]
    names = [node.name for node in model.graph.node]
    assert all(names) and len(set(names)) == len(names), "compilers go by the nodes' names"


def test_batchnorm_is_folded_and_the_rest_is_as_reported(exported: Exported) -> None:
    model = onnx.load(exported.model)
    counted: dict[str, int] = {}
    for node in model.graph.node:
        counted[node.op_type] = counted.get(node.op_type, 0) + 1
    assert "BatchNormalization" not in counted
    assert counted["Conv"] == 3 and counted["Gemm"] == 1
    assert exported.report.nodes == counted


def test_mistake_11_parameters_are_counted_from_what_ships(exported: Exported) -> None:
    convolutions = 3 * 16 * 9 + 16 * 32 * 9 + 32 * 64 * 9
    biases = 16 + 32 + 64
    linear = 256 * 768 + 768
    assert exported.report.parameters == convolutions + biases + linear


def test_report_measures_the_agreement(exported: Exported) -> None:
    report = exported.report
    assert report.hailo_compatible and report.findings == ()
    assert 0.99999 < report.worst_cosine <= report.mean_cosine <= 1.00001
    assert 0 <= report.largest_difference < 1e-3


def test_module_is_left_as_it_was(exported: Exported, tmp_path: Path) -> None:
    student = exported.student
    before = {name: value.clone() for name, value in student.state_dict().items()}
    student.train()
    try:
        export_onnx(student, exported.contract, tmp_path / "model.onnx", exported.views[:2])
        assert student.training
    finally:
        student.eval()
    after = student.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_two_exports_are_the_same_file(exported: Exported, tmp_path: Path) -> None:
    again = tmp_path / "model.onnx"
    export_onnx(exported.student, exported.contract, again, exported.views[:2])
    assert again.read_bytes() == exported.model.read_bytes()


class _RandomlyWrong(nn.Module):
    """Answers otherwise after it was copied and exported: what a bad fold would look like."""

    def __init__(self, student: SmallStudent) -> None:
        super().__init__()
        self.student = student

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        embeddings: torch.Tensor = self.student(images)
        if torch.onnx.is_in_onnx_export():
            return embeddings.flip(1)
        return embeddings


def test_graph_that_disagrees_is_not_written(exported: Exported, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match="disagree"):
        export_onnx(_RandomlyWrong(exported.student), exported.contract, path, exported.views[:4])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["channels", "scale", "fold"])
def test_mistake_of_the_export_itself_is_noticed(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The comparison is with the given network, normalised apart from the export's own wrapper."""
    if fault == "fold":

        def folded(module: nn.Module) -> nn.Module:
            network = onnx_export.copy.deepcopy(module).eval()
            network.projection[1] = nn.Identity()  # type: ignore[index, union-attr]
            return network

        monkeypatch.setattr(onnx_export, "_folded", folded)
    else:
        right = onnx_export._Shipped.forward

        def forward(self: nn.Module, image: torch.Tensor) -> torch.Tensor:
            if fault == "channels":
                return right(self, image.flip(-1))  # type: ignore[arg-type]
            return self.network(image.to(torch.float32).permute(0, 3, 1, 2) / 255)  # type: ignore

        monkeypatch.setattr(onnx_export._Shipped, "forward", forward)
    with pytest.raises(ExportError, match="disagree"):
        export_onnx(
            exported.student, exported.contract, tmp_path / "model.onnx", exported.views[:4]
        )
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_something_to_compare_with(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no images"):
        export_onnx(exported.student, exported.contract, tmp_path / "m.onnx", exported.views[:0])
    assert list(tmp_path.iterdir()) == []


def test_graph_for_no_chip_is_exported_with_its_findings(
    exported: Exported, tmp_path: Path
) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 768), nn.GELU())
    report = export_onnx(network, exported.contract, tmp_path / "model.onnx", exported.views[:2])
    assert not report.hailo_compatible
    assert any("GELU" in finding.remedy for finding in report.findings)
