from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from training.models import torchvision_without_cuda


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.processes
def test_timm_imports_whatever_torchvision_is_installed() -> None:
    code = (
        "from training.models.torchvision_without_cuda import mend_torchvision as m;"
        "first = m(); second = m(); import timm, torchvision.transforms; print(first, second)"
    )
    answer = run(code)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split()[1] == "False"


@pytest.mark.processes
def test_torchvision_patch_is_still_needed() -> None:
    """Fails when a matching torchvision is served for CPU, so that the mend can go."""
    bare = run("import torchvision")
    if bare.returncode == 0:
        pytest.skip("this torchvision loads by itself: nothing is mended here")
    assert "operator torchvision::nms does not exist" in bare.stderr


def test_other_import_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("another reason")

    monkeypatch.setattr(torchvision_without_cuda.importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match="another reason"):
        torchvision_without_cuda.mend_torchvision()
    assert importlib.util.find_spec("torchvision")
