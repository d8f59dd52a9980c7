"""What is in the wheel of ``cards-edge``: ``edge`` and the modules that it imports.

Nothing is listed by hand: a module of ``recognition`` or ``registry`` is in the wheel because a
module of ``edge`` imports it, directly or by way of others.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "edge"
SHARED = ("recognition", "registry")
#: What builds the wheel is not in it.
_BUILD = ("wheel_contents.py", "wheel_hook.py")
#: Files beside the modules: units for systemd, and the page.
DATA = ("systemd/*.service", "systemd/*.timer", "serve/page/*")


def contents(root: Path = ROOT) -> dict[str, str]:
    """Path in the wheel by path on the disk."""
    modules = {
        module_name(root, file)
        for file in sorted((root / PACKAGE).rglob("*.py"))
        if file.name not in _BUILD
    }
    found: set[Path] = set()
    while modules:
        module = modules.pop()
        file = file_of(root, module)
        if file is None or file in found:
            continue
        found.add(file)
        modules |= imported(file)
        # A module's packages run before it.
        modules |= {module.rpartition(".")[0]} - {""}
    data = {file for pattern in DATA for file in (root / PACKAGE).glob(pattern)}
    return {str(file): str(file.relative_to(root)) for file in sorted(found | data)}


def module_name(root: Path, file: Path) -> str:
    """``edge/cli/main.py`` to ``edge.cli.main``; a package's own file to the package."""
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def file_of(root: Path, module: str) -> Path | None:
    """The file of a module of the product; None for a name that is none."""
    if module.partition(".")[0] not in (PACKAGE, *SHARED):
        return None
    path = root.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def imported(file: Path) -> set[str]:
    """Names that a file imports, also inside functions; not those for the type checker alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            children = list(node.orelse)
        todo += children
    return names
