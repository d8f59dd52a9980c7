"""Types are checked against every module of the CDK that the stacks use."""

from __future__ import annotations

import ast
import tomllib

from tests.infra.assembly import ROOT


def imported_cdk_modules() -> set[str]:
    """The modules of ``aws_cdk`` that the product imports, ``aws_cdk`` itself included."""
    found = {"aws_cdk"}
    for file in [ROOT / "app.py", *(ROOT / "infra").rglob("*.py")]:
        for each in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(each, ast.Import):
                found |= {one.name for one in each.names if one.name.startswith("aws_cdk.")}
            elif isinstance(each, ast.ImportFrom) and each.module:
                if each.module == "aws_cdk":
                    found |= {f"aws_cdk.{one.name}" for one in each.names if one.name.islower()}
                elif each.module.startswith("aws_cdk."):
                    found.add(each.module)
    return found


def test_mypy_follows_every_imported_cdk_module() -> None:
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (followed,) = [one["module"] for one in overrides if one.get("follow_imports") == "normal"]
    assert len(imported_cdk_modules()) > 10
    assert imported_cdk_modules() <= set(followed)
