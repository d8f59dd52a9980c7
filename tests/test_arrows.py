"""Who may import whom. A new arrow is a decision: record it in docs/decisions/ first."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "registry": set(),
    "localcloud": set(),
    "bench": {"registry", "recognition", "edge", "export", "training", "localcloud"},
    "documentation": {"registry", "edge", "reports", "infra", "cli"},
    "lambdas": {"registry"},
    "recognition": {"registry"},
    "edge": {"registry", "recognition"},
    "reports": {"registry", "recognition"},
    "export": {"registry", "recognition", "reports"},
    "training": {"registry", "recognition", "reports", "export"},
    "infra": {"registry"},
    "cli": {
        "registry",
        "recognition",
        "edge",
        "export",
        "reports",
        "training",
        "infra",
        "localcloud",
    },
}
#: Within a package: which folders a folder may import, beside files of the package's top.
FOLDERS = {
    "registry": {
        "untrusted": set(),
        "versions": {"untrusted"},
        "tracking": set(),
        "lineage": {"untrusted", "versions"},
        "registration": {"lineage", "untrusted", "versions"},
        "compilation": {"untrusted", "versions"},
        "releases": {"compilation", "lineage", "untrusted", "versions"},
        "fleet": {"releases", "untrusted"},
        "automation": {
            *("compilation", "fleet", "lineage", "registration", "releases", "untrusted"),
            "versions",
        },
    },
    "recognition": {
        "search": {"card_sets"},
        "acceptance": {"search"},
        "sample_cards": {"card_sets"},
        "card_sets": set(),
        "views": {"card_sets"},
        "scenes": {"views"},
    },
    "edge": {
        "state": set(),
        "runtimes": set(),
        "selftest": {"runtimes"},
        "preflight": {"runtimes"},
        "frames": set(),
        "serve": {"frames"},
        "update": {"preflight", "runtimes", "selftest", "state"},
        "cli": {"frames", "preflight", "runtimes", "selftest", "serve", "state", "update"},
    },
    "export": {"graphs": set(), "fidelity": set(), "hailo": {"graphs"}},
    "reports": {"drawings": set(), "outcomes": set()},
    "training": {
        "losses": set(),
        "models": set(),
        "distributed": {"losses"},
        "data": {"distributed"},
        "loop": {"data", "distributed", "losses", "models"},
        "reporting": {"data", "distributed", "loop"},
        "artifacts": {"data", "models", "reporting"},
        "jobs": {"artifacts", "data", "distributed", "loop", "losses", "models", "reporting"},
        "submission": {"losses"},
    },
    "cli": {
        "program": {
            *("data", "demo", "devices", "export", "index", "operations", "registry", "release"),
            *("report", "train"),
        },
        "data": set(),
        "devices": set(),
        "release": set(),
        "export": set(),
        "index": {"data", "release"},
        "registry": {"release", "report"},
        "train": {"data", "release", "report"},
        "demo": {"data", "registry", "release", "train"},
        "operations": {"demo"},
        "report": set(),
    },
    "bench": {"frames": set(), "recognition": set(), "reports": set()},
    "infra": {"constructs": set()},
    "localcloud": {"patches": {"sagemaker"}, "sagemaker": set()},
}
#: What a Lambda finds in its runtime, beside the standard library.
LAMBDA_RUNTIME = {"boto3", "botocore"}


class WithoutTypeChecking(ast.NodeTransformer):
    """Removes what only the type checker imports."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        self.generic_visit(node)
        only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if only_types else node


@cache
def imports(file: Path, *, runtime_only: bool = False) -> frozenset[str]:
    """Names of every module that a file imports, also inside functions.

    Args:
        file: Python source.
        runtime_only: Leave out imports below ``if TYPE_CHECKING``.
    """
    tree: ast.AST = ast.parse(file.read_text())
    if runtime_only:
        tree = WithoutTypeChecking().visit(tree)
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return frozenset(found)


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_that_it_may(package: str) -> None:
    assert files(package), f"{package} is empty"
    for file in files(package):
        ours = {name.partition(".")[0] for name in imports(file)} & set(PACKAGES)
        extra = ours - PACKAGES[package] - {package}
        assert not extra, f"{file.relative_to(ROOT)} imports {', '.join(sorted(extra))}"


@pytest.mark.parametrize("package", ["registry", "lambdas"])
def test_a_lambda_carries_nothing_but_its_runtime(package: str) -> None:
    for file in files(package):
        names = {name.partition(".")[0] for name in imports(file, runtime_only=True)}
        extra = names - set(sys.stdlib_module_names) - LAMBDA_RUNTIME - {"registry", "lambdas"}
        assert not extra, f"{file.relative_to(ROOT)} imports {', '.join(sorted(extra))}"


