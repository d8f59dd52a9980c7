"""``cards-edge status``: what runs here, how fresh it is, and what was refused."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import datetime
from typing import Any

from edge.cli.command import Commands, options_of, show
from edge.runtimes.choice import runtime_of, runtime_version
from edge.state.folder import CURRENT, PREVIOUS, StateFolder, release_id
from edge.state.record import read_record
from edge.stored_release import pinned, signed_manifest
from edge.update.rollout import device_id
from registry.clock import utc_now
from registry.releases.manifest import ManifestError


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "status",
        parents=[common],
        help="which release runs here, and how fresh it is",
        description="Shows the release in use, the one before, runtime, self-test and the last "
        "update. Needs no network.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    options = options_of(arguments)
    document = status(options.folder, utc_now())
    rows = [
        ("release", document["release"] or "none: cards-edge update"),
        ("made from", document["source"]),
        ("runtime", document["runtime"]),
        ("before it", document["previous"] or "none"),
        ("state", document["state"]),
        ("last update", f"{document['checked'] or 'never'}: {document['outcome'] or 'not yet'}"),
        ("statement", document["statement"]),
        ("device", document["device"]),
        ("reported", document["reported"]),
    ]
    lines = [f"{name:12}{value}" for name, value in rows if value]
    lines += [f"refused     {each['release']}: {each['reason']}" for each in document["refused"]]
    show(options, document, *lines)
    return 0


def status(folder: StateFolder, now: datetime) -> dict[str, Any]:
    """What runs on a device, as JSON object.

    Raises:
        StateError, TrustError: No key is pinned, or its file is damaged.
    """
    trusted, record = pinned(folder), read_record(folder)
    current, previous = folder.linked(CURRENT), folder.linked(PREVIOUS)
    manifest: dict[str, Any] = {}
    fault = ""
    if current is not None:
        try:
            manifest, _ = signed_manifest(current, trusted)
        except ManifestError as error:
            fault = str(error)
    health = record.health
    own = current is not None and health.release == current.name
    state = "no release yet"
    if fault:
        state = f"damaged: {fault}"
    elif current is not None:
        state = "has recognised" if own and health.confirmed else "self-test passed, not used yet"
        if own and health.failures:
            state += f", {health.failures} failures in a row"
    return {
        "device": device_id(),
        "deployment": trusted.identity,
        "release": manifest.get("release"),
        "source": manifest.get("source", {}).get("name"),
        "runtime": runtime_version(runtime_of(str(manifest["model"]))) if manifest else None,
        "previous": release_id(previous) if previous and previous != current else None,
        "state": state,
        "checked": record.checked or None,
        "outcome": record.outcome or None,
        "statement": _freshness(record.expires, now),
        "statement_expires": record.expires or None,
        "serials": record.serials,
        "reported": record.reported or None,
        "refused": [asdict(refusal) for refusal in record.refused.values()],
    }


def _freshness(expires: str, now: datetime) -> str:
    if not expires:
        return "none seen yet"
    end = datetime.fromisoformat(expires)
    if now >= end:
        return f"expired on {expires[:10]}: the channel is frozen, or this clock is wrong"
    return f"valid for {(end - now).days} days, until {expires[:10]}"
