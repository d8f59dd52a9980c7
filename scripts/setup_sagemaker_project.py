#!/usr/bin/env python3
"""Checks what the stacks provisioned, makes the MLflow experiment, writes the metadata template."""

from __future__ import annotations

from cli.program.interrupts import exit_at_once, main_name

if __name__ == "__main__":
    exit_at_once(main_name())

from pathlib import Path

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.program.entry_point import script

TEMPLATE = Path(__file__).resolve().parent.parent / "config" / "model_metadata_template.json"


def setup(as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT) -> None:
    """Sets up the project, as often as you like: group, MLflow experiment, metadata template.

    The Model Package Group is the stack's: it is checked here, never made beside it.

    \b
    python scripts/setup_sagemaker_project.py
    """
    from cli.console import print_json, print_line
    from cli.errors import CliError
    from cli.mlflow_experiment import ensure_experiment
    from registry.aws_errors import is_missing
    from registry.versions.metadata import template_text

    aws = AwsSession(environment)
    group = aws.deployment.group_name
    try:
        found = aws.client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)
    except Exception as error:
        if is_missing(error):
            raise CliError(
                f"group {group}: was deployed and is gone; deploy again: cdk deploy --all"
            ) from None
        raise
    status = found["ModelPackageGroupStatus"]
    if status != "Completed":
        raise CliError(f"group {group}: is {status}; cards doctor names the remedy")
    experiment = ensure_experiment(aws)
    text = template_text()
    same = TEMPLATE.is_file() and TEMPLATE.read_text(encoding="utf-8") == text
    if not same:
        TEMPLATE.parent.mkdir(exist_ok=True)
        partial = TEMPLATE.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(TEMPLATE)
    if as_json:
        print_json(
            {
                "group": group,
                "experiment": experiment.name,
                "experiment_made": experiment.made,
                "template": str(TEMPLATE),
                "template_written": not same,
            }
        )
        return
    print_line(f"Model Package Group  {group}: is there, as the stack made it")
    print_line(f"MLflow experiment    {experiment.name}: {experiment.words}")
    print_line(f"Metadata template    {TEMPLATE}: {'is up to date' if same else 'written'}")


if __name__ == "__main__":
    script(setup)
