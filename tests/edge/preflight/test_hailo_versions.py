"""What the system prints of the chip is read as it is published, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.preflight.compatibility import faults_of, hailo_faults, notes_of, version_faults
from edge.preflight.hailo_versions import HailoVersions, Run, read_hailo_versions, run
from registry.contract import Contract

#: As Raspberry Pi 5 with the AI kit prints it (HailoRT 4.20.0).
IDENTIFIED = """Executing on device: 0001:01:00.0
Identifying board
Control Protocol Version: 2
Firmware Version: 4.20.0 (release,app,extended context switch buffer)
Logger Version: 0
Board Name: Hailo-8
Device Architecture: HAILO8L
Serial Number: HLDDLBB000000000
Part Number: HM21LB1C2LAE
Product Name: HAILO-8L AI ACC M.2 B+M KEY MODULE EXT TMP
"""
#: The same where library and driver differ (blakeblackshear/frigate-hass-addons#241).
DIFFERENT = """[HailoRT] [error] CHECK failed - Driver version (4.21.0) is different from library version (4.19.0)
[HailoRT] [error] Driver version mismatch, status HAILO_INVALID_DRIVER_VERSION(76)
"""  # noqa: E501
PACKAGES = """hailort installed 4.20.0
python3-hailort installed 4.20.0-1
hailofw installed 4.20.0-1
hailo-dkms not-installed
hailo-all installed 4.20.0
"""
MATCHING = HailoVersions("hailo8l", "", "4.20.0", "4.20.0", "4.20.0", "4.20.0")


def system(**answers: tuple[int, str] | None) -> Run:
    """A system whose programs print what is given, by the first letters of their names."""

    def answer(command: Sequence[str]) -> tuple[int, str] | None:
        name = "_".join(word.strip("-") for word in command[:2])
        for key, value in answers.items():
            if name.replace("-", "_").startswith(key):
                return value
        return None

    return answer


def test_chip_and_versions_are_read(tmp_path: Path) -> None:
    driver = tmp_path / "version"
    driver.write_text("4.20.0\n")
    found = read_hailo_versions(
        system(
            hailortcli_fw_control=(0, IDENTIFIED),
            hailortcli_version=(0, "HailoRT-CLI version 4.20.0\n"),
            dpkg_query=(1, PACKAGES),
        ),
        driver,
    )
    assert (found.architecture, found.firmware) == ("hailo8l", "4.20.0")
    assert (found.driver, found.library) == ("4.20.0", "4.20.0")
    assert found.product.startswith("HAILO-8L AI ACC M.2")
    assert found.packages == {
        "hailort": "4.20.0", "python3-hailort": "4.20.0-1", "hailofw": "4.20.0-1",
        "hailo-all": "4.20.0",
    }  # fmt: skip
    assert version_faults(found) == []


def test_installed_driver_counts_where_none_is_loaded(tmp_path: Path) -> None:
    found = read_hailo_versions(system(modinfo=(0, "4.19.0\n")), tmp_path / "missing")
    assert found.driver == "4.19.0" and found.library == ""


def test_versions_are_read_from_the_error_of_a_mismatch(tmp_path: Path) -> None:
    found = read_hailo_versions(system(hailortcli_fw_control=(76, DIFFERENT)), tmp_path / "none")
    assert (found.driver, found.library) == ("4.21.0", "4.19.0")
    (fault,) = version_faults(found)
    assert fault.startswith("HailoRT's library is 4.19.0, its driver 4.21.0")
    assert "apt install --reinstall hailort python3-hailort" in fault


def test_machine_without_hailo_has_nothing_and_no_error(tmp_path: Path) -> None:
    found = read_hailo_versions(system(), tmp_path / "none")
    assert not found.anything and found.error == ""


def test_output_of_another_kind_is_no_version(tmp_path: Path) -> None:
    found = read_hailo_versions(
        system(hailortcli_fw_control=(1, "\x1b[31mno\x00 device\nFirmware Version: x\n")),
        tmp_path / "none",
    )
    assert (found.architecture, found.firmware, found.library) == ("", "", "")
    assert "no" in found.error


def test_matching_versions_are_no_fault() -> None:
    assert hailo_faults(MATCHING) == [] and notes_of(MATCHING) == []


@pytest.mark.parametrize(
    ("field", "version", "package"),
    [
        ("driver", "4.19.0", "hailo-dkms"),
        ("driver", "4.21.0", "hailort python3-hailort"),
        ("firmware", "4.17.0", "hailofw"),
        ("binding", "4.19.0", "python3-hailort"),
    ],
)
def test_version_that_differs_names_the_package(field: str, version: str, package: str) -> None:
    values = {**MATCHING.__dict__, field: version}
    (fault,) = hailo_faults(HailoVersions(**values))
    assert version in fault and f"--reinstall {package}, then reboot" in fault


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "HailoRT is not installed: sudo apt install hailo-all"),
        ({"library": "4.20.0", "error": "no device"}, "no Hailo chip answers (no device)"),
        ({**MATCHING.__dict__, "architecture": "hailo15h"}, "the chip is a hailo15h"),
        ({**MATCHING.__dict__, "binding": ""}, "--system-site-packages"),
    ],
)
def test_fault_of_the_hailo_software_is_named_with_its_remedy(
    values: dict[str, str], reason: str
) -> None:
    (fault,) = hailo_faults(HailoVersions(**values))  # type: ignore[arg-type]
    assert reason in fault and "\n" not in fault


def test_larger_chip_runs_the_release_and_is_noted() -> None:
    larger = HailoVersions(**{**MATCHING.__dict__, "architecture": "hailo8"})
    assert hailo_faults(larger) == [] and "with a warning" in notes_of(larger)[0]


def test_int8_release_needs_no_chip_and_a_newer_contract_a_newer_client() -> None:
    manifest = {"model": "model.int8.onnx", "contract": Contract().to_dict()}
    assert faults_of(manifest, HailoVersions()) == []
    newer = {**manifest, "contract": {**Contract().to_dict(), "layout": "NCHW"}}
    (fault,) = faults_of(newer, HailoVersions())
    assert "layout is 'NCHW'" in fault and "a newer wheel of cards-edge" in fault


@pytest.mark.processes
def test_program_that_is_missing_or_hangs_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["cards-no-such-program"]) is None
    assert run(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr\n")
    monkeypatch.setattr("edge.preflight.hailo_versions._SECONDS", 0.05)
    assert run(["sleep", "5"]) is None
