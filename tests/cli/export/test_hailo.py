"""``cards hailo image``: with a docker of the tests' own, which records what it is told."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.aws import AwsSession
from cli.errors import CliError
from cli.export.docker import docker
from registry.deployment import DeployedNames
from tests.cli.command import cards, refused

WHEEL = "hailo_dataflow_compiler-3.33.0-py3-none-linux_x86_64.whl"
CONTENT = b"a licensed wheel"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REPOSITORY = "111122223333.dkr.ecr.us-east-2.amazonaws.com/cards-dev-hailo"
_DOCKER = """#!/usr/bin/env python3
import json, os, pathlib, sys
folder = pathlib.Path(os.environ["FAKE_DOCKER"])
words = sys.argv[1:]
told = {"words": words, "stdin": sys.stdin.read() if "--password-stdin" in words else ""}
if words[0] == "build":
    told["context"] = sorted(path.name for path in pathlib.Path(words[-1]).iterdir())
with (folder / "told.jsonl").open("a") as file:
    file.write(json.dumps(told) + "\\n")
wish = json.loads(os.environ.get("FAKE_DOCKER_WISH", "{}")).get(words[0])
if wish is not None:
    print("some progress", wish, sep="\\n", file=sys.stderr)
    sys.exit(1)
if words[0] == "inspect" and "Labels" in words[2]:
    print("3.33.0-SHA256")
elif words[0] == "inspect":
    print("elsewhere/x@sha256:" + "a" * 64)
    print("REPOSITORY@sha256:" + "b" * 64)
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Puts the recording docker first on the path; gives what it was told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(_DOCKER.replace("SHA256", SHA256).replace("REPOSITORY", REPOSITORY))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("FAKE_DOCKER", str(folder))

    def read() -> list[dict[str, Any]]:
        path = folder / "told.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / WHEEL
    path.write_bytes(CONTENT)
    return path


@pytest.mark.processes
def test_image_is_built_of_the_wheel_and_little_else(
    told: Callable[[], list[dict[str, Any]]], wheel: Path
) -> None:
    (wheel.parent / "secrets.txt").write_text("not for an image")
    done = cards("hailo", "image", "build", "--wheel", str(wheel), "--sha256", SHA256.upper())
    assert done.code == 0, done
    asked, built = told()
    assert asked["words"] == ["version"]
    assert built["context"] == ["Dockerfile", WHEEL, "requirements.lock"]
    words = built["words"]
    assert f"WHEEL={WHEEL}" in words and f"WHEEL_SHA256={SHA256}" in words
    assert "DFC_VERSION=3.33.0" in words and "linux/amd64" in words
    assert words[words.index("--tag") + 1] == "cards-hailo:latest"
    assert "Dataflow Compiler 3.33.0" in done.out and "cards hailo image push" in done.out
    assert not Path(words[-1]).exists(), "the wheel is licensed: no copy of it stays"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hailo_dataflow_compiler-5.1.0-py3-none-linux_x86_64.whl", "5 is for Hailo-10"),
        ("hailort-4.23.0-cp311-cp311-linux_x86_64.whl", "is no wheel of the Dataflow Compiler"),
        ("hailo_dataflow_compiler-3.33.0-py3-none-linux_aarch64.whl", "is no wheel"),
        ("hailo_dataflow_compiler-3.33.0-py3-none-linux_x86_64.whl;rm", "is no wheel"),
    ],
)
def test_another_wheel_is_refused_by_its_name(
    told: Callable[[], list[dict[str, Any]]], tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    refused(cards("hailo", "image", "build", "--wheel", str(path), "--sha256", SHA256), words)
    assert told() == []


def test_another_file_is_refused_by_its_digest(
    told: Callable[[], list[dict[str, Any]]], wheel: Path
) -> None:
    build = ("hailo", "image", "build", "--wheel", str(wheel), "--sha256")
    refused(cards(*build, "0" * 64), f"its SHA-256 is {SHA256[:16]}…, not 0000000000000000…")
    refused(cards(*build, "0" * 63), "--sha256: must be 64 hexadecimal digits")
    refused(cards(*build, SHA256, "--tag", "a b"), "--tag a b: must be letters")
    wheel.unlink()
    refused(cards(*build, SHA256), "cannot be read (No such file")
    assert told() == []


@pytest.mark.processes
@pytest.mark.parametrize(
    ("step", "said", "words"),
    [
        ("version", "Cannot connect to the Docker daemon at unix:///x", "start it, or name it"),
        ("version", "permission denied while trying to connect", "join the group docker"),
        ("build", "write /x: no space left on device", "free some: docker system prune"),
        ("build", "ERROR: process did not complete: exit code: 1", "exit code: 1"),
    ],
)
def test_error_of_docker_has_a_remedy(
    told: Callable[[], list[dict[str, Any]]],
    wheel: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    said: str,
    words: str,
) -> None:
    monkeypatch.setenv("FAKE_DOCKER_WISH", json.dumps({step: said}))
    done = cards("hailo", "image", "build", "--wheel", str(wheel), "--sha256", SHA256)
    refused(done, f"docker {step} failed: ", words)


def test_missing_docker_is_refused_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CliError, match="docker is not installed"):
        docker("version")


