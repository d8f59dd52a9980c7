"""What a file of initial weights is, by its bytes and its tensors' names. Imports no torch.

People bring checkpoints in several layouts, and files that are none: a web page that was saved in
place of the download, a Git-LFS pointer, an interrupted download. Both are known from the first
bytes, before a job is paid for. Nothing is unpickled here.

Example:
    >>> from training.checkpoint_files import layout_of
    >>> layout_of({"embeddings.patch_embeddings.weight", "layer.0.attention.q_proj.weight"})
    "transformers' DINOv3"
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

#: Endings that a job looks for in its channel.
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
#: As many bytes as :func:`file_format` needs.
HEAD_BYTES = 1024
#: Longer headers than a model of tens of thousands of tensors has.
HEADER_LIMIT = 32 * 1024**2

SAFETENSORS = "safetensors"
TORCH = "torch"

TIMM_VIT = "timm's ViT"
META_DINOV3 = "Meta's DINOv3"
HF_DINOV3 = "transformers' DINOv3"
HF_OTHER = "transformers' ViT or DINOv2"
TIMM_EFFICIENTNET = "timm's EfficientNet"
LITE_PYTORCH = "efficientnet_lite_pytorch's"
HF_EFFICIENTNET = "transformers' EfficientNet"
TORCHVISION = "torchvision's"
UNKNOWN = "unknown"

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}\.")
_AGAIN = "download the file itself again"
#: What is often found in place of a checkpoint: how it begins, what it is, the remedy.
_OTHERS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"version https://git-lfs",), "a Git-LFS pointer, not the file", "run git lfs pull"),
    (
        (b"<!doctype html", b"<html", b"<head", b"<!--"),
        "a web page (HTML) that was saved in its place",
        f"accept the licence or sign in, then {_AGAIN}",
    ),
    ((b"<?xml", b"<error"), "a server's answer (XML), often a refusal", _AGAIN),
    ((b"{", b"["), "text (JSON), an index or a server's answer", _AGAIN),
    ((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf"), "an archive", "unpack it"),
    ((b"GGUF",), "a GGUF file", "give the PyTorch or safetensors file"),
    ((b"\x89HDF",), "an HDF5 file (Keras)", "give the PyTorch or safetensors file"),
    ((b"\x93NUMPY",), "a NumPy array", "give the PyTorch or safetensors file"),
)


class CheckpointError(ValueError):
    """A file of initial weights that cannot be used; names it, the cause and the remedy."""


def file_format(name: str, head: bytes, size: int) -> str:
    """Tells what a file is by its first bytes; its ending is not looked at.

    Args:
        name: For messages.
        head: Its first :data:`HEAD_BYTES` bytes, or all where there are fewer.
        size: Its length in bytes.

    Returns:
        ``safetensors`` or ``torch``.

    Raises:
        CheckpointError: It is neither.
    """
    if size == 0:
        raise CheckpointError(f"{name}: is empty; {_AGAIN}")
    if _SHARD.search(name):
        raise CheckpointError(
            f"{name}: is one part of several; join them into one .safetensors file first"
        )
    if len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= HEADER_LIMIT:
        return SAFETENSORS
    if head.startswith(b"PK\x03\x04") or _PICKLE.match(head):
        return TORCH
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    plain = head.decode("utf-16", "ignore").encode() if utf16 else head
    text = plain.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for begins, described, remedy in _OTHERS:
        if head.startswith(begins) or text.startswith(begins):
            raise CheckpointError(f"{name}: is {described}; {remedy}")
    if words := _text(head):
        raise CheckpointError(f"{name}: is text ({words!r}), often a server's answer; {_AGAIN}")
    raise CheckpointError(f"{name}: is neither a safetensors nor a PyTorch file; {_AGAIN}")


def _text(head: bytes) -> str:
    """How a file begins that is plain text; empty for any other."""
    try:
        words = head[:60].decode("ascii").split()
    except UnicodeDecodeError:
        return ""
    begin = " ".join(words)
    return begin if begin.isprintable() else ""


def safetensors_shapes(
    name: str, size: int, read: Callable[[int, int], bytes]
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file, from its header alone.

    Args:
        name: For messages.
        size: The file's length in bytes.
        read: Gives so many bytes from an offset.

    Raises:
        CheckpointError: The header is damaged, or the file ends too early.
    """
    damaged = CheckpointError(f"{name}: its safetensors header is damaged; {_AGAIN}")
    first = read(0, 8)
    length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
    if not 2 <= length <= HEADER_LIMIT:
        raise damaged
    if 8 + length > size:
        raise _cut_short(name, size, 8 + length)
    shapes: dict[str, tuple[int, ...]] = {}
    end = 0
    try:
        header: Any = json.loads(read(8, length))
        for tensor, entry in header.items():
            if tensor == "__metadata__":
                continue
            shapes[tensor] = tuple(int(side) for side in entry["shape"])
            end = max(end, int(entry["data_offsets"][1]))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise damaged from None
    if any(side < 0 for shape in shapes.values() for side in shape):
        raise damaged
    if 8 + length + end > size:
        raise _cut_short(name, size, 8 + length + end)
    return shapes


