"""``cards data``: drawing, checking, and pushing to a real S3."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cli.data import download
from cli.data.upload import MARKER
from cli.errors import CliError
from tests.cli.command import cards, refused
from tests.cli.conftest import TRAINING_BUCKET, Stack


def keys(aws: Stack, prefix: str) -> list[str]:
    pages = (
        aws.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=TRAINING_BUCKET, Prefix=prefix)
    )
    return [row["Key"] for page in pages for row in page.get("Contents", [])]


def prefix_of(uri: str) -> str:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    assert bucket == TRAINING_BUCKET
    return prefix


def test_same_seed_draws_the_same_cards(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        folder = str(tmp_path / name)
        assert cards("data", "draw", "--count", "9", "--out", folder, "--seed", seed).code == 0
        digests.append(cards("data", "check", folder, "--json").json["digest"])
    assert digests[0] == digests[1] != digests[2]


def modes(folder: Path) -> set[int]:
    """The modes of a folder, and of everything in it, files and folders."""
    return {path.stat().st_mode & 0o7777 for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_drawn_cards_and_their_pack_are_readable_for_every_user_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    """Another user, such as a job's, reads them; nobody but their owner changes them."""
    drawn, pack = tmp_path / "drawn", tmp_path / "pack"
    before = os.umask(umask)
    try:
        assert cards("data", "draw", "--count", "3", "--out", str(drawn)).code == 0
        done = cards("data", "prepare", str(drawn), "--out", str(pack), "--size", "32")
    finally:
        os.umask(before)
    assert done.code == 0, done.err
    assert modes(drawn) == modes(pack) == {0o755, 0o644}


def test_pack_in_a_folder_of_ones_own_keeps_its_mode(tmp_path: Path) -> None:
    drawn, pack = tmp_path / "drawn", tmp_path / "pack"
    assert cards("data", "draw", "--count", "3", "--out", str(drawn)).code == 0
    pack.mkdir(mode=0o700)
    assert cards("data", "prepare", str(drawn), "--out", str(pack), "--size", "32").code == 0
    assert pack.stat().st_mode & 0o7777 == 0o700


def test_drawing_into_a_used_folder_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    refused(cards("data", "draw", "--out", str(tmp_path)), str(tmp_path), "not empty")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_interrupted_drawing_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_some(root: Path, *_: object, **__: object) -> None:
        (root / "card-1").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr("recognition.sample_cards.drawing.draw_card_set", draw_some)
    assert cards("data", "draw", "--out", str(tmp_path / "cards")).code == 130
    assert list(tmp_path.iterdir()) == []


