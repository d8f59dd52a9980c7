"""How a deployment compiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.aws import AwsSession

if TYPE_CHECKING:
    from registry.compilation.compile_settings import CompileSettings


def deployed_compile_settings(aws: AwsSession) -> CompileSettings:
    """How this deployment compiles, from the function that does it."""
    from registry.compilation.compile_settings import CompileSettings

    variables = aws.client("lambda").get_function_configuration(
        FunctionName=aws.names.compile_function
    )["Environment"]["Variables"]
    return CompileSettings.from_json(
        str(variables["COMPILE_SETTINGS"]), str(variables["COMPILE_IMAGE"])
    )
