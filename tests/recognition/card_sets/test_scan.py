"""Images from outside: every form that is accepted, and every one that is not."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recognition.card_sets import scan
from recognition.card_sets.scan import ScanError, decode_image, load_scan, read_image_bytes
from registry.contract import Contract


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_rgb_keeps_its_pixels_and_channel_order() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (200, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (200, 10, 30, 255), (200, 10, 30)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 25700, (100, 100, 100)),
    ],
)
def test_other_pixel_formats_become_rgb(mode: str, colour: object, expected: object) -> None:
    pixels = decode_image(encoded(Image.new(mode, (40, 50), colour)))
    assert pixels.shape == (50, 40, 3) and pixels.dtype == np.uint8
    assert tuple(pixels[20, 20]) == expected


def test_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (20, 0, 40, 40))
    pixels = decode_image(encoded(image, transparency=0))
    assert tuple(pixels[5, 5]) == (255, 255, 255)
    assert tuple(pixels[5, 30]) == (200, 100, 50)


def test_cmyk_jpeg_becomes_rgb() -> None:
    content = encoded(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=95)
    red, green, blue = (int(value) for value in decode_image(content)[20, 20])
    assert red > 230 and green < 30 and blue < 30


def test_exif_orientation_is_honoured() -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.paste((255, 0, 0), (0, 0, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: to be turned a quarter clockwise
    pixels = decode_image(encoded(image, "JPEG", exif=exif, quality=95))
    assert pixels.shape == (60, 40, 3)
    assert pixels[10, 20, 1] < 60 and pixels[50, 20, 1] > 200


def header_only_png(width: int, height: int) -> bytes:
    """A PNG that promises much and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8000, 20_000, 100_000])
def test_pixel_bomb_is_refused_by_its_header(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(scan, "_to_rgb", never)
    with pytest.raises(ScanError, match="megapixels"):
        decode_image(header_only_png(side, side))


def test_broken_small_and_foreign_images_are_refused_in_one_line() -> None:
    whole = encoded(Image.effect_noise((200, 200), 80).convert("RGB"))
    cases = {
        "broken image": whole[: len(whole) // 2],
        "too few": encoded(Image.new("RGB", (200, 8))),
        "not a PNG": b"\xff\xd8 nonsense",
    }
    for words, content in cases.items():
        with pytest.raises(ScanError, match=words) as caught:
            decode_image(content)
        assert "\n" not in str(caught.value)
    # An EPS would start Ghostscript, so that only the listed formats may be opened at all.
    with pytest.raises(ScanError, match="not a PNG"):
        decode_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n")


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(ScanError, match="floating-point"):
        decode_image(encoded(Image.new("F", (40, 40), 0.5), "TIFF"))


@settings(deadline=None)
@given(content=st.binary(max_size=300), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"BM"]))
def test_arbitrary_bytes_only_ever_raise_scan_errors(content: bytes, head: bytes) -> None:
    with pytest.raises(ScanError):
        decode_image(head + content)


@settings(deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_damaged_byte_gives_an_image_or_a_scan_error(place: int, value: int) -> None:
    content = bytearray(encoded(Image.linear_gradient("L").convert("RGB").resize((48, 48))))
    content[place % len(content)] = value
    try:
        assert decode_image(bytes(content)).ndim == 3
    except ScanError as error:
        assert "\n" not in str(error)


def test_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "front.png")
    with pytest.raises(ScanError, match="not a regular file"):
        read_image_bytes(tmp_path / "front.png")


def test_empty_missing_and_huge_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(ScanError, match="empty file"):
        read_image_bytes(tmp_path / "empty.png")
    with pytest.raises(ScanError, match="cannot be read"):
        read_image_bytes(tmp_path / "none.png")
    monkeypatch.setattr(scan, "LARGEST_FILE_BYTES", 10)
    (tmp_path / "big.png").write_bytes(bytes(11))
    with pytest.raises(ScanError, match="over the limit"):
        read_image_bytes(tmp_path / "big.png")


def test_load_scan_stretches_with_area_interpolation(tmp_path: Path) -> None:
    # Area interpolation of a 2:1 reduction is the mean of each 2 x 2 block.
    pixels = np.random.default_rng(1).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    blocks = pixels.reshape(64, 2, 64, 2, 3).astype(float).mean(axis=(1, 3))
    loaded = load_scan(tmp_path / "a.png", Contract(size=64)).astype(float)
    assert np.abs(loaded - blocks).max() <= 1
    assert load_scan(tmp_path / "a.png", Contract(size=64), scale=2).shape == (128, 128, 3)
