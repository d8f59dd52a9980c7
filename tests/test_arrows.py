"""Who may import whom. A new arrow is a decision: record it in docs/decisions/ first."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "registry": set(),
    "localcloud": set(),
    "bench": {"registry", "recognition", "export", "training", "localcloud"},
    "lambdas": {"registry"},
    "recognition": {"registry"},
    "export": {"registry", "recognition"},
    "training": {"registry", "recognition", "export"},
    "infra": {"registry"},
    "cli": {"registry", "recognition", "export", "training", "infra", "localcloud"},
}
#: What a Lambda finds in its runtime, beside the standard library.
LAMBDA_RUNTIME = {"boto3", "botocore"}


def imports(file: Path) -> set[str]:
    """Top-level names of every module that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_that_it_may(room: str) -> None:
    assert files(room), f"{room} is empty"
    for file in files(room):
        ours = {name.partition(".")[0] for name in imports(file)} & set(ROOMS)
        extra = ours - ROOMS[room] - {room}
        assert not extra, f"{file.relative_to(ROOT)} imports {', '.join(sorted(extra))}"


@pytest.mark.parametrize("room", ["registry", "lambdas"])
def test_a_lambda_carries_nothing_but_its_runtime(room: str) -> None:
    for file in files(room):
        names = {name.partition(".")[0] for name in imports(file)}
        extra = names - set(sys.stdlib_module_names) - LAMBDA_RUNTIME - {"registry", "lambdas"}
        assert not extra, f"{file.relative_to(ROOT)} imports {', '.join(sorted(extra))}"


def test_infra_takes_nothing_but_names_from_the_registry() -> None:
    for file in files("infra"):
        ours = {name for name in imports(file) if name.partition(".")[0] == "registry"}
        assert ours <= {"registry.names"}, f"{file.relative_to(ROOT)} imports {ours}"


def test_the_recogniser_needs_no_torch() -> None:
    for room in ("recognition", "export"):
        for file in files(room):
            if file.name == "onnx_export.py":
                continue
            names = {name.partition(".")[0] for name in imports(file)}
            assert not names & {"torch", "timm", "torchvision"}, file.relative_to(ROOT)
