"""The device's client on aarch64, emulated: Debian's Python, the published wheels, a release.

    make demo && make edge-arm64
    python -m bench.edge_arm64 --device demo-output/device [--work FOLDER]

Needs Debian's apt and dpkg, pip and a network, and no root: packages are unpacked, not installed.
QEMU runs the program of the wheel with the processor of a Raspberry Pi 5 (Cortex-A76). The release
is the one that the device's folder has, its self-test runs, and its images are recognised. Times
say nothing about a Pi. QEMU 7.2 of Debian 12 crashes on importing ONNX Runtime; 10.0 is fetched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from edge.wheel_contents import ROOT, contents

#: What Debian's Python is made of, and what the wheels link to.
PYTHON = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1"),
    *("libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5"),
    *("libsqlite3-0", "libuuid1", "libcrypt1"),
)
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def unpack(work: Path, mirror: str, suite: str, architecture: str, packages: Sequence[str]) -> Path:
    """Fetches Debian packages and unpacks them; returns the folder that is their root."""
    root, lists = work / suite, work / f"{suite}.lists"
    if root.exists():
        return root
    files = work / f"{suite}.packages"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    files.mkdir(exist_ok=True)
    sources = work / f"{suite}.list"
    sources.write_text(f"deb {mirror} {suite} main\n")
    apt = [
        "apt-get", "-q",
        f"-oDir::Etc::SourceList={sources}", "-oDir::Etc::SourceParts=/nonexistent",
        f"-oDir::State::Lists={lists}", "-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache=",
        f"-oAPT::Architecture={architecture}", f"-oAPT::Architectures={architecture}",
        "-oAPT::Sandbox::User=root",
    ]  # fmt: skip
    for words in (["update"], ["download", *packages]):
        subprocess.run([*apt, *words], cwd=files, check=True, stdout=subprocess.DEVNULL)
    unfinished = work / f"{suite}.unfinished"
    for package in sorted(files.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, unfinished], check=True)
    return unfinished.rename(root)


def libraries(work: Path) -> Path:
    """Fetches the pinned wheels for aarch64 and unpacks them; returns their folder."""
    site, wheels = work / "site", work / "wheels"
    if site.exists():
        return site
    pins = tomllib.loads((ROOT / "edge/pyproject.toml").read_text())["project"]["dependencies"]
    platforms = [word for each in PLATFORMS for word in ("--platform", each)]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", *platforms,
         "--python-version", "3.11", "-c", ROOT / "constraints.txt", "-d", wheels, *pins],
        check=True,
    )  # fmt: skip
    unfinished = work / "site.unfinished"
    for wheel in wheels.glob("*.whl"):
        shutil.unpack_archive(wheel, unfinished, "zip")
    return unfinished.rename(site)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetches what is missing, and runs the client; returns the first code that is not 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.edge_arm64", description=__doc__)
    parser.add_argument("--device", type=Path, required=True, help="with state/ and known/")
    parser.add_argument("--work", type=Path, default=Path(".edge-arm64"), help="keeps downloads")
    parser.add_argument("--images", type=int, default=8, help="that are recognised")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="Debian's")
    options = parser.parse_args(arguments)
    work, device = options.work.absolute(), options.device.absolute()
    work.mkdir(parents=True, exist_ok=True)
    qemu = unpack(work, options.mirror, "trixie", "amd64", ["qemu-user"]) / "usr/bin/qemu-aarch64"
    root = unpack(work, options.mirror, "bookworm", "arm64", PYTHON)
    site, program = libraries(work), work / "program"
    for source, name in contents().items():
        target = program / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    # The self-test starts another process by the name of this one.
    python = work / "python"
    emulated = f"{qemu} -cpu cortex-a76 -0 {python} -L {root} {root}/usr/bin/python3.11"
    python.write_text(f'#!/bin/sh\nexec {emulated} "$@"\n')
    python.chmod(0o755)
    state = work / "state"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(device / "state", state, symlinks=True)
    images = sorted((device / "known").glob("*.png"))[: options.images]
    variables = {
        **os.environ, "PYTHONHOME": str(root / "usr"), "PYTHONPATH": f"{program}:{site}",
        "CARDS_EDGE_STATE": str(state), "CARDS_EDGE_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    for words in (
        ["-c", "import platform, sys; print(platform.machine(), sys.version)"],
        ["-m", "edge.cli.main", "status"],
        ["-m", "edge.selftest.reference_run", str((state / "current").resolve())],
        ["-m", "edge.cli.main", "recognise", "--framed", *map(str, images)],
    ):
        print(f"$ python -P {' '.join(words[:4])}", flush=True)
        code = subprocess.run([python, "-S", "-P", *words], env=variables, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