def test_broken_image_is_named_and_the_rest_is_counted(card_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    victim = sorted(folder.glob("*/*"))[0]
    victim.write_bytes(victim.read_bytes()[:60])
    done = cards("data", "check", str(folder))
    assert done.code == 0
    assert "11 cards" in done.out
    assert str(victim.relative_to(folder)) in done.out


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_folder_without_scans_is_refused(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    if what == "empty":
        folder.mkdir()
    elif what == "file":
        folder.write_text("x")
    refused(cards("data", "check", str(folder)), str(folder))


def test_pushing_uploads_once_and_where_the_digest_says(aws: Stack, card_folder: Path) -> None:
    first = cards("data", "push", str(card_folder), "--json").json
    assert first["sent"] == first["images"] == 12
    prefix = prefix_of(first["uri"])
    assert prefix == f"cards/{first['digest'][:12]}/"
    found = keys(aws, prefix)
    assert prefix + MARKER in found
    assert {key.removeprefix(prefix).split("/")[0] for key in found} - {MARKER} == {
        path.name for path in card_folder.iterdir()
    }
    again = cards("data", "push", str(card_folder), "--json").json
    assert again == {**first, "sent": 0}
    assert cards("data", "push", str(card_folder), "--quiet").out.strip() == first["uri"]


def test_interrupted_push_is_taken_up_again(aws: Stack, card_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    shutil.rmtree(sorted(folder.iterdir())[0])
    uri = cards("data", "push", str(folder), "--quiet").out.strip()
    prefix = prefix_of(uri)
    # As an interruption leaves it: no marker, and two images are not there yet.
    lost = [key for key in keys(aws, prefix) if not key.endswith(MARKER)][:2]
    for key in [*lost, prefix + MARKER]:
        aws.client("s3").delete_object(Bucket=TRAINING_BUCKET, Key=key)
    again = cards("data", "push", str(folder), "--json").json
    assert again["sent"] == 2
    assert set(lost) | {prefix + MARKER} <= set(keys(aws, prefix))


def pushed(folder: Path, card_folder: Path, without: int) -> str:
    """Pushes a set of the test's own; returns its prefix."""
    shutil.copytree(card_folder, folder)
    for path in sorted(folder.iterdir())[:without]:
        shutil.rmtree(path)
    return prefix_of(cards("data", "push", str(folder), "--quiet").out.strip())


def test_push_beside_a_foreign_scan_is_refused(
    aws: Stack, card_folder: Path, tmp_path: Path
) -> None:
    """One image beside a pushed set would be another scan of its card, in every later job."""
    folder, s3 = tmp_path / "cards", aws.client("s3")
    prefix = pushed(folder, card_folder, 3)
    card = next(key for key in keys(aws, prefix) if not key.endswith(MARKER)).split("/")[2]
    s3.put_object(Bucket=TRAINING_BUCKET, Key=f"{prefix}{card}/second.png", Body=b"x")
    refused(cards("data", "push", str(folder)), "remove what does not belong there")
    s3.delete_object(Bucket=TRAINING_BUCKET, Key=prefix + MARKER)
    refused(cards("data", "push", str(folder)), f"{card}/second.png: does not belong to this")


def test_push_over_other_bytes_of_the_same_size_is_refused(
    aws: Stack, card_folder: Path, tmp_path: Path
) -> None:
    folder, s3 = tmp_path / "cards", aws.client("s3")
    prefix = pushed(folder, card_folder, 4)
    key = next(key for key in keys(aws, prefix) if not key.endswith(MARKER))
    size = s3.head_object(Bucket=TRAINING_BUCKET, Key=key)["ContentLength"]
    s3.delete_object(Bucket=TRAINING_BUCKET, Key=prefix + MARKER)
    s3.put_object(Bucket=TRAINING_BUCKET, Key=key, Body=bytes(size), ChecksumAlgorithm="SHA256")
    refused(cards("data", "push", str(folder)), f"{key}: holds other bytes")


def test_marker_of_another_set_than_the_address_names_is_refused(
    aws: Stack, card_folder: Path, tmp_path: Path
) -> None:
    from cli.data.upload import pushed_digest
    from cli.errors import CliError

    folder, s3 = tmp_path / "cards", aws.client("s3")
    prefix = pushed(folder, card_folder, 5)
    uri = f"s3://{TRAINING_BUCKET}/{prefix}"
    digest = pushed_digest(s3, uri)
    assert digest and prefix == f"cards/{digest[:12]}/"
    marker = json.dumps({"digest": "0" * 64}).encode()
    s3.put_object(Bucket=TRAINING_BUCKET, Key=prefix + MARKER, Body=marker)
    with pytest.raises(CliError, match="not of the card set that the address names"):
        pushed_digest(s3, uri)


def test_marker_is_written_last(
    aws: Stack, card_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    for path in sorted(folder.iterdir())[:2]:
        shutil.rmtree(path)
    from cli.data import upload as card_upload

    put = card_upload._put_once
    sent: list[Path] = []

    def fail_at_the_fifth(s3: object, bucket: str, file: card_upload._File) -> None:
        sent.append(file.path)
        if len(sent) == 5:
            raise OSError(5, "Input/output error", str(file.path))
        put(s3, bucket, file)

    monkeypatch.setattr(card_upload, "_put_once", fail_at_the_fifth)
    refused(cards("data", "push", str(folder)), "Input/output error")
    digest = cards("data", "check", str(folder), "--json").json["digest"]
    assert not [key for key in keys(aws, f"cards/{digest[:12]}/") if key.endswith(MARKER)]


def test_without_a_deployment_nothing_is_pushed(aws: Stack, card_folder: Path) -> None:
    refused(cards("data", "push", str(card_folder), "-e", "nowhere"), "nowhere", "cdk deploy")


def test_without_a_region_the_remedy_is_named(
    card_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    refused(cards("data", "push", str(card_folder)), "region", "cards local env")


def test_pack_is_pushed_to_its_own_prefix(aws: Stack, card_folder: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    assert cards("data", "prepare", str(card_folder), "--out", str(pack), "--size", "32").code == 0
    plain = cards("data", "push", str(card_folder), "--json").json
    packed = cards("data", "push", str(pack), "--json").json
    assert packed["digest"] == plain["digest"] and packed["cards"] == plain["cards"]
    assert packed["uri"] == plain["uri"].rstrip("/") + "-packed-64/"
    found = [key.rsplit("/", 1)[1] for key in keys(aws, prefix_of(packed["uri"]))]
    assert sorted(found) == sorted([MARKER, "pack.json", *(p.name for p in pack.glob("scans-*"))])
    assert cards("data", "push", str(pack), "--json").json["sent"] == 0
    # And one that lies in S3 as folders can be packed from there.
    again = tmp_path / "again"
    done = cards("data", "prepare", plain["uri"], "--out", str(again), "--size", "32", "--json")
    assert done.json["digest"] == plain["digest"] and not list(tmp_path.glob(".*"))


def test_fetch_of_a_changed_prefix_gives_the_present_scans(
    aws: Stack, card_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = cards("data", "push", str(card_folder), "--quiet").out.strip()
    folder = download.source_folder(uri, tmp_path / "pack")
    assert folder != download.source_folder(uri + "other/", tmp_path / "pack")
    report: list[str] = []
    download.fetch(aws.client("s3"), uri, folder, report.append)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) == 12 and report[-1].endswith("12 of 12 files fetched")
    # As an interruption and a change of the set leave it: one cut, one half, one of another state.
    files[0].write_bytes(b"cut")
    (folder / ".x.png.partial").write_bytes(b"half")
    (folder / "gone-1").mkdir()
    (folder / "gone-1" / "scan.png").write_bytes(b"another set's")
    fetched: list[str] = []
    s3 = aws.client("s3")
    get = s3.download_file
    monkeypatch.setattr(
        s3, "download_file", lambda *where: (fetched.append(where[1]), get(*where))[1]
    )
    download.fetch(s3, uri, folder, report.append)
    assert [key.rsplit("/", 2)[1] for key in fetched] == [files[0].parent.name]
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
    there = {path.relative_to(card_folder): path.read_bytes() for path in card_folder.rglob("*.*")}
    assert found == there and not (folder / "gone-1" / "scan.png").exists()


def test_symbolic_link_in_place_of_the_fetched_folder_is_refused_and_its_target_kept(
    aws: Stack, card_folder: Path, tmp_path: Path
) -> None:
    """What else is in the fetched folder is deleted, and the link leads to somebody's files."""
    uri = cards("data", "push", str(card_folder), "--quiet").out.strip()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    link = download.source_folder(uri, tmp_path / "pack")
    link.symlink_to(precious)
    done = cards("data", "prepare", uri, "--out", str(tmp_path / "pack"), "--size", "32")
    refused(done, str(link), "symbolic link", "remove it")
    assert [path.name for path in precious.iterdir()] == ["thesis.txt"]
    assert link.is_symlink()


class Listed:
    """An S3 that lists these keys and whose disk, on this side, is full."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def get_paginator(self, _: str) -> Listed:
        return self

    def paginate(self, **_: str) -> list[dict[str, list[dict[str, object]]]]:
        return [{"Contents": [{"Key": key, "Size": 2**20} for key in self.keys]}]

    def download_file(self, *_: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("a/../../b.png",), "a part that is empty"),
        (("a//b.png",), "a part that is empty"),
        (("a/b.png", "pack.json"), "is prepared already"),
        ((".complete.json",), "holds no scan"),
        ((), "holds nothing"),
        (("a/b.png", "a/c.png"), "No space left on device); 2 MiB are fetched"),
    ],
)
def test_prefix_that_cannot_be_fetched_is_one_clear_line(
    tmp_path: Path, keys: tuple[str, ...], words: str
) -> None:
    s3 = Listed(*(f"cards/{key}" for key in keys))
    with pytest.raises(CliError) as refusal:
        download.fetch(s3, "s3://bucket/cards", tmp_path / "to", lambda line: None)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_preview_shows_the_views_that_training_renders(tmp_path: Path) -> None:
    assert cards("data", "draw", "--count", "9", "--out", str(tmp_path / "cards")).code == 0
    scan = next((tmp_path / "cards").glob("*/front.png"))
    sheets = {}
    for name, more in (("a", ["--count", "8"]), ("b", []), ("c", ["--seed", "1"])):
        sheet = tmp_path / "sheets" / f"{name}.png"
        done = cards("data", "views", str(scan), "--out", str(sheet), "--size", "48", *more)
        assert (done.code, done.out.strip()) == (0, str(sheet))
        sheets[name] = Image.open(sheet)
    assert sheets["a"].width == sheets["b"].width and sheets["a"].height < sheets["b"].height
    assert sheets["b"].size == sheets["c"].size
    assert sheets["b"].tobytes() != sheets["c"].tobytes()


def test_preview_of_a_file_that_is_no_scan_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "scan.png"
    text.write_text("not a picture")
    sheet = str(tmp_path / "sheet.png")
    refused(cards("data", "views", str(text), "--out", sheet), str(text), "not a PNG")
    refused(cards("data", "views", str(tmp_path), "--out", sheet), "not a regular file")
    refused(cards("data", "views", str(text), "--out", "sheet.gif"), "--out sheet.gif", "PNG")
    assert sorted(tmp_path.iterdir()) == [text]


def test_licence_goes_with_the_cards_from_the_folder_to_the_pack_and_the_bucket(
    aws: Stack, card_folder: Path, tmp_path: Path
) -> None:
    folder, pack, back = tmp_path / "cards", tmp_path / "pack", tmp_path / "back"
    shutil.copytree(card_folder, folder)
    shutil.rmtree(sorted(folder.iterdir())[-1])  # A set of its own, with a prefix of its own.
    bare = cards("data", "push", str(folder), "--json").json
    assert "licence of the scans: not stated" in cards("data", "check", str(folder)).out
    (folder / "LICENSE").write_text("CC-BY-4.0, by Ada\n\nThe whole text.\n")
    assert cards("data", "check", str(folder), "--json").json["licence"] == "CC-BY-4.0, by Ada"
    # The cards are there already: the licence is put beside them, once, and never another one.
    assert cards("data", "push", str(folder), "--json").json == {**bare, "sent": 1}
    assert cards("data", "push", str(folder), "--json").json == {**bare, "sent": 0}
    uri = str(bare["uri"])
    assert prefix_of(uri) + "LICENSE" in keys(aws, prefix_of(uri))
    done = cards("data", "prepare", uri, "--out", str(pack), "--size", "32")
    assert "licence of the scans: CC-BY-4.0, by Ada" in done.out, done.all
    assert (pack / "LICENSE").read_text() == (folder / "LICENSE").read_text()
    packed = cards("data", "push", str(pack), "--json").json
    download.fetch_card_set(aws.client("s3"), packed["uri"], back, lambda line: None)
    assert cards("data", "check", str(back), "--json").json["licence"] == "CC-BY-4.0, by Ada"
    (folder / "LICENSE").write_text("Apache-2.0")
    refused(cards("data", "push", str(folder)), "LICENSE", "remove it first")
    (folder / "LICENSE").unlink()
    done = cards("data", "prepare", str(folder), "--out", str(pack), "--size", "32")
    assert done.code == 0 and not (pack / "LICENSE").exists(), done.all


def test_drawn_cards_state_their_licence(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    assert cards("data", "draw", "--count", "3", "--out", str(folder)).code == 0
    assert cards("data", "check", str(folder), "--json").json["licence"].startswith("Apache-2.0")
