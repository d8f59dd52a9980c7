"""The CDK's library works for a user without a writable home."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.jsii_cache import FOLDER, SWITCH, choose_cache


def test_cache_stays_where_it_can_be_made(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path)}
    choose_cache(variables)
    assert SWITCH not in variables


@pytest.mark.parametrize("below", ["", ".cache", ".cache/aws/jsii"])
def test_no_cache_where_a_file_is_in_its_way(tmp_path: Path, below: str) -> None:
    home = tmp_path / "home"
    blocked = home / below
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file")
    variables = {"HOME": str(home)}
    choose_cache(variables)
    assert variables[SWITCH] == "disabled"


@pytest.mark.parametrize("chosen", [{SWITCH: "enabled"}, {FOLDER: "/srv/cache"}])
def test_choice_of_the_user_is_kept(chosen: dict[str, str]) -> None:
    variables = {"HOME": "/dev/null/home", **chosen}
    choose_cache(variables)
    assert variables == {"HOME": "/dev/null/home", **chosen}
