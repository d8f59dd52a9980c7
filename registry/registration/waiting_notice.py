"""The notice that a version waits for a person's decision."""

from __future__ import annotations

from registry.names import parse_name
from registry.notices import Notice, NoticeKind, Notifier
from registry.registration.register import REGISTERED, Registration


def publish_waiting_notice(notifier: Notifier, registration: Registration) -> bool:
    """Sends the notice, once: at the registration, and not when its event is repeated.

    Only a version that an approval would release is announced; stage 1 and teachers are steps on
    the way to one. What is lost with a notice is no more than the notice: ``cards registry list
    --status pending`` shows what waits.

    Returns:
        Whether there was something to announce.
    """
    if registration.outcome != REGISTERED or not registration.name or not registration.arn:
        return False
    name = parse_name(registration.name)
    if not name.releasable:
        return False
    page = (f"aws s3 cp {registration.page_uri} .",) if registration.page_uri else ()
    notifier.publish(
        Notice(
            NoticeKind.WAITING,
            registration.name,
            registration.arn,
            f"{registration.summary}. Read its page before you decide: what changes for devices, "
            "what was not measured, and what follows an approval.",
            (
                *page,
                notifier.command(f"report {name} --open"),
                notifier.command(f"registry approve {name} --reason …"),
                notifier.command(f"registry reject {name} --reason …"),
            ),
        )
    )
    return True
