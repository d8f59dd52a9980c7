"""The product's own code as an asset: some of its packages, Python and requirements only."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import aws_cdk as cdk

ROOT = Path(__file__).resolve().parents[2]


class AssetOptions(TypedDict):
    """The keyword arguments of ``aws_lambda.Code.from_asset`` and ``aws_s3_assets.Asset``."""

    path: str
    exclude: list[str]
    ignore_mode: cdk.IgnoreMode


def source_asset(*packages: str, root: Path = ROOT) -> AssetOptions:
    """What to give an asset so that it holds these packages, each in its folder, and nothing else.

    The patterns are a ``.gitignore`` that forbids everything first: a file that appears in the
    checkout (data, an environment, a secret) gets into no archive by being forgotten here.

    Args:
        packages: Top-level packages of this repository, for example ``registry``.
        root: The repository.

    Raises:
        FileNotFoundError: A package does not exist; the asset would fail in the cloud only.
    """
    allowed: list[str] = []
    for package in packages:
        if not (root / package).is_dir():
            raise FileNotFoundError(
                f"{root / package}: the asset's folder {package}/ does not exist"
            )
        allowed += [
            f"!/{package}/",
            f"!/{package}/**/",
            f"!/{package}/**/*.py",
            f"!/{package}/requirements.lock",
            f"!/{package}/templates/*.html",
            f"!/{package}/templates/*.css",
            f"!/{package}/templates/*.js",
        ]
    return {
        "path": str(root),
        "exclude": ["*", *allowed, "__pycache__/"],
        "ignore_mode": cdk.IgnoreMode.GIT,
    }
