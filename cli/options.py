"""Arguments and options that several commands have, each said once."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
Name = Annotated[
    str,
    typer.Argument(
        help="A model's name, such as student-efficientnet-lite0-stage2-v1, or an ARN.",
        show_default=False,
    ),
]
