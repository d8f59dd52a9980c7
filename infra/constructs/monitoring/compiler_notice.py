"""Says at synthesis and deployment which compiler this deployment has."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.settings import HAILO, Settings


def announce_compiler(scope: Construct, settings: Settings) -> None:
    """Adds a line to what ``cdk synth`` and ``cdk deploy`` print.

    Without a compiler image nothing here can make a ``.hef``, and no one should find that out
    from a release.
    """
    if settings.compiler == HAILO:
        message = f"Compiler: hailo, in {settings.compiler_image}"
    else:
        message = (
            "Compiler: onnx-int8. Approved models become INT8 ONNX, not .hef files; set "
            "cards.compiler_image to an image with Hailo's Dataflow Compiler to build for a chip."
        )
    cdk.Annotations.of(scope).add_info_v2("cards:compiler", message)
