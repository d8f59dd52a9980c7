"""The wheel of ``cards-edge`` is small, complete, and installs without the rest of the product."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest

from edge.wheel_contents import contents, imported
from tests.edge.device import Device, working_files

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "edge/pyproject.toml").read_text())["project"]
PINS = dict(each.split("==") for each in PROJECT["dependencies"])
LARGEST = 200_000
#: What never belongs on a device.
NEVER = {"torch", "timm", "typer", "rich", "boto3", "onnx", "mlflow", "aws_cdk", "hatchling"}
#: Names under which the pinned distributions are imported.
IMPORTS = {
    "botocore": "botocore", "cryptography": "cryptography", "numkong": "numkong", "numpy": "numpy",
    "onnxruntime": "onnxruntime", "opencv-python-headless": "cv2", "pillow": "PIL",
    "xxhash": "xxhash",
}  # fmt: skip


def test_everything_that_is_imported_is_in_the_wheel_or_pinned() -> None:
    packed = contents()
    known = {*sys.stdlib_module_names, *IMPORTS.values(), "hailo_platform", "picamera2"}
    files = [Path(file) for file in packed if file.endswith(".py")]
    assert len(files) > 50
    for file in files:
        others = {name.partition(".")[0] for name in imported(file)} - known
        assert others <= {"edge", "recognition", "registry"}, f"{file}: {others}"
        assert not others & NEVER
    names = set(packed.values())
    assert {
        "edge/cli/main.py",
        "registry/releases/signatures/trust.py",
        "recognition/hef.py",
    } <= names
    assert "edge/systemd/cards-edge-update.timer" in names
    # Of registry and recognition only what is needed.
    for left_out in ("registry/automation", "registry/versions", "recognition/views",
                     "recognition/sample_cards", "registry/releases/publication.py"):  # fmt: skip
        assert not any(name.startswith(left_out) for name in names), left_out


def test_pins_are_those_of_the_product() -> None:
    product = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = product["optional-dependencies"].values()
    listed = [*product["dependencies"], *(each for group in groups for each in group)]
    pinned = dict(each.split("==") for each in listed if "==" in each and "[" not in each)
    assert PINS.keys() == IMPORTS.keys()
    for name, version in PINS.items():
        assert pinned[name] == version, name
    assert PROJECT["requires-python"] == product["requires-python"]


def test_documentation_s_type_checks_need_no_import() -> None:
    """What only the type checker imports is not packed, and not needed."""
    tree = ast.parse((ROOT / "registry/releases/pull/download.py").read_text())
    assert any("mypy_boto3" in ast.unparse(node) for node in ast.walk(tree))
    assert not any("mypy" in name for name in imported(ROOT / "registry/releases/pull/download.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "./edge"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode and re.search("hatchling|connection|index", done.stderr, re.I):
        pytest.skip(f"hatchling cannot be installed here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.processes
def test_wheel_is_small_and_has_what_was_listed(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == set(contents().values())


@pytest.mark.processes
def test_installed_wheel_recognises_in_an_environment_of_its_own(
    wheel: Path, tmp_path: Path
) -> None:
    """Only the wheel's own files are importable beside the pinned distributions."""
    bucket_device = _device_with_release(tmp_path)
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from edge.cli.main import main\n"
        "code = main(sys.argv[1:]); import edge, recognition, registry\n"
        "print([m.__file__ for m in (edge, recognition, registry)], file=sys.stderr)\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        f"print(sorted({NEVER | {'botocore'}!r} & loaded), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    shown = tmp_path / "views"
    shown.mkdir()
    _write_views(bucket_device, shown)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(site), "recognise", "--state",
         str(bucket_device.folder.root), str(shown)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[1][:7] for line in done.stdout.splitlines()] == ["base1-0", "base1-3"]
    *_, files, never = done.stderr.splitlines()
    assert files.count(str(site)) == 3 and never == "[]"


def _device_with_release(tmp_path: Path) -> Device:
    from tests.edge.device import DeviceBucket

    bucket = DeviceBucket()
    device = Device.set_up(tmp_path, bucket)
    bucket.publish("first", working_files(), acceptance_threshold=0.9)
    bucket.point("first", 1)
    assert device.updater().run().updated
    return device


def _write_views(device: Device, folder: Path) -> None:
    from PIL import Image

    from recognition.reference_views import read_reference_views

    current = device.folder.linked("current")
    assert current is not None
    for number, image in enumerate(read_reference_views(current / "reference_views.npz").views[:2]):
        Image.fromarray(image).save(folder / f"{number}.png")


@pytest.mark.parametrize("python", ["cp311", "cp313"])
@pytest.mark.parametrize("name", sorted(PINS))
def test_every_pin_has_a_wheel_for_aarch64(name: str, python: str) -> None:
    """Debian 12 and 13 have glibc 2.36 and 2.41."""
    url = f"https://pypi.org/simple/{name}/"
    request = urllib.request.Request(
        url, headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.1"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            page = answer.read().decode()
    except OSError as error:
        pytest.skip(f"no package index: {error}")
    stem = f"{name.replace('-', '_')}-{PINS[name]}-"
    wheels = set(re.findall(rf"{re.escape(stem)}[\w.]+?(?:-[\w.]+)*\.whl", page, re.I))
    tags = [wheel[len(stem) : -4] for wheel in wheels]
    assert tags, f"{name}: no wheel of {PINS[name]}"
    assert any(_fits(tag, python) for tag in tags), f"{name}: {tags}"


def _fits(tag: str, python: str) -> bool:
    interpreter, abi, platform = tag.split("-")[-3:]
    if platform == "any":
        return True
    newest = max(
        (int(minor) for minor in re.findall(r"manylinux_2_(\d+)_aarch64", platform)), default=99
    )
    old = "manylinux2014_aarch64" in platform or newest <= 36
    stable = abi == "abi3" and int(interpreter[3:]) <= int(python[3:])
    return old and (interpreter == python or stable)
