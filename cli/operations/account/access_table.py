"""The table 'who may do what' of docs/reliability.md; each entry names the calls that show it.

``tests/e2e/test_deployed_roles.py`` makes every call with the credentials of every role, and
``cards verify-account`` asks IAM about them (:mod:`cli.operations.account.access_calls`).
``tests/docs/test_access_table.py`` compares the page with what was called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One role or policy.

    Attributes:
        label: As the page calls it.
        role: As the tests call it.
        may: What it may do, in words, with the names of the calls.
        may_not: What is denied, likewise.
    """

    label: str
    role: str
    may: Mapping[str, tuple[str, ...]]
    may_not: Mapping[str, tuple[str, ...]]


_RELEASING = ("write-release", "write-manifest", "write-channel", "sign")
_DECIDING = ("approve", "reject", "approve-with-a-note")
_CREATING = ("register", "register-approved-teacher", "register-approved-student")
_REWRITING = ("rewrite-metrics", "rewrite-metrics-approving", "rewrite-card-set-approving")

ROWS = (
    Row(
        "training role",
        "TrainingRole",
        {
            "read cards": ("read-cards", "list-cards"),
            "write its own job's output": ("write-job",),
        },
        {
            "write an approved model": ("write-approved",),
            "register": _CREATING,
            "approve": _DECIDING,
            "release": _RELEASING,
        },
    ),
    Row(
        "compile role",
        "CompileRole",
        {
            "read cards and an approved model": ("read-cards", "read-approved"),
            "write its compilation": ("write-compilation",),
        },
        {
            "read or write what training jobs left": ("read-job", "write-job"),
            "write an approved model": ("write-approved",),
            "register": _CREATING,
            "approve": _DECIDING,
            "release": _RELEASING,
        },
    ),
    Row(
        "`RegisterModel`",
        "RegisterModel",
        {
            "create pending versions, those of failed runs, and approved teachers": (
                *("register", "register-approved-teacher"),
            ),
            "send notices": ("publish-notice",),
        },
        {
            "create approved students": ("register-approved-student", "register-compiled"),
            "update a version": (*_DECIDING, *_REWRITING, "record-release"),
            "overwrite the claim of a name": ("overwrite-name",),
            "release": _RELEASING,
        },
    ),
    Row(
        "`CompileApproved`",
        "CompileApproved",
        {
            "start and stop compile jobs": ("start-compile-job", "stop-compile-job"),
            "copy the approved model for them": ("read-job", "write-approved"),
            "write lineage": ("write-lineage",),
        },
        {
            "write releases": _RELEASING,
            "create or update versions": (*_CREATING, *_DECIDING, *_REWRITING, "record-release"),
        },
    ),
    Row(
        "`PublishRelease`",
        "PublishRelease",
        {
            "write, sign and withdraw releases": (*_RELEASING, "withdraw-release"),
            "move channels": ("write-channel",),
            "send notices": ("publish-notice",),
            "create versions of compiled models": ("register-compiled",),
            "record results and the life-cycle stage on a version": (
                *("record-release", "remove-release", "set-stage"),
            ),
        },
        {
            "approve": (*_DECIDING, "register-approved-student"),
            "rewrite what was registered": _REWRITING,
            "overwrite a manifest or a public key": ("overwrite-manifest", "overwrite-key"),
            "write models": ("write-job", "write-approved"),
            "start jobs": ("start-compile-job", "start-training-job"),
            "delete anything but a manifest (with `keep_releases`: files of releases)": (
                *("delete-release-file", "delete-channel", "delete-version"),
            ),
        },
    ),
    Row(
        "`Reconcile`",
        "Reconcile",
        {
            "read": ("describe-version", "list-versions", "read-release", "read-channel"),
            "invoke the other three": (
                *("call-RegisterModel", "call-CompileApproved", "call-PublishRelease"),
            ),
            "record its position": ("write-reconciler",),
        },
        {
            "create or update versions": (*_CREATING, *_DECIDING, *_REWRITING),
            "start jobs": ("start-compile-job",),
            "release": _RELEASING,
        },
    ),
    Row(
        "Approver (people)",
        "Approver",
        {
            "approve and reject, with a reason": ("approve", "reject"),
            "read the page of a version": ("read-report-page",),
        },
        {
            "write or remove registered metadata (metrics, card set, digests)": (
                *(*_REWRITING, "remove-metrics-approving"),
            ),
            "set the life-cycle stage": ("set-stage", "set-stage-approving"),
            "update a version without a decision": ("note", "replace-model"),
            "create or delete versions": (*_CREATING, "delete-version"),
            "release": _RELEASING,
        },
    ),
    Row(
        "Releaser (people)",
        "Releaser",
        {
            "set and end a hold of `stable`": ("hold-stable", "end-hold-of-stable"),
            "invoke the functions": (
                *("call-RegisterModel", "call-CompileApproved"),
                *("call-PublishRelease", "call-Reconcile"),
            ),
            "empty the queues": ("describe-queue", "take-from-queue"),
        },
        {
            "approve": _DECIDING,
            "set the life-cycle stage": ("set-stage",),
            "write channels or releases, sign": _RELEASING,
        },
    ),
    Row(
        "ImageBuilder (people, CI)",
        "ImageBuilder",
        {"push to the compiler's repository": ("sign-in-to-ecr", "push-image")},
        {
            "look at versions": ("describe-version", "list-versions"),
            "start jobs": ("start-compile-job", "start-training-job"),
            "release": _RELEASING,
        },
    ),
    Row(
        "Operator (people)",
        "Operator",
        {
            "read everything, as `cards doctor` does": (
                *("describe-version", "read-release", "describe-function", "simulate-rights"),
            )
        },
        {
            "change anything": (
                *(*_CREATING, *_DECIDING, *_RELEASING, "set-stage", "start-compile-job"),
                *("change-function", "write-parameter", "disable-rule", "call-PublishRelease"),
            )
        },
    ),
)


def table() -> str:
    """The table in Markdown."""
    lines = ["| Policy or role | May | May not |", "|---|---|---|"]
    lines += [f"| {row.label} | {'; '.join(row.may)} | {'; '.join(row.may_not)} |" for row in ROWS]
    return "\n".join(lines)