def check_file(file: Path) -> str:
    """Tells what a local file is; a ZIP must be one that PyTorch wrote.

    Returns:
        ``safetensors`` or ``torch``.

    Raises:
        CheckpointError: It is neither, is damaged, or cannot be read.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise CheckpointError(f"{file.name}: cannot be read ({error.strerror})") from None
    found = file_format(file.name, head, size)
    if head.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(file) as archive:
                members, fault = archive.namelist(), packed_fault(archive)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            raise CheckpointError(
                f"{file.name}: begins as a PyTorch file and is damaged or cut short; {_AGAIN}"
            ) from None
        if not any(member.endswith("data.pkl") for member in members):
            raise CheckpointError(f"{file.name}: is a ZIP archive, not a checkpoint; unpack it")
        if fault:
            raise CheckpointError(f"{file.name}: {fault}; save its state dictionary with PyTorch")
        if any(member.endswith("constants.pkl") for member in members):
            raise CheckpointError(
                f"{file.name}: is a TorchScript program; give its state dictionary instead"
            )
    return found


def packed_fault(archive: zipfile.ZipFile) -> str:
    """What PyTorch has not written in a file of its own; empty where there is nothing of the kind.

    PyTorch compresses nothing, and reads what is compressed whatever it unpacks to.
    """
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        return "has compressed members, which PyTorch does not write"
    # Members that share their bytes would unpack to more than the file has.
    if sum(member.file_size for member in members) > archive_size(archive):
        return "promises more bytes than it has"
    return ""


def archive_size(archive: zipfile.ZipFile) -> int:
    """The length in bytes of the file that an archive was opened from."""
    stream = archive.fp
    assert stream is not None
    return stream.seek(0, io.SEEK_END)


def layout_of(names: Iterable[str]) -> str:
    """Whose names the tensors have, whatever stands before them; ``unknown`` for others."""
    text = "\n".join(names)
    for pattern, layout in _LAYOUTS:
        if re.search(pattern, text, re.M):
            return layout
    return UNKNOWN


#: In this order: the first that is found.
_LAYOUTS = (
    (r"\blayer\.\d+\.attention\.q_proj\.weight", HF_DINOV3),
    (r"\bembeddings\.patch_embeddings\.", HF_OTHER),
    (r"\bembeddings\.convolution\.weight", HF_EFFICIENTNET),
    (r"\bstorage_tokens\b|\bblocks\.\d+\.ls1\.gamma", META_DINOV3),
    (r"\bpatch_embed\.proj\.weight", TIMM_VIT),
    (r"(^|\.)_conv_stem\.weight", LITE_PYTORCH),
    (r"\bconv_stem\.weight", TIMM_EFFICIENTNET),
    (r"\bconv_proj\.weight|\bfeatures\.0\.0\.weight|^layer1\.0\.conv1\.weight", TORCHVISION),
)


def _cut_short(name: str, size: int, needed: int) -> CheckpointError:
    return CheckpointError(f"{name}: is cut short: has {size} bytes of {needed}; {_AGAIN}")
