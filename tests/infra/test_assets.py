"""What is uploaded: the functions' code and the job's, and nothing else of the checkout."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.infra.assembly import ROOT, Assembly
from tests.infra.test_stacks import functions, variables


def assets(deployment: Assembly) -> dict[str, Path]:
    """Folder of each archive by its hash, as the automation stack uploads them."""
    name = deployment.names["automation"]
    files = json.loads((deployment.folder / f"{name}.assets.json").read_text())["files"]
    return {
        key: deployment.folder / entry["source"]["path"]
        for key, entry in files.items()
        if entry["source"]["packaging"] == "zip"
    }


def function_code(deployment: Assembly) -> Path:
    keys = {each["Code"]["S3Key"] for each in functions(deployment).values()}
    assert len(keys) == 1  # one archive for all
    return assets(deployment)[keys.pop().removesuffix(".zip")]


def job_code(deployment: Assembly) -> Path:
    uri = variables(deployment, "compile_approved")["CODE_URI"]
    return assets(deployment)[uri.rpartition("/")[2].removesuffix(".zip")]


def contents(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def sources(*packages: str) -> set[str]:
    return {
        str(file.relative_to(ROOT))
        for package in packages
        for file in (ROOT / package).rglob("*.py")
        if "__pycache__" not in file.parts
    }


def test_the_functions_carry_the_registry_and_themselves(deployment: Assembly) -> None:
    assert contents(function_code(deployment)) == sources("registry", "lambdas")


def test_job_archive_holds_its_packages_and_requirements(deployment: Assembly) -> None:
    """The requirements are what the job installs first: without them it cannot start."""
    packages = sources("registry", "recognition", "reports", "export")
    templates = {str(each.relative_to(ROOT)) for each in (ROOT / "reports/templates").iterdir()}
    found = contents(job_code(deployment))
    assert found == packages | templates | {"export/requirements.lock"}


def test_every_handler_of_the_template_is_a_function_in_the_archive(deployment: Assembly) -> None:
    """With the two arguments that Lambda passes; a template test alone would not notice one."""
    code = function_code(deployment)
    found = functions(deployment)
    assert set(found) == {"register_model", "compile_approved", "publish_release", "reconcile"}
    for properties in found.values():
        module, _, name = properties["Handler"].rpartition(".")
        tree = ast.parse((code / f"{module.replace('.', '/')}.py").read_text())
        (handler,) = [
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
        ]
        assert [argument.arg for argument in handler.args.args] == ["event", "context"]
        assert properties["Runtime"] == "python3.12"


def reads(module: str, seen: set[str]) -> set[str]:
    """Names of the variables that a module of ``lambdas`` and those it imports require."""
    if module in seen:
        return set()
    seen.add(module)
    tree = ast.parse((ROOT / "lambdas" / f"{module}.py").read_text())
    calls = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "required"
        and isinstance(node.args[0], ast.Constant)
    }
    return {str(name) for name in calls}


#: What the helpers of ``lambdas/settings.py`` read on behalf of who calls them.
HELPERS = {
    "compile_settings": {"COMPILE_SETTINGS", "COMPILE_IMAGE"},
    "compile_job_settings": {
        "COMPILE_ROLE_ARN",
        "COMPILE_INSTANCE_TYPE",
        "COMPILE_MAX_RUNTIME_SECONDS",
        "COMPILE_SECURITY_GROUP",
        "COMPILE_SUBNETS",
        "CODE_URI",
        "TRAINING_BUCKET",
    },
    "deployment": {"GROUP_NAME", "TRAINING_BUCKET", "RELEASE_BUCKET", "STABLE_FOLLOWS"},
    "with_approval_rules": {"FOUR_EYES", "PUBLISHER_ROLE_ARN"},
    "kept_releases": {"KEEP_RELEASES"},
    "signing_keys": {"SIGNING_KEY_ARNS"},
    "rollout_failures": {"ROLLOUT_FAILURES"},
    "notifier": {"NOTICE_TOPIC_ARN", "ENVIRONMENT"},
}


def test_the_helpers_are_what_this_test_takes_them_for() -> None:
    assert reads("settings", set()) == set().union(*HELPERS.values())


@pytest.mark.parametrize(
    "function", ["register_model", "compile_approved", "publish_release", "reconcile"]
)
def test_a_function_is_given_the_variables_that_it_reads(
    deployment: Assembly, function: str
) -> None:
    text = (ROOT / "lambdas" / f"{function}.py").read_text()
    wanted = reads(function, set())
    for helper, names in HELPERS.items():
        if f"{helper}(" in text:
            wanted |= names
    given = variables(deployment, function)
    assert set(given) - {"ENVIRONMENT"} == wanted - {"ENVIRONMENT"}
    assert all(value.strip() for value in given.values())


def test_a_stray_file_of_the_checkout_is_not_uploaded(deployment: Assembly, tmp_path: Path) -> None:
    """``deployment`` starts the CDK's kernel; the checkout here is a made-up one."""
    import aws_cdk as cdk
    from aws_cdk import aws_s3_assets as s3_assets

    from infra.constructs.source_asset import source_asset

    root = tmp_path / "checkout"
    for file in (
        "registry/__init__.py",
        "registry/deep/er/part.py",
        "registry/requirements.lock",
        "registry/secret.env",
        "registry/.hidden/x.json",
        "registry/__pycache__/a.cpython-312.pyc",
        "registry/__pycache__/b.py",
        "lambdas/handler.py",
        "other/handler.py",
        "top.py",
        ".env",
        "shared/data/card.png",
    ):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("x")
    app = cdk.App(outdir=str(tmp_path / "out"))
    stack = cdk.Stack(app, "stack")
    asset = s3_assets.Asset(stack, "asset", **source_asset("registry", "lambdas", root=root))
    staged = tmp_path / "out" / f"asset.{asset.asset_hash}"
    assert contents(staged) == {
        "registry/__init__.py",
        "registry/deep/er/part.py",
        "registry/requirements.lock",
        "lambdas/handler.py",
    }


def test_missing_package_stops_the_synthesis(tmp_path: Path) -> None:
    from infra.constructs.source_asset import source_asset

    with pytest.raises(FileNotFoundError, match="registry"):
        source_asset("registry", root=tmp_path)
