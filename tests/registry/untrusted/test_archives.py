"""Archives from outside: unpacked whole and within bounds, or refused by name."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest

from registry.untrusted import archives
from registry.untrusted.archives import ArchiveError, extract, read_member, walk


def archive(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for info, body in members:
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def member(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def test_files_and_folders_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive([(member("a/b.txt"), b"one"), (member("c"), b"2")]))
    written = extract(tmp_path / "m.tar.gz", tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == ["a/b.txt", "c"]
    assert (tmp_path / "out/a/b.txt").read_bytes() == b"one"


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil"),
        member("/etc/evil"),
        member("a/../../evil"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("hard", type=tarfile.LNKTYPE, linkname="a"),
        member("pipe", type=tarfile.FIFOTYPE),
    ],
)
def test_members_that_leave_the_folder_are_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive([(bad, b"")]))
    with pytest.raises(ArchiveError, match=r"m\.tar\.gz"):
        extract(tmp_path / "m.tar.gz", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive([(member("zeros"), bytes(5_000_000))]))
    with pytest.raises(ArchiveError, match="more than"):
        extract(tmp_path / "m.tar.gz", tmp_path / "out", limit_bytes=1_000_000)
    assert not (tmp_path / "out/zeros").exists()


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_damaged_archive_is_named(tmp_path: Path, cut: int) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive([(member("a"), b"x" * 9000)])[:cut])
    with pytest.raises(ArchiveError, match=r"m\.tar\.gz"):
        extract(tmp_path / "m.tar.gz", tmp_path / "out")


def test_one_member_is_read_from_a_stream() -> None:
    body = archive([(member("./first"), b"1"), (member("./registration.json"), b"{}")])
    assert read_member(io.BytesIO(body), "registration.json", 100) == b"{}"


@pytest.mark.parametrize(
    "members",
    [
        [(member("other"), b"1")],
        [(member("registration.json"), b"x" * 101)],
        [(member("registration.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")],
        [(member("zeros"), bytes(100_000)), (member("registration.json"), b"{}")],
    ],
)
def test_member_that_is_missing_too_long_or_no_file_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    with pytest.raises(ArchiveError):
        read_member(io.BytesIO(archive(members)), "registration.json", 100)


def contents(body: bytes) -> dict[str, bytes]:
    return {name: content.read() for name, _, content in walk(io.BytesIO(body), "m.tar.gz")}


def test_every_damaged_byte_is_refused_or_harmless() -> None:
    whole = archive([(member("a/b"), b"hello" * 300), (member("c"), bytes(1024))])
    read = contents(whole)
    refused = 0
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        try:
            assert contents(damaged) == read, at
        except ArchiveError as error:
            refused += "m.tar.gz" in str(error)
    # Harmless are only the time, the flags and the system in gzip's own header.
    assert refused >= len(whole) - 10


@pytest.mark.parametrize("kind", ["gzip", "plain"])
def test_archive_cut_off_anywhere_is_refused(kind: str) -> None:
    whole = archive([(member("a"), b"x" * 1000), (member("b"), b"y" * 512)])
    if kind == "plain":
        whole = gzip.decompress(whole)
        whole = whole[: 5 * 512 + 512]  # with one of its two end marks, which is enough
        assert contents(whole)["b"] == b"y" * 512
        whole = whole[:-1]
    for length in range(0, len(whole), 7 if kind == "plain" else 1):
        with pytest.raises(ArchiveError, match=r"m\.tar\.gz"):
            contents(whole[:length])


def test_damaged_checksum_is_refused_also_where_one_member_is_enough() -> None:
    whole = archive([(member("registration.json"), b"{}"), (member("b"), b"y" * 5000)])
    damaged = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    with pytest.raises(ArchiveError, match="CRC"):
        read_member(io.BytesIO(damaged), "registration.json", 100_000)
    with pytest.raises(ArchiveError, match=r"m\.tar\.gz"):
        contents(whole + b"more")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("reader", ["extract", "walk", "read_member"])
def test_headers_are_bounded_before_they_are_read(tmp_path: Path, kind: bytes, reader: str) -> None:
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, 96 * 1024**2
    packer = zlib.compressobj(1, wbits=31)
    packed = packer.compress(header.tobuf(tarfile.USTAR_FORMAT))
    for _ in range(96):
        packed += packer.compress(bytes(1024**2))
    packed += packer.flush()
    assert len(packed) < 1024**2
    path = tmp_path / "m.tar.gz"
    path.write_bytes(packed)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="headers"), path.open("rb") as stream:
            if reader == "extract":
                extract(path, tmp_path / "out")
            elif reader == "walk":
                list(walk(stream))
            else:
                read_member(stream, "x", 100)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024**2
    finally:
        tracemalloc.stop()


def test_chain_of_headers_is_refused() -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 512
    one = header.tobuf(tarfile.GNU_FORMAT) + b"x" * 512
    with pytest.raises(ArchiveError, match=r"m\.tar\.gz"):
        contents(gzip.compress(one * 20_000))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([(member("a"), b"1"), (member("./a"), b"2")], "there twice"),
        ([(member("a"), b"1"), (member("a/b"), b"2")], "there twice"),
        ([(member("a/b"), b"1"), (member("a"), b"2")], "there twice"),
        ([(member("x" * 256), b"1")], "too long"),
        ([(member("/".join(["x" * 200] * 9)), b"1")], "too long"),
    ],
)
def test_names_that_readers_would_take_differently_are_refused(
    members: list[tuple[tarfile.TarInfo, bytes]], words: str, tmp_path: Path
) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive(members))
    with pytest.raises(ArchiveError, match=words):
        extract(tmp_path / "m.tar.gz", tmp_path / "out")


def test_name_that_is_not_utf8_is_shown_and_kept(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive([(member("caf\udce9"), b"1")]))
    assert [path.name for path in extract(tmp_path / "m.tar.gz", tmp_path / "o")] == ["caf\udce9"]
    (tmp_path / "m.tar.gz").write_bytes(archive([(member("../\x1b[2J\udce9"), b"1")]))
    with pytest.raises(ArchiveError) as caught:
        extract(tmp_path / "m.tar.gz", tmp_path / "o")
    assert str(caught.value).isprintable()


def test_sparse_member_is_refused() -> None:
    with pytest.raises(ArchiveError, match="sparse"):
        contents(archive([(member("a", type=tarfile.GNUTYPE_SPARSE), b"")]))


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_other_compression_is_named(pack: type[bytes], name: str) -> None:
    plain = gzip.decompress(archive([(member("a"), b"1")]))
    with pytest.raises(ArchiveError, match=f"{name}.*tar.gz"):
        contents(pack(plain))


class Failing(io.BytesIO):
    """A network that breaks off."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(min(size or 0, 100))
        if self.tail_reached():
            raise ConnectionError("reset by peer")
        return data

    def tail_reached(self) -> bool:
        return self.tell() > len(self.getvalue()) // 2


def test_error_of_the_stream_is_none_of_the_archive() -> None:
    noise = hashlib.shake_256(b"").digest(300_000)
    body = archive([(member("a"), noise)])
    for read in (lambda stream: list(walk(stream)), lambda stream: read_member(stream, "b", 10**6)):
        with pytest.raises(ConnectionError):
            read(Failing(body))


def test_full_disk_keeps_its_own_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "m.tar.gz").write_bytes(archive([(member("a"), b"1")]))
    monkeypatch.setattr(archives.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left") as caught:
        extract(tmp_path / "m.tar.gz", tmp_path / "out")
    assert not isinstance(caught.value, ArchiveError)


def test_total_is_bounded_also_after_the_member_was_found() -> None:
    body = archive([(member("registration.json"), b"{}"), (member("zeros"), bytes(2_000_000))])
    assert read_member(io.BytesIO(body), "registration.json", 100) == b"{}"
    with pytest.raises(ArchiveError, match="more than"):
        read_member(io.BytesIO(body), "registration.json", 100, total_bytes=1_000_000)
