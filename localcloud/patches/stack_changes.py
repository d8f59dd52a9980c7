"""Which changes of a template a change set finds, and what a killed server's changes end with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def find_changed_references() -> None:
    """A property that names another resource than before is a change.

    MiniStack compares properties after it has resolved what they refer to, before any resource is
    known: each reference to a resource is then the same empty text, and a stack in which only
    references differ is 'without changes'.
    """
    from ministack.services.cloudformation import changesets

    original = changesets._resolve_props_for_diff

    def resolve(template: Any, *rest: Any) -> Any:
        if not template:
            return original(template, *rest)
        resources = template.get("Resources", {})
        named = {
            key: {**each, "Properties": _as_text(each.get("Properties", {}), resources)}
            for key, each in resources.items()
        }
        return original({**template, "Resources": named}, *rest)

    changesets._resolve_props_for_diff = resolve


def end_interrupted_changes() -> None:
    """A change of a stack that a killed server left half-way has failed, and another may begin.

    MiniStack loads such a stack as it was, and then it is changing for ever.
    """
    from ministack.services import cloudformation

    original = cloudformation.load_persisted_state

    def load(data: Any) -> None:
        original(data)
        for stack in cloudformation._stacks._data.values():
            stack["StackStatus"] = _after_kill(stack.get("StackStatus", ""))

    cloudformation.load_persisted_state = load


def _after_kill(status: str) -> str:
    if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
        return status
    if status.startswith(("CREATE", "ROLLBACK")):
        return "ROLLBACK_COMPLETE"
    return "DELETE_FAILED" if status.startswith("DELETE") else "UPDATE_ROLLBACK_COMPLETE"


def _as_text(value: Any, resources: Mapping[str, Any]) -> Any:
    """A property with each reference to a resource of the template replaced by its text."""
    if isinstance(value, list):
        return [_as_text(each, resources) for each in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref" and argument in resources:
            return f"${{{argument}}}"
        if function == "Fn::GetAtt":
            return f"${{{argument if isinstance(argument, str) else '.'.join(map(str, argument))}}}"
    return {key: _as_text(each, resources) for key, each in value.items()}
