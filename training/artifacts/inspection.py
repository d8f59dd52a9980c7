"""What is inside a model's artifact: counted and read, never executed.

Of ``.safetensors`` only the header is read. ``.pth`` and its like are pickles, which can run code
when they are read, so PyTorch reads them with ``weights_only``, which takes tensors and plain
containers alone. Files of ours beside the weights (``config.json``, ``contract.json``,
``evaluation.json``, ``split.json``, ``model.onnx``) say what they say.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from registry.contract import Contract, ContractError
from registry.names import STUDENT
from registry.registration.facts import Fact, metric_facts, own_metrics, setting_facts, text_of
from registry.registration.retroactive import ArtifactFacts
from registry.untrusted.text import one_line
from training.artifacts.weight_shapes import Shape, ShapeFacts, Shapes, shape_facts

_JSON_LIMIT = 16 * 1024**2
_ONNX_LIMIT = 512 * 1024**2
#: Longer headers than a model of tens of thousands of tensors has.
_HEADER_LIMIT = 32 * 1024**2
_SAFE = (".safetensors",)
_PICKLED = (".pth", ".pt", ".bin", ".ckpt")
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}$")
#: What a checkpoint holds beside the model.
_NOT_THE_MODEL = re.compile(r"optim|sched|scaler|ema|loss|criterion", re.I)

#: A file's name, its length in bytes, its content.
File = tuple[str, int, IO[bytes]]


class InspectionError(ValueError):
    """An artifact that cannot be read, or says two things of itself; names file and cause."""


@dataclass(frozen=True)
class Inspection(ArtifactFacts):
    """What an artifact says.

    Attributes:
        contract: Its preprocessing, where that is there.
    """

    contract: Contract | None = None


def inspect(files: Iterable[File], model_type: str, weights: str = "") -> Inspection:
    """Reads an artifact's files, each once and in their order.

    Args:
        files: From :func:`registry.untrusted.archives.walk` or :func:`files_of`.
        model_type: ``teacher`` or ``student``: what it shall be.
        weights: Which file holds the model, where there are several.

    Raises:
        InspectionError: It holds no weights, several models, damaged files, or the other type.
        ArchiveError: The archive is damaged or must not be read.
    """
    documents: dict[str, Any] = {}
    models: dict[str, Shapes] = {}
    graph: tuple[Fact, ...] = ()
    for path, size, content in files:
        name = PurePosixPath(path).name
        suffix = PurePosixPath(path).suffix.lower()
        if name.startswith("."):
            continue
        if name in ("config.json", "contract.json", "evaluation.json", "split.json"):
            documents.setdefault(name, _json(name, size, content))
        elif suffix == ".onnx" and model_type == STUDENT:
            graph = _graph_facts(name, size, content)
        elif weights and path != weights and name != weights:
            continue
        elif suffix in _SAFE:
            models[path] = _safetensors_shapes(path, content)
        elif suffix in _PICKLED:
            models[path] = _pickled_shapes(path, content)
    found = _documents(documents, model_type)
    counted = _weight_facts(*_only_model(models, weights))
    if graph:
        # Folded and without what only training needs: the graph is what ships.
        counted = [fact for fact in counted if fact.key != "Parameters"]
    return replace(found, facts=(*found.facts, *graph), counted=tuple(counted))


def files_of(folder: Path) -> Iterator[File]:
    """A folder's files, as an archive of it would hold them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as content:
                yield path.relative_to(folder).as_posix(), path.stat().st_size, content


# --- documents


def _json(name: str, size: int, content: IO[bytes]) -> Any:
    if size > _JSON_LIMIT:
        raise InspectionError(f"{name}: has {size} bytes, more than {_JSON_LIMIT}")
    try:
        document = json.loads(content.read(_JSON_LIMIT))
    except (ValueError, RecursionError) as error:
        raise InspectionError(f"{name}: is no JSON ({error})") from None
    if not isinstance(document, dict):
        raise InspectionError(f"{name}: is no JSON object")
    return document


