"""The keys that this user trusts: one small file for each deployment, in the user's own folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import CliError

if TYPE_CHECKING:
    from cli.aws import AwsSession
    from registry.releases.signatures.trust import TrustedDeployment

#: A folder to use in place of the user's own; `cards local env` sets it, so that what is trusted of
#: a local cloud goes with its state.
VARIABLE = "CARDS_TRUST_STORE"


def store() -> Path:
    """The folder: ``$CARDS_TRUST_STORE``, or ``cards/trust`` in the user's configuration."""
    given = os.environ.get(VARIABLE, "")
    if given:
        return Path(given)
    configuration = os.environ.get("XDG_CONFIG_HOME", "") or "~/.config"
    return Path(configuration).expanduser() / "cards" / "trust"


def load(identity: str) -> TrustedDeployment | None:
    """What is trusted of a deployment; None where nothing is pinned.

    Raises:
        TrustError: The file is damaged.
        OSError: It cannot be read.
    """
    from registry.releases.signatures.trust import read_trust_file

    path = _path(identity)
    return read_trust_file(path) if path.exists() else None


def of_environment(environment: str) -> list[TrustedDeployment]:
    """Everything that is trusted of an environment, whatever its account and region."""
    from registry.releases.signatures.trust import read_trust_file

    return [read_trust_file(path) for path in sorted(store().glob(f"{environment}.*.json"))]


def save(trusted: TrustedDeployment) -> Path:
    """Writes down what is trusted of a deployment."""
    from recognition.atomic_files import write_atomically
    from registry.releases.signatures.trust import trust_file

    return write_atomically(_path(trusted.identity), trust_file(trusted))


def pinned_deployment(aws: AwsSession, identity: str | None) -> TrustedDeployment | None:
    """What is pinned of the deployment that a command means; None where nothing is.

    Without ``identity`` the parameters of the caller's account name the deployment. A caller in
    another account, such as a device's, cannot read them: there it is the only one of the
    environment that is pinned.

    Raises:
        CliError: The release bucket is another than the pinned one, or several are pinned.
        DeploymentError: Nothing is pinned, and nothing is deployed.
    """
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied
    from registry.deployment import DeploymentError

    if identity is not None:
        return load(identity)
    try:
        deployment = aws.deployment
    except (DeploymentError, ClientError) as error:
        if isinstance(error, ClientError) and not is_denied(error):
            raise
        pinned = of_environment(aws.environment)
        if not pinned:
            raise
        if len(pinned) > 1:
            listed = ", ".join(each.identity for each in pinned)
            raise CliError(f"--deployment: name one of those that are pinned: {listed}") from None
        return pinned[0]
    found = load(deployment.identity)
    if found and found.bucket != deployment.release_bucket:
        raise CliError(
            f"{found.identity}: its release bucket is pinned as {found.bucket}, and the "
            f"deployment's parameters name {deployment.release_bucket}; find out who changed it, "
            "then: cards release trust --replace"
        )
    return found


def _path(identity: str) -> Path:
    return store() / f"{identity.replace('/', '.')}.json"