def deployed(monkeypatch: pytest.MonkeyPatch, repository: str) -> None:
    """A deployment with a repository, and an ECR that gives a password."""
    values = dict.fromkeys(DeployedNames.__dataclass_fields__, "x")
    values["compiler_repository"] = repository
    token = base64.b64encode(b"AWS:secret password").decode()

    class Ecr:
        def get_authorization_token(self) -> dict[str, Any]:
            endpoint = f"https://{REPOSITORY.partition('/')[0]}"
            return {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": endpoint}]}

    monkeypatch.setattr(AwsSession, "names", DeployedNames(**values))
    monkeypatch.setattr(AwsSession, "client", lambda self, name: {"ecr": Ecr()}[name])


@pytest.mark.processes
def test_pushed_image_is_named_by_its_digest(
    told: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(monkeypatch, REPOSITORY)
    done = cards("hailo", "image", "push")
    assert done.code == 0, done
    remote = f"{REPOSITORY}:3.33.0-{SHA256[:12]}"
    by_word = {each["words"][0]: each for each in told() if each["words"][0] != "inspect"}
    assert by_word["login"]["stdin"] == "secret password"
    assert "secret password" not in " ".join(by_word["login"]["words"]), "others see arguments"
    assert by_word["tag"]["words"] == ["tag", "cards-hailo:latest", remote]
    assert by_word["push"]["words"] == ["push", remote]
    pinned = f"{REPOSITORY}@sha256:{'b' * 64}"
    assert done.out.splitlines()[-2] == pinned
    assert done.out.splitlines()[-1].endswith(f"-c cards.compiler_image={pinned}")
    # What is to be typed next is what the settings take.
    from infra.reading_settings import load_settings

    assert load_settings({"cards.compiler_image": pinned}).compiler_kind.name == "hailo"


@pytest.mark.processes
def test_impossible_push_is_refused(
    told: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(monkeypatch, "none")
    refused(cards("hailo", "image", "push"), "has no repository for the image yet; deploy it again")
    deployed(monkeypatch, REPOSITORY)
    for step, said, words in (
        (
            "inspect",
            "Error: No such object: cards-hailo:latest",
            "build it: cards hailo image build",
        ),
        (
            "push",
            "denied: User is not authorized to perform: ecr:InitiateLayerUpload",
            "may not push",
        ),
        ("push", "tag invalid: The image tag '3' already exists", "tags are immutable"),
    ):
        monkeypatch.setenv("FAKE_DOCKER_WISH", json.dumps({step: said}))
        refused(cards("hailo", "image", "push"), words)
