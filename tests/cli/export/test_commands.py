"""``cards export``: what a person learns of a graph, and the graphs made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from registry.contract import Contract
from tests.cli.command import cards, refused
from tests.export.student import changed, random_student


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from export.graphs.onnx_export import export_onnx

    contract = Contract(size=32, embedding_dim=768)
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_onnx(random_student(contract, images), contract, path, images)
    path.with_name("contract.json").write_text(json.dumps(contract.to_dict()))
    return path


def gelu(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Clip")
    node.op_type = "Erf"
    del node.input[1:]


def test_valid_graph_is_accepted(graph: Path) -> None:
    done = cards("export", "lint", str(graph), "--contract", str(graph.with_name("contract.json")))
    assert done.code == 0
    assert "opset 17, 13 nodes, 220,960 parameters" in done.out
    assert done.out.splitlines()[-1] == "nothing that the Hailo parser is expected to refuse"


def test_refused_graph_is_reported_with_a_remedy_and_a_code(graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "gelu.onnx"
    path.write_bytes(changed(graph.read_bytes(), gelu))
    done = cards("export", "lint", str(path))
    assert done.code == 1
    assert "operation Erf; GELU is not taken: train with ReLU or ReLU6" in done.out
    machine = cards("export", "lint", str(path), "--json")
    assert machine.code == 1
    (finding,) = machine.json["findings"]
    assert finding["cause"] == "operation Erf" and machine.json["opset"] == 17


def test_invalid_graph_is_reported_with_its_remedy(graph: Path, tmp_path: Path) -> None:
    onnx.save(
        onnx.load(graph),
        tmp_path / "apart.onnx",
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    apart = cards("export", "lint", str(tmp_path / "apart.onnx"))
    assert apart.code == 1
    assert "its values lie in another file; save one file with all" in apart.out
    short = onnx.load(graph)
    weight = next(each for each in short.graph.initializer if each.raw_data and each.dims)
    weight.raw_data = weight.raw_data[:-4]
    (tmp_path / "short.onnx").write_bytes(short.SerializeToString())
    done = cards("export", "lint", str(tmp_path / "short.onnx"))
    assert done.code == 1 and "not as many as its shape says; export it again" in done.out
    unsound = onnx.load(graph)
    unsound.graph.node[-1].input[0] = "nowhere"
    (tmp_path / "unsound.onnx").write_bytes(unsound.SerializeToString())
    refused(cards("export", "lint", str(tmp_path / "unsound.onnx")), "is no ONNX graph")


def test_graph_of_another_contract_is_refused(graph: Path, tmp_path: Path) -> None:
    contract = tmp_path / "contract.json"
    contract.write_text(json.dumps(Contract(size=64, embedding_dim=512).to_dict()))
    done = cards("export", "lint", str(graph), "--contract", str(contract))
    assert done.code == 1
    assert "image: uint8 [1, 32, 32, 3]; the contract says uint8 [1, 64, 64, 3]" in done.out
    assert "embedding: float [1, 768]; the contract says float [1, 512]" in done.out


def test_exported_graphs_are_written(graph: Path, tmp_path: Path) -> None:
    for word in ("network", "batch"):
        out = tmp_path / f"{word}.onnx"
        done = cards("export", word, str(graph), "--out", str(out))
        assert (done.code, done.out.strip()) == (0, str(out))
    taken = onnxruntime.InferenceSession(str(tmp_path / "network.onnx")).get_inputs()[0]
    assert (taken.type, taken.shape) == ("tensor(float)", [1, 3, 32, 32])
    twin = onnxruntime.InferenceSession(str(tmp_path / "batch.onnx"))
    images = np.zeros((3, 32, 32, 3), np.uint8)
    assert twin.run(None, {"image": images})[0].shape == (3, 768)


@pytest.mark.parametrize("word", ["lint", "network", "batch"])
def test_file_that_is_no_graph_is_refused(tmp_path: Path, word: str) -> None:
    out = () if word == "lint" else ("--out", str(tmp_path / "out.onnx"))
    text = tmp_path / "x.onnx"
    for content in (b"not a graph", b"", b"\xff" * 500):
        text.write_bytes(content)
        refused(cards("export", word, str(text), *out), str(text), "is no ONNX graph")
    refused(cards("export", word, str(tmp_path / "none.onnx"), *out), "cannot be read")
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]


def test_unwritable_output_is_refused(graph: Path) -> None:
    refused(
        cards("export", "batch", str(graph), "--out", "/proc/b.onnx"), "/proc/b.onnx", "written"
    )
