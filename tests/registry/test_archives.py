import io
import tarfile
from pathlib import Path

import pytest

from registry.archives import ArchiveError, extract, read_member


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


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "m.tar.gz").write_bytes(archive([(member("zeros"), bytes(5_000_000))]))
    with pytest.raises(ArchiveError, match="more than"):
        extract(tmp_path / "m.tar.gz", tmp_path / "out", limit_bytes=1_000_000)
    assert not (tmp_path / "out/zeros").exists()


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_a_damaged_archive_is_named(tmp_path: Path, cut: int) -> None:
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
def test_a_member_that_is_missing_too_long_or_no_file_is_refused(
    members: list[tuple[tarfile.TarInfo, bytes]],
) -> None:
    with pytest.raises(ArchiveError):
        read_member(io.BytesIO(archive(members)), "registration.json", 100)
