"""What follows from approval and from rejection: from the function that decides it for real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from registry.channels import CHANNELS
from registry.convergence import Approval, Observation, Step, next_step
from registry.names import (
    BY_PROMOTION,
    CANDIDATE_CHANNEL,
    STABLE_CHANNEL,
    ModelName,
    leads_to,
)

#: What each step is, for people.
STEPS: Mapping[Step, str] = {
    Step.NOTHING: "Nothing happens by itself.",
    Step.WAIT: "Its compile job is running already; its end is waited for.",
    Step.START_COMPILATION: (
        "A compile job starts by itself: it builds the file for the device, compares it with this "
        "model on held-out views, and stops where the two differ by more than the deployment "
        "allows (the fidelity gate)."
    ),
    Step.STOP_COMPILATION: "Its running compile job is stopped.",
    Step.PUBLISH: "Its compile job has passed the gate: a signed release is published.",
    Step.MOVE_CHANNEL: "Its release is there already: the channels move to it.",
    Step.ANNOUNCE: "Its release is there already: people are told.",
    Step.WITHDRAW: "Its release is withdrawn, and the channels go back to the release before it.",
    Step.RETIRE: "Releases that are no longer kept are retired.",
    Step.RECORD_FAILURE: "Its compile job has failed: the cause is recorded, nothing is released.",
    Step.WITHDRAW_STALE: "A release of a deleted version of its name is withdrawn.",
    Step.RECORD_STAGE: "Only its life-cycle stage is recorded.",
}
#: What follows a rejection that withdraws nothing.
UNTOUCHED = "Nothing is released from it, and devices keep what they have."
#: Steps that end in a release that devices can get.
_RELEASING = (Step.WAIT, Step.START_COMPILATION, Step.PUBLISH, Step.MOVE_CHANNEL, Step.ANNOUNCE)


@dataclass(frozen=True)
class Choice:
    """One of the two decisions.

    Attributes:
        title: ``If you approve`` or ``If you reject``.
        sentences: What follows, in order.
        command: What to type.
        reaches_devices: Whether devices get something else by it.
    """

    title: str
    sentences: tuple[str, ...]
    command: str
    reaches_devices: bool = False


@dataclass(frozen=True)
class Circumstances:
    """What a decision depends on beside the version's own state.

    Attributes:
        compiler: Which compiler the deployment has, in words; empty where that is not known.
        stable_channel: What moves the stable channel.
        four_eyes: Whether who submitted the training may not approve.
        submitted_by: Who did, where that is known.
        price: What a compile job costs and takes, in words; empty where that is not known.
        held: The release that a person holds the stable channel at; empty for none.
    """

    compiler: str = ""
    stable_channel: str = ""
    four_eyes: bool = False
    submitted_by: tuple[str, ...] = ()
    price: str = ""
    held: str = ""


def choices(
    name: ModelName | None,
    label: str,
    seen: Observation | None,
    circumstances: Circumstances,
    flaw: str = "",
) -> tuple[Choice, Choice]:
    """The two decisions and what follows from each.

    Args:
        name: The version's name.
        label: What to call it in a command.
        seen: Its state; None where it was not observed, as while its training job runs.
        circumstances: Of the deployment.
        flaw: Why the version may not be approved without ``--override``; empty where it may.
    """
    releasable = name is not None and name.releasable
    state = seen or Observation(Approval.PENDING, releasable=releasable)
    approved = next_step(replace(state, approval=Approval.APPROVED))
    rejected = next_step(replace(state, approval=Approval.REJECTED))
    sentences = [STEPS[approved]]
    releases = releasable and approved in _RELEASING
    if not releasable:
        sentences = [f"{leads_to(name)[0].upper()}{leads_to(name)[1:]}."]
    elif releases:
        if approved is Step.START_COMPILATION:
            sentences += [text for text in (circumstances.compiler, circumstances.price) if text]
        sentences.append(_channels(circumstances))
    if circumstances.four_eyes:
        who = " and ".join(circumstances.submitted_by)
        sentences.append(
            f"Four eyes: who submitted its training{f' ({who})' if who else ''} cannot approve it; "
            "another person must."
        )
    override = ""
    if flaw:
        sentences.insert(0, f"It has no passed validation ({flaw}): only --override approves it.")
        override = " --override"
    refused = {
        Step.NOTHING: (UNTOUCHED,),
        Step.STOP_COMPILATION: (STEPS[Step.STOP_COMPILATION], UNTOUCHED),
    }.get(rejected, (STEPS[rejected],))
    why = ' --reason "why"'
    return (
        Choice(
            "If you approve",
            tuple(sentences),
            f"cards registry approve {label}{why}{override}",
            releases,
        ),
        Choice(
            "If you reject",
            refused,
            f"cards registry reject {label}{why}",
            rejected is Step.WITHDRAW,
        ),
    )


def console_link(region: str, group: str) -> str:
    """Where SageMaker's console shows the group's versions."""
    where = f"region={quote(region, safe='')}#/model-packages/{quote(group, safe='')}"
    return f"https://console.aws.amazon.com/sagemaker/home?{where}"


def _channels(circumstances: Circumstances) -> str:
    devices = "Devices fetch what their channel names at their next update."
    if circumstances.stable_channel == BY_PROMOTION:
        return (
            f"The signed release then goes to the channel {CANDIDATE_CHANNEL} only; "
            f"{STABLE_CHANNEL} moves when a person promotes it (cards release promote). {devices}"
        )
    if circumstances.stable_channel and circumstances.held:
        return (
            f"The signed release then goes to the channel {CANDIDATE_CHANNEL} only: a person holds "
            f"{STABLE_CHANNEL} at {circumstances.held}, until a release is promoted (cards release "
            f"promote). {devices}"
        )
    if circumstances.stable_channel:
        names = " and ".join(channel.name for channel in CHANNELS)
        return f"The signed release then goes to the channels {names}. {devices}"
    return f"Which channel the release goes to is the deployment's setting. {devices}"