@pytest.mark.parametrize("package", PACKAGES)
def test_stubs_are_imported_for_type_checking_only(package: str) -> None:
    """Stubs of boto3's clients are installed for development alone."""
    for file in files(package):
        stubs = {name for name in imports(file, runtime_only=True) if name.startswith("mypy_")}
        assert not stubs, f"{file.relative_to(ROOT)} imports {', '.join(sorted(stubs))} at run time"


def test_import_for_type_checking_is_no_runtime_import(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c\n")
    assert imports(file) == {"a", "b", "c"}
    assert imports(file, runtime_only=True) == {"a", "c"}


#: What the CDK may read of the registry: modules that hold nothing but constants.
CONSTANTS = {
    "registry.channels",
    "registry.compilation.gate_thresholds",
    "registry.compilation.job_time_limit",
    "registry.compilers",
    "registry.names",
    "registry.versions.life_cycle",
    "registry.versions.metadata_schema",
}


def test_infra_imports_nothing_but_constants_of_the_registry() -> None:
    for file in files("infra"):
        ours = {name for name in imports(file) if name.partition(".")[0] == "registry"}
        assert ours <= CONSTANTS, f"{file.relative_to(ROOT)} imports {ours}"


def test_the_recogniser_needs_no_torch() -> None:
    for package in ("recognition", "export"):
        for file in files(package):
            if file.name == "onnx_export.py":
                continue
            names = {name.partition(".")[0] for name in imports(file)}
            assert not names & {"torch", "timm", "torchvision"}, file.relative_to(ROOT)


def test_every_folder_has_its_arrows() -> None:
    for package in PACKAGES:
        folders = {file.parent.name for file in (ROOT / package).glob("*/__init__.py")}
        assert folders == set(FOLDERS.get(package, {})), f"{package}: list its folders in FOLDERS"


@pytest.mark.parametrize("package", FOLDERS)
def test_a_folder_imports_only_the_folders_that_it_may(package: str) -> None:
    for folder, allowed in FOLDERS[package].items():
        for file in files(f"{package}/{folder}"):
            within = {
                each.split(".")[1] for each in modules_of(file) if each.startswith(f"{package}.")
            }
            extra = (within & set(FOLDERS[package])) - allowed - {folder}
            assert not extra, f"{file.relative_to(ROOT)} imports {', '.join(sorted(extra))}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert not circle({name: modules_of(file) for name, file in MODULES.items()})


def test_no_folder_imports_itself_by_way_of_others() -> None:
    arrows: dict[str, set[str]] = {}
    for name, file in MODULES.items():
        found = {node(other) for other in modules_of(file)} - {node(name)}
        arrows.setdefault(node(name), set()).update(found)
    assert not circle(arrows)


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})


def circle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes of one import circle; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def node(module: str) -> str:
    """A folder without folders of its own counts as one; elsewhere each file does."""
    folder = MODULES[module].parent
    return module if any(folder.glob("*/__init__.py")) else str(folder.relative_to(ROOT))


def module_name(file: Path) -> str:
    """``registry/names.py`` to ``registry.names``; a package's own file to the package."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file): file for package in PACKAGES for file in files(package)}


def modules_of(file: Path) -> set[str]:
    """Product modules that a file imports, also in functions; ``from a import b`` as ``a.b``."""
    found = set()
    for each in ast.walk(ast.parse(file.read_text())):
        if isinstance(each, ast.Import):
            found |= {alias.name for alias in each.names}
        elif isinstance(each, ast.ImportFrom) and each.module:
            for alias in each.names:
                deeper = f"{each.module}.{alias.name}"
                found.add(deeper if deeper in MODULES else each.module)
    return (found & set(MODULES)) - {module_name(file)}


#: What the compile job's container lacks: export/requirements.lock does not have it.
NOT_IN_THE_COMPILE_JOB = ("boto3", "botocore", "torch", "rich", "typer", "sagemaker", "mlflow")


@pytest.mark.processes
def test_the_compile_job_imports_nothing_that_its_container_lacks() -> None:
    blocked = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_IN_THE_COMPILE_JOB!r}:
            raise ImportError(f"{{name}} is not in the compile job's container")

sys.meta_path.insert(0, Blocked())
import export.compile_job
"""
    done = subprocess.run(
        [sys.executable, "-c", blocked], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_imports_of_our_own_modules_name_files_that_are_there() -> None:
    """mypy passes over a module that it does not find, and reads no tests."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True)
    files = [Path(name) for name in listed.stdout.split()]
    modules = {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files}
    parents = {".".join(file.parts[:depth]) for file in files for depth in range(len(file.parts))}
    missing = []
    for file in files:
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            named = []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                named = [node.module]
            elif isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            missing += [
                f"{file}:{node.lineno}: {name}"
                for name in named
                if name.partition(".")[0] in {*PACKAGES, "tests"} and name not in modules | parents
            ]
    assert len(files) > 500 and missing == []