def _documents(documents: Mapping[str, Any], model_type: str) -> Inspection:
    found = Inspection()
    if "config.json" in documents:
        found = _configuration(documents["config.json"], model_type)
    facts = list(found.facts)
    contract = None
    if "contract.json" in documents:
        with suppress(ContractError):
            contract = Contract.from_dict(documents["contract.json"])
            facts += [
                Fact("EmbeddingDim", str(contract.embedding_dim), "contract.json"),
                Fact("InputSize", str(contract.size), "contract.json"),
            ]
    known = documents.get("split.json", {}).get("known")
    if isinstance(known, list):
        facts.append(Fact("NumClasses", str(len(known)), "split.json"))
    metrics = _evaluation(documents.get("evaluation.json", {}))
    facts += metric_facts(metrics, "evaluation.json:")
    return replace(found, facts=tuple(facts), metrics=metrics, contract=contract)


def _configuration(document: Mapping[str, Any], model_type: str) -> Inspection:
    """A configuration of ours in full, another's by the names that are known for its settings."""
    from training.config import ConfigError, TrainingConfig

    try:
        config = TrainingConfig.from_dict(document)
    except ConfigError:
        return Inspection(facts=tuple(setting_facts(document, "config.json:")))
    if config.model_type != model_type:
        raise InspectionError(f"config.json: is a {config.model_type}'s, not a {model_type}'s")
    from training.artifacts.model_archive import approach_text, architecture_text

    says = {
        "Architecture": architecture_text(config),
        "EmbeddingDim": str(config.embedding_dim),
        "InputSize": str(config.image_size),
        "Stage": config.stage,
        "TrainingApproach": approach_text(config),
        "Recipe": config.recipe,
        "Seed": str(config.seed),
    }
    facts = tuple(Fact(key, value, "config.json") for key, value in says.items())
    return Inspection(facts, architecture=config.architecture)


def _evaluation(document: Mapping[str, Any]) -> dict[str, float]:
    """Scalars of an evaluation; intervals, the figures of several frames and of artworks, and the
    part on validation views under flat names."""
    flat = _scalars(document)
    for group in ("three_frames", "artworks"):
        found = document.get(group)
        if isinstance(found, dict):
            flat |= {f"{group}_{name}": value for name, value in _scalars(found).items()}
    validation = document.get("validation")
    if isinstance(validation, dict):
        for name in ("top1", "top1_unseen"):
            flat[f"validation_{name}"] = validation.get(name)
    return own_metrics(flat)


def _scalars(document: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in document.items() if not isinstance(value, list | dict)}
    for name, value in document.items():
        if name.endswith("_interval") and isinstance(value, list) and len(value) == 2:
            stem = name.removesuffix("_interval")
            flat |= {f"{stem}_low": value[0], f"{stem}_high": value[1]}
    return flat


# --- weights


def _only_model(models: Mapping[str, Shapes], weights: str) -> tuple[str, ShapeFacts]:
    if not models:
        wanted = f"no {weights}" if weights else "no .safetensors, .pth, .pt, .bin or .ckpt"
        raise InspectionError(f"there is {wanted} in it, so nothing can be counted")
    safe = {path: shapes for path, shapes in models.items() if path.endswith(_SAFE)}
    shards: dict[str, dict[str, Shape]] = {}
    for path, shapes in (safe or models).items():
        stem = _SHARD.sub("", path.rpartition(".")[0])
        shards.setdefault(stem if _SHARD.search(path.rpartition(".")[0]) else path, {}).update(
            shapes
        )
    found = {path: shape_facts(shapes) for path, shapes in shards.items()}
    if len(set(found.values())) > 1:
        said = ", ".join(f"{path} ({each.parameters:,})" for path, each in found.items())
        raise InspectionError(
            f"it holds models of different numbers of parameters or shapes: {said}; "
            "name the one that ships: --weights FILE"
        )
    return next(iter(found.items()))


