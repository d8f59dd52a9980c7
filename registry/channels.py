"""The channels: each one's name, what moves it, and whether a person may hold it at a release.

A new channel is one more entry of :data:`CHANNELS`; the automation moves it, retention keeps what
it points to, the commands list, promote and roll it back, and the releaser's policy allows its
hold. Where a channel points is computed in :mod:`registry.releases.channel_targets`.

>>> [channel.name for channel in CHANNELS]
['candidate', 'stable']
>>> declared("stable").may_be_held
True
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.names import BY_APPROVAL, BY_PROMOTION, CANDIDATE_CHANNEL, STABLE_CHANNEL


class UnknownChannelError(ValueError):
    """A channel that is not declared; names those that are."""


@dataclass(frozen=True)
class Channel:
    """The declaration of one channel.

    Attributes:
        name: As in its pointer's key and in the commands.
        moved_by: :data:`~registry.names.BY_APPROVAL`: it points to the newest approved release.
            :data:`~registry.names.BY_PROMOTION`: it stays where it is until a person promotes.
        may_be_held: Whether a person may hold it at a release, by promoting or rolling back.
        setting: The setting of the deployment (an attribute of
            :class:`registry.deployment.Deployment`) that replaces ``moved_by``; None for none.

    Raises:
        ValueError: It is moved by something unknown, or by promotion and may not be held, so that
            nothing could ever move it.
    """

    name: str
    moved_by: str = BY_APPROVAL
    may_be_held: bool = False
    setting: str | None = None

    def __post_init__(self) -> None:
        if self.moved_by not in (BY_APPROVAL, BY_PROMOTION):
            raise ValueError(
                f"channel {self.name}: moved_by {self.moved_by!r} is neither {BY_APPROVAL} nor "
                f"{BY_PROMOTION}"
            )
        if not self.may_be_held and (self.moved_by == BY_PROMOTION or self.setting):
            raise ValueError(
                f"channel {self.name}: a promotion is a hold; declare it with may_be_held=True"
            )


CHANNELS = (
    Channel(CANDIDATE_CHANNEL),
    Channel(STABLE_CHANNEL, may_be_held=True, setting="stable_channel"),
)


def declared(name: str) -> Channel:
    """The declaration of a channel.

    Raises:
        UnknownChannelError: No channel has this name.
    """
    for channel in CHANNELS:
        if channel.name == name:
            return channel
    names = ", ".join(channel.name for channel in CHANNELS)
    raise UnknownChannelError(f"channel {name!r}: is not declared; the channels are {names}")
