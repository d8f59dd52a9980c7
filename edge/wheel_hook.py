"""Hatchling's hook that fills the wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Loaded by its path, in an environment that has hatchling and nothing of the product.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from wheel_contents import contents


class WheelHook(BuildHookInterface):  # type: ignore[misc]
    """Adds the files to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        build_data["force_include"].update(contents())
