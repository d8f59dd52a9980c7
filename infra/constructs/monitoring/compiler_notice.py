"""Says at synthesis and deployment which compiler this deployment has."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.settings import Settings
from registry.compilers import COMPILERS


def announce_compiler(scope: Construct, settings: Settings) -> None:
    """Adds a line to what ``cdk synth`` and ``cdk deploy`` print.

    Without its image a chip's compiler cannot run, which should not first be seen from a release.
    """
    kind = settings.compiler_kind
    if kind.image:
        message = f"Compiler: {kind.name}, in {settings.compiler_image}"
    else:
        others = [other for other in COMPILERS if other.image]
        files = " or ".join(other.suffix for other in others)
        software = " or ".join(other.image.software for other in others if other.image)
        message = (
            f"Compiler: {kind.name}. Approved models become {kind.model_file}, not {files} files; "
            f"set cards.compiler_image to an image with {software} to build for a chip."
        )
    cdk.Annotations.of(scope).add_info_v2("cards:compiler", message)
