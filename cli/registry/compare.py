"""``cards registry compare``: versions side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from registry.versions.comparison import ComparedVersion, Comparison, Row
    from registry.versions.packages import Package

EPILOG = """
Marks: ≠ the versions differ; * the best value; ≈ not told apart from the best by the views that \
were looked at (95 %, Newcombe's interval of the difference).

Examples: cards registry compare student-x-stage2-v1 student-x-stage2-v2 --differences

cards registry compare student-x-stage2-v1 student-x-int8-v1 --plot comparison.html
"""
_PICTURES = (".png", ".html")
_DIFFERS, _BEST, _TIED = "≠", "*", "≈"
_NARROWEST = 12


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Two or more models' names, such as student-efficientnet-lite0-stage2-v1, or "
            "ARNs.",
            show_default=False,
            metavar="NAME NAME…",
        ),
    ],
    differences: Annotated[
        bool, typer.Option("--differences", "-d", help="Only what differs.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw metrics and training curves into this .png or .html file."),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows metrics, hyper-parameters and metadata side by side, with the differences marked."""
    from cli.console import print_json, print_line, print_stderr
    from cli.errors import CliError
    from cli.find_version import find_package
    from registry.versions import comparison

    if len(names) < 2:
        raise CliError(f"{names[0]}: name at least two versions to compare")
    if plot and plot.suffix.lower() not in _PICTURES:
        raise CliError(f"--plot {plot}: must end in {' or '.join(_PICTURES)}")
    aws = AwsSession(environment)
    packages = [find_package(aws, name) for name in names]
    if len({package.arn for package in packages}) < len(packages):
        raise CliError(f"{', '.join(names)}: the same version twice")
    subjects, problems = _subjects(aws, packages)
    compared = comparison.compare(subjects)
    if as_json:
        print_json(document(compared, packages, problems))
    else:
        _show(compared, packages, differences)
    for problem in problems if not as_json else []:
        print_stderr(problem)
    if plot:
        from cli.registry.compare_plot import write

        write(plot, compared, subjects)
        (print_stderr if as_json else print_line)(f"wrote {plot}")


def document(compared: Comparison, packages: list[Package], problems: list[str]) -> dict[str, Any]:
    """A comparison for machines."""
    return {
        "versions": [
            {
                "name": str(package.name) if package.name else None,
                "arn": package.arn,
                "approval": package.approval,
                "created": package.created.isoformat(),
            }
            for package in packages
        ],
        "sections": {
            title: [
                {
                    "key": row.key,
                    "values": list(row.values),
                    "differs": row.differs,
                    "intervals": [[r.low, r.high] if r else None for r in row.rates] or None,
                    "best": row.best,
                    "tied": list(row.tied),
                }
                for row in rows
            ]
            for title, rows in compared.sections.items()
        },
        "notes": [*compared.notes, *problems],
    }


def _subjects(aws: AwsSession, packages: list[Package]) -> tuple[list[ComparedVersion], list[str]]:
    """What is known of each version, and what could not be had."""
    from cli.registry.tracked_runs import tracked_runs
    from registry.versions.comparison import ComparedVersion, training_hyperparameters
    from registry.versions.metadata import TRAINING_JOB

    runs, problems = tracked_runs(aws, packages)
    subjects = []
    for package in packages:
        given = training_hyperparameters(aws.client("sagemaker"), package)
        job = package.metadata.get(TRAINING_JOB)
        if given is None and job:
            foreign = package.generated_by and not package.own_job
            where = "is of another account" if foreign else "is gone"
            problems.append(f"{package.label}: training job {job} {where}, and what it was given")
        subjects.append(
            ComparedVersion(package.label, package.metadata, given, runs.get(package.arn))
        )
    return subjects, problems


def _show(compared: Comparison, packages: list[Package], differences: bool) -> None:
    from cli.console import print_line, print_table
    from cli.version_facts import STATUS_WORDS

    print_table(
        ["", "VERSION", "STATUS", "REGISTERED (UTC)"],
        [
            [
                _letter(index),
                package.label,
                STATUS_WORDS.get(package.approval, package.approval),
                f"{package.created:%Y-%m-%d %H:%M}",
            ]
            for index, package in enumerate(packages)
        ],
    )
    for note in compared.notes:
        print_line(f"note: {note}")
    same = 0
    for title, rows in compared.sections.items():
        shown = [row for row in rows if row.differs or not differences]
        same += len(rows) - len(shown)
        if not shown:
            continue
        print_line()
        letters = [_letter(index) for index in range(len(packages))]
        lines = [[_DIFFERS if row.differs else "", row.key, *_cells(row)] for row in shown]
        print_table(["", title.upper(), *letters], _fitted(lines))
    print_line()
    print_line(f"{_DIFFERS} differs   {_BEST} best   {_TIED} within noise of the best (95 %)")
    if differences:
        print_line(f"{same} more are the same")


def _letter(index: int) -> str:
    """A version's heading: A, B, …, and numbers for more than there are letters."""
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _cells(row: Row) -> list[str]:
    cells = []
    for index, value in enumerate(row.values):
        text = "–" if value is None else one_line(value)
        rate = row.rates[index] if row.rates else None
        if rate:
            text = f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}]"
        mark = _BEST if index == row.best else _TIED if index in row.tied else ""
        cells.append(f"{text} {mark}".rstrip())
    return cells


def _fitted(lines: list[list[str]]) -> list[list[str]]:
    """Rows whose values share what a terminal's width leaves; a pipe gets all of them."""
    from cli.console import console, is_terminal

    if not is_terminal():
        return lines
    names = max(len(line[1]) for line in lines)
    count = len(lines[0]) - 2
    room = max(_NARROWEST, (console().width - names - 4) // count - 3)
    return [
        [*line[:2], *(cell if len(cell) <= room else cell[: room - 1] + "…" for cell in line[2:])]
        for line in lines
    ]
