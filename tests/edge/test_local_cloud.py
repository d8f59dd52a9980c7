"""``cards-edge`` from its wheel against the S3 of a local cloud: conditions, ranges, signatures."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.demo.device import device_step
from cli.demo.recognise import View, Views
from cli.errors import CliError
from recognition.recogniser import Recognition
from recognition.reference_views import read_reference_views
from registry.releases.signatures.trust import fingerprint, trust_file
from tests.e2e.cloud import Cloud, started
from tests.edge import device as devices
from tests.edge.device import DeviceBucket, working_files
from tests.edge.installed_program import install
from tests.registry.releases import signed_releases
from tests.registry.releases.signed_releases import BUCKET, pem

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with started(tmp_path_factory.mktemp("cloud")) as running:
        running.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
        )
        yield running


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("edge"))


@pytest.fixture(scope="module")
def published(cloud: Cloud) -> Iterator[DeviceBucket]:
    """Two releases, signed now; stable states the first."""
    with pytest.MonkeyPatch.context() as patch:
        now = datetime.now(UTC).replace(microsecond=0)
        for module in (signed_releases, devices):
            patch.setattr(module, "NOW", now)
        made = DeviceBucket()
        made.publish("first", working_files(), acceptance_threshold=0.9)
        made.publish("second", working_files(tint=1), acceptance_threshold=0.9)
        made.point("first", 1)
        upload(cloud, made)
        yield made


def upload(cloud: Cloud, bucket: DeviceBucket) -> None:
    s3 = cloud.client("s3")
    for key, content in bucket.objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)


class Shop:
    """A device in the shop: the installed command and its folder."""

    def __init__(self, cloud: Cloud, program: Path, state: Path) -> None:
        self._cloud, self._program, self.state = cloud, program, state

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._cloud.run(str(self._program), *words, "--state", str(self.state))

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def test_device_follows_the_channel_of_a_real_s3(
    cloud: Cloud, program: Path, published: DeviceBucket, tmp_path: Path
) -> None:
    shop, trust = Shop(cloud, program, tmp_path / "state"), tmp_path / "dev.trust.json"
    trust.write_text(trust_file(published.trusted()))
    assert shop.run("update").returncode == 1, "no key is pinned yet"
    shop.json("trust", str(trust), "--fingerprint", fingerprint(pem(published.key)))

    done = shop.json("update")
    assert done["updated"] and done["release"] == "first"
    assert "6 reference views answered as stated" in done["outcome"]
    again = shop.json("update")
    assert (again["updated"], again["outcome"], again["fetched_bytes"]) == (False, "nothing new", 0)

    views = tmp_path / "views"
    views.mkdir()
    for number, image in enumerate(
        read_reference_views(shop.state / "current" / "reference_views.npz").views
    ):
        Image.fromarray(image).save(views / f"{number}.png")
    recognised = shop.run("recognise", "--json", str(views))
    answers = [json.loads(line)["card_id"] for line in recognised.stdout.splitlines()]
    assert answers == ["base1-0", "base1-3", "base1-6", "base1-9", None, None]

    # A part of a file is here, with its ETag: the rest comes by range.
    published.point("second", 2)
    upload(cloud, published)
    name = "embeddings.npy"
    content = published.objects[f"releases/second/{name}"]
    manifest = json.loads(published.objects["releases/second/manifest.json"])
    head = cloud.client("s3").head_object(Bucket=BUCKET, Key=f"releases/second/{name}")
    arrived = shop.state / "incoming" / manifest["files"][name]["sha256"]
    arrived.write_bytes(content[:1000])
    arrived.with_name(f"{arrived.name}.etag").write_text(head["ETag"])
    done = shop.json("update")
    assert done["updated"] and done["release"] == "second"
    old, new = (
        {file: published.objects[f"releases/{release}/{file}"] for file in manifest["files"]}
        for release in ("first", "second")
    )
    changed = [file for file in new if new[file] != old[file]]
    assert name in changed and "model.int8.onnx" not in changed
    whole = sum(manifest["files"][file]["bytes"] for file in changed)
    assert done["fetched_bytes"] == whole - 1000

    assert shop.json("rollback")["release"] == "first"
    status = shop.json("status")
    assert status["release"] == "first" and status["refused"][0]["release"] == "second"
    assert shop.json("update")["release"] == "first"
    assert shop.json("update", "--retry")["release"] == "second"


def test_demo_ends_with_the_device_s_client(
    cloud: Cloud, published: DeviceBucket, tmp_path: Path
) -> None:
    """As ``cards demo`` runs it: from the files of the wheel, with the views that it was given."""
    files = working_files()
    (tmp_path / "reference_views.npz").write_bytes(files["reference_views.npz"])
    shown = read_reference_views(tmp_path / "reference_views.npz")
    views = [
        View(card, image, known, Recognition(card if known else None, 1.0, 0.9, ((card, 1.0),)))
        for card, image, known in zip(
            shown.card_ids, shown.views, (True, True, True, True, False, False), strict=True
        )
    ]
    published.point("first", 5)
    upload(cloud, published)
    log = tmp_path / "logs" / "device.log"
    found = device_step(
        tmp_path / "device", cloud.variables, log, published.trusted(),
        Views(tuple(views[:4]), tuple(views[4:])),
    )  # fmt: skip
    assert found.pop("runtime").startswith("ONNX Runtime ")
    assert found == {
        "release": "first", "known_views": 4, "known_nearest": 4, "known_right": 4,
        "unseen_views": 2, "unseen_turned_away": 2, "same_answers": 6,
    }  # fmt: skip
    words = [line.split()[2] for line in log.read_text().splitlines() if line.startswith("$ ")]
    assert words == ["trust", "update", "status", "recognise", "recognise"]
    key = "releases/second/index.json"
    published.point("second", 6)
    upload(cloud, published)
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    with pytest.raises(CliError, match=r"the device's update failed: .*index\.json"):
        device_step(tmp_path / "device", cloud.variables, log, published.trusted(), Views((), ()))
    upload(cloud, published)


def test_tampered_object_and_denied_access_are_one_line(
    cloud: Cloud, program: Path, published: DeviceBucket, tmp_path: Path
) -> None:
    shop = Shop(cloud, program, tmp_path / "state")
    shop.state.mkdir()
    (shop.state / "trust.json").write_text(trust_file(published.trusted()))
    published.point("second", 7)
    upload(cloud, published)
    key = "releases/second/index.json"
    good = published.objects[key]
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key=key, Body=good[:-1] + bytes([good[-1] ^ 1]))
    refused = shop.run("update")
    s3.put_object(Bucket=BUCKET, Key=key, Body=good)
    assert refused.returncode == 1
    assert f"{key}: is not the file that was signed" in refused.stderr.splitlines()[-1]
    unreachable = Cloud({**cloud.variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, cloud.folder)
    away = Shop(unreachable, program, shop.state).run("update")
    assert away.returncode == 75 and away.stderr.count("\n") == 1
    behind = {**cloud.variables, "AWS_ENDPOINT_URL": "http://cloud.example",
              "HTTP_PROXY": "http://shop:secret@127.0.0.1:9"}  # fmt: skip
    refused = Shop(Cloud(behind, cloud.folder), program, shop.state).run("update")
    assert refused.returncode == 75 and refused.stderr.count("\n") == 1
    assert "proxy" in refused.stderr and "secret" not in refused.stderr
    assert shop.json("update")["updated"]
