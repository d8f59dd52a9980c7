"""Artifacts of ours, of others, and of people who mean harm."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors.torch import save

from registry.registration.retroactive import ArtifactFacts
from registry.untrusted.archives import ArchiveError, walk
from tests.properties import examples
from training.artifacts.inspection import InspectionError, files_of, inspect
from training.models.networks import build_model, parameter_count
from training.recipe import resolve

MODEL = {"backbone.conv.weight": torch.zeros(4, 3, 2, 2), "head.weight": torch.zeros(5, 4)}
COUNT = str(4 * 3 * 2 * 2 + 5 * 4)


def packed(files: Mapping[str, bytes]) -> io.BytesIO:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    body.seek(0)
    return body


def look(
    files: Mapping[str, bytes], model_type: str = "teacher", weights: str = ""
) -> ArtifactFacts:
    return inspect(walk(packed(files)), model_type, weights)


def checkpoint(content: object) -> bytes:
    body = io.BytesIO()
    torch.save(content, body)
    return body.getvalue()


def said(found: ArtifactFacts) -> dict[str, str]:
    return {fact.key: fact.value for fact in (*found.facts, *found.counted)}


def document(**values: object) -> bytes:
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    "files",
    [
        {"./model.safetensors": save(MODEL)},
        {"best.pth": checkpoint(MODEL)},
        {"best.pt": checkpoint({"state_dict": MODEL, "optimizer": {"state": MODEL}, "epoch": 3})},
        {"best.ckpt": checkpoint({"model": MODEL, "ema": MODEL, "args": {"lr": 0.1}})},
        {"best.bin": checkpoint({"backbone": {"w": torch.zeros(48)}, "head": {"w": torch.zeros(20)},
                                 "scheduler": {"w": torch.zeros(9)}})},
        {"a/model.safetensors": save(MODEL), "a/training_state.pth": checkpoint({"x": MODEL})},
        {"m-00001-of-00002.safetensors": save({"a": torch.zeros(48)}),
         "m-00002-of-00002.safetensors": save({"b": torch.zeros(20)})},
    ],
    ids=lambda files: "+".join(files),
)  # fmt: skip
def test_parameters_are_counted_in_the_model_alone(files: dict[str, bytes]) -> None:
    assert said(look(files))["Parameters"] == COUNT


def test_inspect_pickle_with_code_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return Path.write_text, (str(tmp_path / "ran"), "x")

    body = checkpoint({"model": MODEL, "x": Harm()})
    with pytest.raises(InspectionError, match="could run code"):
        look({"best.pth": body})
    with pytest.raises(InspectionError):
        look({"best.pth": pickle.dumps(Harm())})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "nothing can be counted"),
        ({"notes.txt": b"x"}, "nothing can be counted"),
        ({"m.safetensors": b""}, "no safetensors file"),
        ({"m.safetensors": struct.pack("<Q", 2**60)}, "no safetensors file"),
        ({"m.safetensors": struct.pack("<Q", 4) + b"{}{}"}, "damaged"),
        ({"m.safetensors": struct.pack("<Q", 2) + b"{}"}, "no weights in it"),
        ({"m.safetensors": struct.pack("<Q", 2) + b"[]"}, "damaged"),
        ({"m.pth": b"PK\x03\x04 not one"}, "m.pth"),
        ({"m.pth": checkpoint({"epoch": 3})}, "no tensors"),
        ({"m.pth": checkpoint([1])}, "no tensors"),
        ({"m.safetensors": save(MODEL), "config.json": b"["}, "config.json: is no JSON"),
        ({"m.safetensors": save(MODEL), "config.json": b"[]"}, "config.json: is no JSON object"),
        ({"a.pth": checkpoint(MODEL), "b.pth": checkpoint({"w": torch.zeros(1)})}, "--weights"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else value,
)
def test_inspect_unreadable_file_is_named(files: dict[str, bytes], words: str) -> None:
    with pytest.raises(InspectionError) as refused:
        look(files)
    assert words in str(refused.value)


@given(st.binary(max_size=200))
@settings(max_examples=examples(50))
def test_inspect_arbitrary_bytes_raises_inspection_error(content: bytes) -> None:
    for name in ("m.safetensors", "m.pth"):
        with pytest.raises(InspectionError):
            look({name: content})
    with pytest.raises(ArchiveError):
        inspect(walk(io.BytesIO(content)), "teacher")


def test_of_several_models_the_named_one_is_counted() -> None:
    files = {"a.pth": checkpoint(MODEL), "b.pth": checkpoint({"w": torch.zeros(1)})}
    assert said(look(files, weights="a.pth"))["Parameters"] == COUNT
    with pytest.raises(InspectionError, match=r"no c\.pth"):
        look(files, weights="c.pth")


def test_archive_member_outside_the_folder_is_refused() -> None:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        member = tarfile.TarInfo("m.safetensors")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    body.seek(0)
    with pytest.raises(ArchiveError, match="link"):
        inspect(walk(body), "teacher")
    with pytest.raises(ArchiveError, match="outside"):
        look({"../m.safetensors": save(MODEL)})


def test_archive_beyond_the_size_limit_is_refused() -> None:
    body = packed({"m.safetensors": save(MODEL), "zeros": bytes(10_000)})
    with pytest.raises(ArchiveError, match="more than 5000 bytes"):
        inspect(walk(body, limit_bytes=5000), "teacher")


def test_inspect_reads_own_files_beside_the_weights() -> None:
    config = resolve("tiny", "teacher", "phase2", {})
    model = build_model(config)
    found = look(
        {
            "model.safetensors": save(model.state_dict()),
            "config.json": json.dumps(config.to_dict()).encode(),
            "contract.json": json.dumps(config.contract.to_dict()).encode(),
            "split.json": document(known=["a", "b", "c"]),
            "evaluation.json": document(
                top1=0.5, top1_interval=[0.4, 0.6], queries=24, validation={"top1": 0.25}
            ),
        }
    )
    says = said(found)
    assert found.architecture == "vit-tiny"
    assert says["Architecture"].startswith("ViT patch 8"), "the shapes' word comes last"
    assert found.facts[0].value.startswith("vit_small_patch16_dinov3 (patch 8")
    assert (says["EmbeddingDim"], says["NumClasses"], says["InputSize"]) == ("768", "3", "32")
    assert says["Parameters"] == str(parameter_count(model))
    assert (says["Top1"], says["ValidationTop1"], says["Queries"]) == ("0.5", "0.25", "24")
    assert found.metrics["top1_low"] == 0.4
    with pytest.raises(InspectionError, match="is a teacher's, not a student's"):
        look({"m.safetensors": save(MODEL), "config.json": document(**config.to_dict())}, "student")


def test_inspect_foreign_configuration_reads_known_keys() -> None:
    says = said(look({"m.safetensors": save(MODEL),
                      "config.json": document(backbone="vit_large_patch16_dinov3", lr=1,
                                              num_classes=17592, nested={"a": 1})}))  # fmt: skip
    assert (says["Architecture"], says["NumClasses"]) == ("vit_large_patch16_dinov3", "17592")


def graph(operation: str) -> bytes:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [0.0] * 6)
    sides = ([1, 3, 1, 1], [1, 2])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, side)
        for name, side in zip(("x", "y"), sides, strict=True)
    ]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "w"], ["z"], name="gemm", transB=1),
        helper.make_node(operation, ["z"], ["y"], name="last"),
    ]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    return bytes(onnx.ModelProto.SerializeToString(model))


@pytest.mark.parametrize(("operation", "compatible"), [("Relu", "true"), ("Erf", "false")])
def test_of_a_student_the_graph_that_ships_is_counted_and_linted(
    operation: str, compatible: str
) -> None:
    files = {"m.safetensors": save(MODEL), "model.onnx": graph(operation)}
    says = said(look(files, "student"))
    assert (says["Parameters"], says["HailoCompatible"]) == ("6", compatible)
    assert said(look(files, "teacher"))["Parameters"] == COUNT
    with pytest.raises(InspectionError, match="no ONNX model"):
        look({**files, "model.onnx": b"\xff\xff\xff"}, "student")


def test_inspect_folder_and_archive_agree(tmp_path: Path) -> None:
    files = {"a/model.safetensors": save(MODEL), "config.json": document(num_classes=5)}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    outside = tmp_path.with_name("outside.safetensors")
    outside.write_bytes(save({"another": torch.zeros(1)}))
    (tmp_path / "link.safetensors").symlink_to(outside)
    assert inspect(files_of(tmp_path), "teacher") == look(files)
