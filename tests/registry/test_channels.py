"""The declaration of the channels."""

from __future__ import annotations

from dataclasses import fields

import pytest

from registry.channels import CHANNELS, Channel, UnknownChannelError, declared
from registry.deployment import Deployment


def test_each_declared_setting_is_a_setting_of_the_deployment() -> None:
    settings = {field.name for field in fields(Deployment)}
    assert {each.setting for each in CHANNELS if each.setting} <= settings


def test_channel_names_are_unique() -> None:
    assert len({each.name for each in CHANNELS}) == len(CHANNELS)


def test_unknown_channel_raises_and_names_the_declared_ones() -> None:
    with pytest.raises(UnknownChannelError, match="candidate, stable"):
        declared("beta")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"moved_by": "hope", "may_be_held": True}, "neither approval nor promotion"),
        ({"moved_by": "promotion"}, "may_be_held=True"),
        ({"setting": "stable_channel"}, "may_be_held=True"),
    ],
)
def test_channel_that_nothing_could_move_raises(words: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        Channel("beta", **words)
