"""``cards registry show``: everything that is recorded about one version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson, Name

if TYPE_CHECKING:
    from registry.versions.comparison import Row
    from registry.versions.packages import Package

EPILOG = """
Example: cards registry show student-efficientnet-lite0-stage2-v1
"""


def show(
    name: Name, as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT
) -> None:
    """Shows everything that is recorded about one version."""
    from cli.console import print_json, print_line, print_table
    from cli.find_version import find_package
    from cli.version_facts import facts
    from registry.versions.comparison import ComparedVersion, compare

    package = find_package(AwsSession(environment), name)
    compared = compare([ComparedVersion(package.label, package.metadata)])
    metrics = compared.sections.get("Metrics", ())
    if as_json:
        print_json(document(package, metrics))
        return
    print_line(package.label)
    description = package.description.removeprefix(f"{package.name}:")
    print_line(f"  {' '.join(description.split())}")
    print_line()
    print_table(["FACT", "VALUE"], [list(fact) for fact in facts(package)])
    if metrics:
        print_line()
        print_table(
            ["METRIC", "VALUE", "95 % INTERVAL"],
            [[row.key, row.values[0] or "–", _interval(row)] for row in metrics],
            right=[1],
        )
    rest = [
        row for row in compared.sections.get("Metadata", ()) if row.key not in _shown_as_facts()
    ]
    if rest:
        print_line()
        print_table(["METADATA", "VALUE"], [[row.key, row.values[0] or "–"] for row in rest])
    print_line()
    print_line(f"cards registry lineage {package.label}  what it came from, what came from it")


def _shown_as_facts() -> set[str]:
    """Metadata keys that :func:`facts` already shows."""
    from registry.versions import metadata

    return {
        metadata.FAILURE_REASON,
        metadata.MLFLOW_RUN,
        metadata.PARENT_NAME,
        metadata.VALIDATION,
        metadata.VALIDATION_FAULTS,
    }


def document(package: Package, metrics: tuple[Row, ...] = ()) -> dict[str, Any]:
    """The same for machines."""
    intervals = {row.key: row.rates[0] for row in metrics}
    return {
        "name": str(package.name) if package.name else None,
        "arn": package.arn,
        "group": package.group,
        "version": package.version,
        "approval": package.approval,
        "approval_description": package.approval_description,
        "created": package.created.isoformat(),
        "modified": package.modified.isoformat() if package.modified else None,
        "modified_by": package.modified_by,
        "description": package.description,
        "parent": package.parent_arn,
        "generated_by": package.generated_by,
        "commit": package.commit,
        "artifact": package.model_data_url,
        "image": package.image,
        "metrics_file": package.quality_uri,
        "model_card": package.card_status,
        "metrics": {
            row.key: {
                "value": row.values[0],
                "interval": [rate.low, rate.high] if (rate := intervals[row.key]) else None,
            }
            for row in metrics
        },
        "metadata": dict(package.metadata),
    }


def _interval(row: Row) -> str:
    rate = row.rates[0]
    return f"{rate.low:.3f} – {rate.high:.3f}" if rate else "–"
