"""``AWS::IoT::RoleAlias`` in templates, which MiniStack does not know."""

from __future__ import annotations

from typing import Any

_TYPE = "AWS::IoT::RoleAlias"


def accept_role_aliases() -> None:
    """A stack with a role alias is created; MiniStack refuses the whole template.

    The stack alone knows the alias: no credential provider exchanges certificates here.
    """
    from ministack.services import iot
    from ministack.services.cloudformation import provisioners

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, Any]:
        name = properties.get("RoleAlias") or provisioners._physical_name(stack, logical_id)
        # As the ARN of a policy, which has the same account and region.
        arn = iot._policy_arn(name).replace(":policy/", ":rolealias/")
        return name, {"RoleAliasArn": arn}

    def update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str
    ) -> tuple[str, Any]:
        return create(logical_id or physical_id, new, stack)

    provisioners._RESOURCE_HANDLERS[_TYPE] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": lambda physical_id, properties: None,
    }
