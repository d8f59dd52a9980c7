"""``cards release retry``: compiles an approved version again."""

from __future__ import annotations

from cli.automation_functions import invoke
from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson, Name


def retry(
    name: Name,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Compiles an approved version again that could not be compiled, failed its gate, or whose
    release was retired.

    By itself a compilation is tried three times where the machine failed, and once where the job
    refused what it was given.
    """
    from cli.console import print_json, print_line
    from cli.find_version import find_package
    from registry.versions.packages import APPROVED

    aws = AwsSession(environment)
    package = find_package(aws, name)
    if package.name is None or not package.name.releasable or package.approval != APPROVED:
        raise CliError(
            f"{package.label}: is no approved stage-2 student; nothing is compiled of it"
        )
    answer = invoke(
        aws,
        aws.names.compile_function,
        {"ModelPackageArn": package.arn, "CompileAgain": True},
    )
    if as_json:
        print_json(answer)
    else:
        print_line(f"{package.label}: {answer['result']}")
        print_line(f"  how far it is: cards trace {package.label} -e {environment}")
