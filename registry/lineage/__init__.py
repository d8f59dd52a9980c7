"""Which version was made from which, in SageMaker Lineage and in the versions' own metadata.

What Lineage should hold about a version is a pure function of the version:

    >>> from datetime import UTC, datetime
    >>> from registry.lineage.graph import version_graph
    >>> from registry.names import parse_name
    >>> from registry.versions.packages import PENDING, Package
    >>> group = "arn:aws:sagemaker:us-east-2:123456789012:model-package/models"
    >>> package = Package(
    ...     arn=f"{group}/7", version=7, group="models", approval=PENDING, description="",
    ...     name=parse_name("student-efficientnet-lite0-stage2-v1"), model_data_url="", image="",
    ...     created=datetime(2026, 1, 31, tzinfo=UTC),
    ...     metadata={"ParentModelPackageArn": f"{group}/6"},
    ... )
    >>> graph = version_graph(package, job=None)
    >>> [action.type for action in graph.actions]
    ['Distillation']
    >>> [edge.type for edge in graph.associations]
    ['ContributedTo', 'DerivedFrom', 'Produced']

:func:`registry.lineage.record.record_version` writes what is missing of it;
:mod:`registry.lineage.ancestry` reads parents and children.
"""
