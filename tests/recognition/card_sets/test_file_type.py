"""Types by first bytes, and text of a PNG that is left out before its pixels are decoded."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from recognition.card_sets import scan
from recognition.card_sets.file_type import HEAD_BYTES, file_type
from recognition.card_sets.scan import ScanError, decode_image, why_no_scan

PICTURE = Image.fromarray(
    np.random.default_rng(3).integers(0, 256, (64, 46, 3), dtype=np.uint8).repeat(2, axis=0)
)


def encoded(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes, late: bool = False) -> bytes:
    """A PNG with more chunks, before its pixels or after them."""
    content = encoded("PNG")
    place = len(content) - 12 if late else 33
    return content[:place] + b"".join(chunks) + content[place:]


def box(major: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + major + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + bytes(200)


LARGE = b"x" * (3 * 2**20)
TEXTS = {
    "tEXt": chunk(b"tEXt", b"workflow\0" + LARGE),
    "zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(LARGE)),
    "iTXt": chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(LARGE)),
    "iTXt, plain": chunk(b"iTXt", b"workflow\0\0\0\0\0" + LARGE),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(LARGE)),
}


@pytest.mark.parametrize("late", [False, True], ids=["before the pixels", "after them"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_png_with_large_text_or_profile_has_its_pixels(text: bytes, late: bool) -> None:
    np.testing.assert_array_equal(decode_image(png_with(text, late=late)), PICTURE)


def test_many_texts_of_a_png_are_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    # 100 texts of 3 MiB: more than Pillow takes in all.
    def never(*_: object) -> None:
        raise AssertionError("a text was decompressed")

    content = png_with(*[TEXTS["zTXt"], TEXTS["iTXt"], TEXTS["iCCP"]] * 34)
    monkeypatch.setattr(PngImagePlugin, "_safe_zlib_decompress", never)
    np.testing.assert_array_equal(decode_image(content), PICTURE)


XMP = b'<x tiff:Orientation="6"/>'


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP + LARGE),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
    ],
    ids=["plain", "plain and large", "compressed"],
)
def test_orientation_in_xmp_is_honoured_beside_large_text(text: bytes) -> None:
    upright = decode_image(png_with(TEXTS["zTXt"], text))
    np.testing.assert_array_equal(upright, np.rot90(np.asarray(PICTURE), -1))


def test_orientation_as_imagemagick_writes_it_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    profile = b"\nexif\n%8d\n" % len(raw) + raw.hex().encode() + b"\n"
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    upright = decode_image(png_with(text))
    np.testing.assert_array_equal(upright, np.rot90(np.asarray(PICTURE), -1))


def test_compressed_xmp_over_the_limit_is_named_with_its_remedy() -> None:
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP + LARGE))
    with pytest.raises(ScanError, match=r"XMP.*1 MiB.*without metadata"):
        decode_image(png_with(text))


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_pixels_are_read_whatever_the_name(form: str, tmp_path: Path) -> None:
    content = encoded(form)
    pixels = decode_image(content).astype(int)
    assert np.abs(pixels - np.asarray(PICTURE)).mean() < 60
    for name in ("front", "front.dat", "front.jfif", "front.jpe", "front.png"):
        (tmp_path / name).write_bytes(content)
        assert why_no_scan(tmp_path / name) is None


@pytest.mark.parametrize("form", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_first_picture_of_an_animation_counts(form: str) -> None:
    frames = [Image.new("RGB", (50, 40), colour) for colour in ("red", "blue", "green")]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    red, green, blue = decode_image(buffer.getvalue())[20, 20]
    assert red > 230 and green < 30 and blue < 30


def test_transparent_gif_is_laid_on_white() -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    buffer = io.BytesIO()
    image.save(buffer, "GIF", transparency=0)
    assert tuple(decode_image(buffer.getvalue())[5, 5]) == (255, 255, 255)


def test_gif_that_promises_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_to_rgb", lambda _: pytest.fail("a pixel was decoded"))
    for size in ((20_000, 20_000), (60_000, 900)):
        content = bytearray(encoded("GIF"))
        content[6:10] = struct.pack("<HH", *size)
        with pytest.raises(ScanError, match="megapixels"):
            decode_image(bytes(content))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_pixels_over_the_limit_are_not_decoded(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(form)
    monkeypatch.setattr(scan, "_to_rgb", lambda _: pytest.fail("a pixel was decoded"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("a pixel was decoded"))
    monkeypatch.setattr(scan, "LARGEST_PIXELS", PICTURE.width * PICTURE.height - 1)
    with pytest.raises(ScanError, match="megapixels"):
        decode_image(content)


def raw_tiff(**tags: object) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[int(tag.removeprefix("tag_"))] = value
    return encoded("TIFF", tiffinfo=directory)


def tiff(bits: int, form: int, planes: int = 3) -> bytes:
    """A black TIFF of 40 x 40, its first image's tags before its pixels."""
    side, head = 40, 8 + 2 + 12 * 10 + 4
    size = side * side * planes * bits // 8
    long = planes > 2  # such lists do not fit into a tag
    lists = 2 * 2 * planes if long else 0
    tags = struct.pack("<HHII", 256, 3, 1, side) + struct.pack("<HHII", 257, 3, 1, side)
    tags += struct.pack("<HHII", 258, 3, planes, head if long else bits)
    tags += struct.pack("<HHII", 259, 3, 1, 1) + struct.pack("<HHII", 262, 3, 1, 2 if long else 1)
    tags += struct.pack("<HHII", 273, 4, 1, head + lists) + struct.pack("<HHII", 277, 3, 1, planes)
    tags += struct.pack("<HHII", 278, 3, 1, side) + struct.pack("<HHII", 279, 4, 1, size)
    tags += struct.pack("<HHII", 339, 3, planes, head + 2 * planes if long else form)
    values = struct.pack(f"<{2 * planes}H", *[bits] * planes, *[form] * planes) if long else b""
    return b"II*\0" + struct.pack("<IH", 8, 10) + tags + bytes(4) + values + bytes(size)


