"""Graphs that are derived from the shipped one compute what it computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, helper

from export.compiler import CompileError
from export.graphs.batch_graph import write_batch_graph
from export.graphs.graph import batched, network, prologue
from export.graphs.lint import lint
from tests.export.conftest import Exported
from tests.export.student import changed, normalised


@pytest.fixture
def shipped(exported: Exported) -> ModelProto:
    return onnx.load(exported.model)


def ran(model: ModelProto, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {model.graph.input[0].name: values})[0])


def test_network_alone_takes_what_the_preparation_gives(
    exported: Exported, shipped: ModelProto
) -> None:
    cut = network(shipped)
    image = exported.views[:1]
    prepared = normalised(image, exported.contract).numpy()
    np.testing.assert_allclose(ran(cut, prepared), ran(shipped, image), atol=1e-4)
    (taken,) = cut.graph.input
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [dim.dim_value for dim in taken.type.tensor_type.shape.dim] == [1, 3, 32, 32]
    assert prologue(cut) == [] and lint(cut) == []
    assert cut.graph.output == shipped.graph.output
    # The contract's mean and deviation are not in it: the chip has them from the contract.
    used = {name for node in cut.graph.node for name in node.input}
    assert {tensor.name for tensor in cut.graph.initializer} <= used


def test_deriving_changes_nothing_of_the_shipped_graph(shipped: ModelProto) -> None:
    before = shipped.SerializeToString()
    network(shipped)
    batched(shipped)
    assert shipped.SerializeToString() == before


def test_graph_without_a_network_cannot_be_cut(shipped: ModelProto) -> None:
    del shipped.graph.node[4:]
    with pytest.raises(ValueError, match="takes 0 images"):
        network(shipped)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_twin_gives_for_a_batch_what_the_graph_gives_for_each(
    exported: Exported, shipped: ModelProto, count: int
) -> None:
    images = exported.views[:count]
    together = ran(batched(shipped), images)
    singly = np.concatenate([ran(shipped, image[None]) for image in images])
    assert together.shape == (count, 768)
    np.testing.assert_allclose(together, singly, rtol=1e-3, atol=1e-4)


def test_written_in_batch_is_named(shipped: ModelProto) -> None:
    shipped.graph.initializer.append(
        helper.make_tensor("shape", onnx.TensorProto.INT64, [2], [1, 768])
    )
    last = shipped.graph.output[0].name
    shipped.graph.node.append(helper.make_node("Reshape", [last, "shape"], ["flat"], name="late"))
    shipped.graph.output[0].name = "flat"
    with pytest.raises(ValueError, match="late: Reshape fixes the batch"):
        batched(shipped)


def test_twin_is_written_once_it_agrees(exported: Exported, tmp_path: Path) -> None:
    path = write_batch_graph(onnx.load(exported.model), exported.views[:3], tmp_path / "twin.onnx")
    assert ran(onnx.load(path), exported.views[:5]).shape == (5, 768)


def test_graph_whose_batch_is_mixed_up_is_not_written(exported: Exported, tmp_path: Path) -> None:
    """A transposition that one image hides: (1, 768) and back."""

    def mixed(model: ModelProto) -> None:
        name = model.graph.output[0].name
        model.graph.node[-1].output[0] = "straight"
        model.graph.initializer.append(helper.make_tensor("zero", onnx.TensorProto.INT64, [1], [0]))
        model.graph.node.extend(
            [
                helper.make_node("ReduceMean", ["straight"], ["mean"], axes=[0], name="mean"),
                helper.make_node("Sub", ["straight", "mean"], ["off"], name="off"),
                helper.make_node("Add", ["off", "mean"], ["sum"], name="sum"),
                helper.make_node("ReduceMax", ["sum"], [name], axes=[0], name="max"),
            ]
        )

    graph = onnx.load_from_string(changed(exported.model.read_bytes(), mixed))
    with pytest.raises(CompileError, match="a batch of 3 differs"):
        write_batch_graph(graph, exported.views[:3], tmp_path / "twin.onnx")
    assert list(tmp_path.iterdir()) == []
