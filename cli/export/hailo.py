"""``cards hailo``: the image that holds the licensed compiler, built and pushed by its user."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Hailo's Dataflow Compiler, which is licensed: you download it, and deploy its image.

    \b
    cards hailo image build --wheel hailo_….whl --sha256 …
    cards hailo image push
    """,
)
image = typer.Typer(
    no_args_is_help=True,
    help="""
    The image that compile jobs run in.

    \b
    cards hailo image build --wheel hailo_dataflow_compiler-3.33.0-….whl --sha256 …
    cards hailo image push
    """,
)
app.add_typer(image, name="image")
LOCAL = "cards-hailo"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
Tag = Annotated[str, typer.Option(help="The image's tag.")]
_ROOT = Path(__file__).resolve().parents[2]


@image.command(epilog="Example: cards hailo image build --wheel hailo_….whl --sha256 0123…")
def build(
    wheel: Annotated[
        Path, typer.Option(help="The compiler's wheel, from Hailo.", show_default=False)
    ],
    sha256: Annotated[
        str, typer.Option(help="The wheel's digest: sha256sum prints it.", show_default=False)
    ],
    tag: Tag = "latest",
) -> None:
    """Builds the image from the wheel that you downloaded, once it is known to be the right one.

    The wheel is copied beside docker/hailo/Dockerfile for the time of the build, nothing else is.
    """
    import shutil
    import tempfile

    from cli.console import print_line
    from cli.export.docker import docker
    from cli.export.hailo_wheel import check_wheel

    name = f"{LOCAL}:{_checked(tag)}"
    version = check_wheel(wheel, sha256)
    docker("version", quiet=True)
    with tempfile.TemporaryDirectory(prefix="cards-hailo-") as context:
        for source in (
            wheel,
            _ROOT / "docker" / "hailo" / "Dockerfile",
            _ROOT / "export" / "requirements.lock",
        ):
            shutil.copy(source, context)
        docker(
            "build",
            *("--platform", "linux/amd64"),
            *("--build-arg", f"WHEEL={wheel.name}"),
            *("--build-arg", f"WHEEL_SHA256={sha256.lower()}"),
            *("--build-arg", f"DFC_VERSION={version}"),
            *("--tag", name),
            context,
        )
    print_line(f"{name}: Dataflow Compiler {version}")
    print_line(f"next: cards hailo image push --tag {tag}")


@image.command(epilog="Example: cards hailo image push --tag 3.33.0")
def push(tag: Tag = "latest", environment: Environment = DEFAULT_ENVIRONMENT) -> None:
    """Pushes the image to the deployment's repository, and says how to compile with it.

    In the repository its tag is made of compiler and wheel, and names this image for ever.
    """
    from cli.console import print_line
    from cli.export.docker import docker
    from registry.names import NO_REPOSITORY

    local = f"{LOCAL}:{_checked(tag)}"
    aws = AwsSession(environment)
    repository = aws.names.compiler_repository
    if repository == NO_REPOSITORY:
        raise CliError(
            f"environment {environment!r} has no repository for the image yet; deploy it again: "
            f"cdk deploy --all -c cards.environment={environment}"
        )
    label = '{{index .Config.Labels "cards.hailo.%s"}}'
    form = f"{label % 'dfc-version'}-{label % 'wheel-sha256'}"
    try:
        version, _, digest = docker("inspect", "--format", form, local, quiet=True).partition("-")
    except CliError as error:
        raise CliError(f"{local}: {error}; build it: cards hailo image build") from None
    remote = f"{repository}:{version}-{digest.strip()[:12]}"
    user, password, registry = _login(aws)
    docker("login", "--username", user, "--password-stdin", registry, stdin=password, quiet=True)
    docker("tag", local, remote)
    docker("push", remote)
    pushed = docker("inspect", "--format", '{{join .RepoDigests "\\n"}}', remote, quiet=True)
    name = next((line for line in pushed.splitlines() if line.startswith(f"{repository}@")), remote)
    print_line(name)
    print_line(
        f"next: cdk deploy --all -c cards.environment={environment} -c cards.compiler_image={name}"
    )


def _checked(tag: str) -> str:
    if not _TAG.fullmatch(tag):
        raise CliError(f"--tag {tag}: must be letters, digits, dots, dashes and underscores")
    return tag


def _login(aws: AwsSession) -> tuple[str, str, str]:
    """User, password and registry that docker logs in with."""
    import base64

    (data,) = aws.client("ecr").get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return user, password, str(data["proxyEndpoint"])