def _weight_facts(path: str, found: ShapeFacts) -> list[Fact]:
    says = {
        "Parameters": found.parameters,
        "EmbeddingDim": found.embedding_dim,
        "NumClasses": found.classes,
        "Normalization": found.normalization,
        "Architecture": found.architecture,
    }
    return [
        Fact(key, text_of(value), f"the weights in {path}")
        for key, value in says.items()
        if value is not None
    ]


def _safetensors_shapes(path: str, content: IO[bytes]) -> Shapes:
    """The header: its length in 8 bytes, then JSON (https://huggingface.co/docs/safetensors)."""
    prefix = content.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if not 2 <= length <= _HEADER_LIMIT:
        raise InspectionError(f"{path}: is no safetensors file, or its header is too long")
    try:
        header = json.loads(content.read(length))
        shapes = {
            name: tuple(int(side) for side in entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"][0] in "FB" and entry["dtype"] != "BOOL"
        }
        if not shapes or min((side for each in shapes.values() for side in each), default=1) < 1:
            raise ValueError("no weights in it")
        return shapes
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InspectionError(f"{path}: its safetensors header is damaged ({error})") from None


def _pickled_shapes(path: str, content: IO[bytes]) -> Shapes:
    import pickle

    import torch

    with tempfile.NamedTemporaryFile(prefix="cards-weights-", suffix=".pth") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        try:
            loaded = _load(torch, file.name)
        except pickle.UnpicklingError:
            raise InspectionError(
                f"{path}: holds more than tensors, and reading that could run code; save it with "
                "torch.save(model.state_dict()) or as safetensors"
            ) from None
        except Exception as error:  # of every kind, for a file that is none of its own
            cause = one_line(str(error))[:200]
            raise InspectionError(f"{path}: PyTorch cannot read it ({cause})") from None
        shapes = dict(_tensors(torch, loaded, ""))
    if not shapes:
        raise InspectionError(f"{path}: holds no tensors")
    return shapes


def _load(torch: Any, name: str) -> Any:
    """Maps the file instead of reading it; files older than PyTorch 1.6 cannot be mapped."""
    with warnings.catch_warnings():
        # About protocols that it may not know all of; what it does not know it refuses.
        warnings.simplefilter("ignore")
        try:
            return torch.load(name, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(name, map_location="cpu", weights_only=True)


def _tensors(torch: Any, value: Any, prefix: str) -> Iterator[tuple[str, Shape]]:
    """Floating-point tensors in nested dictionaries, without what is not the model."""
    if not isinstance(value, Mapping):
        return
    model = next((key for key in ("state_dict", "model_state_dict", "model") if key in value), None)
    if not prefix and model and isinstance(value[model], Mapping):
        value = value[model]
    for key, each in value.items():
        name = f"{prefix}{key}"
        if isinstance(each, torch.Tensor):
            if each.is_floating_point():
                yield name, tuple(each.shape)
        elif not prefix and _NOT_THE_MODEL.search(str(key)):
            continue
        else:
            yield from _tensors(torch, each, f"{name}.")


# --- the graph


def _graph_facts(name: str, size: int, content: IO[bytes]) -> tuple[Fact, ...]:
    import onnx
    from google.protobuf.message import DecodeError

    from export.graphs.graph import parameter_count
    from export.graphs.lint import lint

    if size > _ONNX_LIMIT:
        raise InspectionError(f"{name}: has {size} bytes, more than {_ONNX_LIMIT}")
    try:
        model = onnx.load_model_from_string(content.read(_ONNX_LIMIT))
        compatible = not lint(model)
        parameters = parameter_count(model)
    except (DecodeError, ValueError) as error:
        raise InspectionError(f"{name}: is no ONNX model ({error})") from None
    return (
        Fact("Parameters", str(parameters), f"the graph in {name}"),
        Fact("HailoCompatible", text_of(compatible), f"the lint of {name}"),
    )
