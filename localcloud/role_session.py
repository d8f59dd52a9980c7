"""Sessions of roles, as MiniStack knows them and as programs get them."""

from __future__ import annotations


def open_role_session(
    account: str, role: str, name: str, *, access_key: str, secret: str, token: str
) -> dict[str, str]:
    """Makes the keys those of a session of the role.

    Args:
        account: The account's id.
        role: The role's name.
        name: The session's name, at most 64 characters.
        access_key: Id of the keys.
        secret: The secret key.
        token: The session token.

    Returns:
        The credentials as environment variables.
    """
    from ministack.services import sts

    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
            "UserId": f"{role}:{name}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }
