"""Lines that say which published weights a model descends from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.weight_origins import (
    NOT_STATED,
    WeightOrigin,
    WeightOriginError,
    is_licence,
    read_origins,
    word,
    write_origins,
)

LITE = WeightOrigin("lite0==0.1.0", "ab" * 32, "Apache-2.0")
DINO = WeightOrigin("hub:timm/vit_large_patch16_dinov3:lvd1689m", "cd" * 32, "LicenseRef-DINOv3")


def test_lines_are_read_back_in_order_and_once() -> None:
    text = write_origins([LITE, DINO, LITE])
    assert text.count("\n") == 1
    assert read_origins(text, "", LITE.line) == (LITE, DINO)


@pytest.mark.parametrize(
    "line",
    ["lite0", "lite0 sha256:12 Apache-2.0", f"a b sha256:{'0' * 64} MIT", f"a sha256:{'0' * 64} "],
)
def test_line_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(WeightOriginError, match="is no origin of weights"):
        read_origins(line)


@given(st.text())
def test_any_file_name_becomes_a_word_that_a_line_can_hold(text: str) -> None:
    origin = WeightOrigin(word(text), "0" * 64, NOT_STATED)
    assert read_origins(origin.line) == (origin,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Apache-2.0", True), ("LicenseRef-DINOv3", True), ("", False), ("my own", False)],
)
def test_form_of_a_licence(text: str, expected: bool) -> None:
    assert is_licence(text) is expected
