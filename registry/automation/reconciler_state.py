"""Where the reconciler stopped, in the training bucket: the one thing that it writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from registry.deployment import Deployment
from registry.names import RECONCILER_PREFIX
from registry.untrusted.stored_json import StoredJsonError, read_json

STATE_KEY = f"{RECONCILER_PREFIX}state.json"
#: How many training jobs' counts are kept.
_JOBS_LIMIT = 1000
#: How many open versions are recorded.
OPEN_LIMIT = 2000
#: No deployment is older: a time before it was not written by the reconciler.
_OLDEST = timedelta(days=36500)


@dataclass
class State:
    """Where an earlier run stopped.

    Attributes:
        below: Versions of the group with lower numbers are still to be checked; 0 for all.
        registrations: How often each training job was handed to registration.
        started: When the pass began that this run continues.
        repaired: Whether the pass has forwarded a training job, or has more open versions than are
            recorded: then it is not clean.
        clean: When the newest pass began that checked everything; None before the first.
        open: The versions, by ARN, whose repair was forwarded, or that could not be checked: they
            are checked again whatever their age, until they need nothing.
    """

    below: int = 0
    registrations: dict[str, int] = field(default_factory=dict)
    started: datetime | None = None
    repaired: bool = False
    clean: datetime | None = None
    open: dict[str, str] = field(default_factory=dict)


def read(deployment: Deployment) -> State:
    """Reads where the last run stopped; an unreadable state counts as none."""
    try:
        found = read_json(deployment.s3, deployment.training_bucket, STATE_KEY)
        if found is None:
            return State()
        document = found.document
        return State(
            int(document["below"]),
            {str(job): int(count) for job, count in document["registrations"].items()},
            _time(document.get("started"), deployment.now()),
            bool(document.get("repaired", False)),
            _time(document.get("clean"), deployment.now()),
            {str(arn): str(label) for arn, label in document.get("open", {}).items()},
        )
    except (StoredJsonError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return State()


def write(deployment: Deployment, state: State) -> None:
    """Records where this run stopped."""
    document = {
        "below": state.below,
        "registrations": dict(list(state.registrations.items())[-_JOBS_LIMIT:]),
        "started": state.started and state.started.isoformat(),
        "repaired": state.repaired,
        "clean": state.clean and state.clean.isoformat(),
        "open": dict(list(state.open.items())[:OPEN_LIMIT]),
    }
    deployment.s3.put_object(
        Bucket=deployment.training_bucket,
        Key=STATE_KEY,
        Body=json.dumps(document),
        ContentType="application/json",
    )


def _time(text: object, now: datetime) -> datetime | None:
    """A recorded time; None for none.

    Raises:
        ValueError: It is no ISO 8601 time of the past with a time zone.
    """
    if text is None:
        return None
    when = datetime.fromisoformat(str(text))
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    if not now - _OLDEST <= when <= now:
        raise ValueError(f"{text!r} is not in the past")
    return when