def targa(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "TGA", **options)
    return buffer.getvalue()


NOT_READ = {
    "HEIC": (box(b"heic", b"mif1", b"heic"), "HEIC.*Most Compatible"),
    "HEIC, general brand": (box(b"mif1", b"mif1", b"heic"), "HEIC.*PNG or JPEG"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "JPEG XL.*PNG or JPEG"),
    "JPEG 2000": (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(9), "JPEG 2000.*PNG or JPEG"),
    "Photoshop": (b"8BPS\x00\x01" + bytes(50), "Photoshop.*PNG or JPEG"),
    "CR2": (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(50), "camera raw.*develop"),
    "a preview": (raw_tiff(tag_254=1), "camera raw.*develop"),
    **{
        name: (encoded(form), f"^{words}.*, which is not read: .*PNG or JPEG")
        for name, form, words in (
            ("PPM", "PPM", "PPM"),
            ("TGA", "TGA", "TGA"),
            ("ICO", "ICO", "ICO"),
        )
    },
    "PGM with a comment": (b"P5\n# CREATOR: GIMP\n32 32\n255\n" + bytes(1024), "^PPM"),
    "plain PBM": (b"P1 32 32\n" + b"0 1 " * 512, "^PPM"),
    "PAM": (b"P7\nWIDTH 32\nHEIGHT 32\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(99), "^PPM"),
    "PFM": (b"PF\n32 32\n-1.0\n" + bytes(99), "^PPM"),
    "grey TGA": (targa(PICTURE.convert("L")), "^TGA"),
    "palette TGA": (targa(PICTURE.quantize(16)), "^TGA"),
    "packed TGA": (targa(PICTURE.convert("RGBA"), compression="tga_rle"), "^TGA"),
    "cursor": (b"\0\0\2\0" + encoded("ICO")[4:], "^ICO"),
    "OpenEXR": (b"v/1\1" + bytes(50), "^OpenEXR.*PNG or JPEG"),
    "Radiance": (b"#?RADIANCE\n", "^Radiance HDR.*PNG or JPEG"),
    "32-bit float TIFF": (tiff(32, 3, planes=1), "^floating-point pixels; .*8-bit RGB"),
    "64-bit float TIFF": (tiff(64, 3, planes=1), "^floating-point pixels; .*8-bit RGB"),
    "float RGB TIFF": (tiff(32, 3), "^floating-point pixels; .*8-bit RGB"),
    "half-float TIFF": (tiff(16, 3), "^floating-point pixels; .*8-bit RGB"),
    "32-bit RGB TIFF": (tiff(32, 1), "^32-bit values; .*8-bit RGB"),
    "signed RGB TIFF": (tiff(8, 2), "^8-bit values with a sign; .*8-bit RGB"),
    "empty": (b"", "^empty file; copy it again"),
    "PDF": (b"%PDF-1.7\n", "PDF.*export"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG.*export"),
    "web page": (b"\n<!DOCTYPE html><html></html>", "web page.*download"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
}


@pytest.mark.parametrize(("content", "words"), NOT_READ.values(), ids=NOT_READ)
def test_unread_file_type_is_named_with_its_remedy(content: bytes, words: str) -> None:
    with pytest.raises(ScanError, match=words) as caught:
        decode_image(content)
    assert "\n" not in str(caught.value)


def test_tiff_of_8_or_16_bits_is_read_as_before() -> None:
    assert decode_image(tiff(8, 1)).shape == decode_image(tiff(16, 1)).shape == (40, 40, 3)


@pytest.mark.parametrize(
    "content",
    [
        *(b"P5 is a chapter", b"P 3\n", b"P3", b"\0\0\1\0", b"\0\0\1\0\0\0" + bytes(60)),
        *(bytes(100), b"\0\1\0\0" + bytes(50), b"\0\0\2" + bytes(40), b"\0\0\1\xba" + bytes(40)),
        *(
            b"\0\0\0\x20ftypmp42" + bytes(40),
            b"\xd0\xcf\x11\xe0" + bytes(50),
            b"PK\3\4" + bytes(50),
        ),
    ],
)
def test_other_bytes_are_no_map_icon_or_targa(content: bytes) -> None:
    assert file_type(content) is None


def test_avif_under_a_general_brand_is_avif() -> None:
    found = file_type(box(b"mif1", b"mif1", b"avif"))
    assert found and found.name == "AVIF"
    assert file_type(box(b"mp42", b"isom")) is None


@pytest.mark.parametrize("words", [b"BMW is no bitmap, and long enough", b"hello", b"II"])
def test_text_is_no_image(words: bytes, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(words)
    assert why_no_scan(tmp_path / "notes") == "not an image"
    with pytest.raises(ScanError, match=r"not a PNG.*save the scan as PNG or JPEG"):
        decode_image(words)


def test_pipe_of_another_name_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert why_no_scan(tmp_path / "pipe") == "not an image by its name, and not a regular file"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "AVIF", "TIFF", "WEBP", "BMP"])
def test_head_of_an_image_is_a_broken_image(form: str) -> None:
    content = encoded(form)
    for length in (20, 40, HEAD_BYTES):
        with pytest.raises(ScanError, match=r"broken image|not a PNG|too few"):
            decode_image(content[:length])
