"""How a version is compiled: the settings that make two compilations the same or not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from registry.compilers import CompilerKind, compiler_kind, compiler_names


class CompileSettingsError(ValueError):
    """Compile settings that cannot be followed; names the field."""


@dataclass(frozen=True)
class CompileSettings:
    """Compile settings, as the deployment gives them.

    Attributes:
        document: The JSON object that the compile job gets.
        image: The container image it runs in; a new image makes new compile settings.
    """

    document: dict[str, Any]
    image: str

    @classmethod
    def from_json(cls, text: str, image: str) -> CompileSettings:
        """Reads the settings' JSON.

        Raises:
            CompileSettingsError: Not an object, or an unknown compiler.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise CompileSettingsError(f"compile settings: not JSON ({error})") from None
        if not isinstance(document, dict) or document.get("compiler") not in compiler_names():
            raise CompileSettingsError(
                f"compile settings: compiler must be one of {', '.join(compiler_names())}"
            )
        return cls(document, image)

    @property
    def compiler(self) -> str:
        """Name of the compiler."""
        return str(self.document["compiler"])

    @property
    def kind(self) -> CompilerKind:
        """The compiler, and what it makes."""
        return compiler_kind(self.compiler)

    @property
    def text(self) -> str:
        """The canonical JSON that is handed to the job."""
        return json.dumps(self.document, sort_keys=True, separators=(",", ":"))

    @property
    def id(self) -> str:
        """Eight hex digits that change whenever the settings or the image do."""
        return hashlib.sha256(f"{self.text}\n{self.image}".encode()).hexdigest()[:8]
