"""Versions in the model package group: names, metadata, approval, queries and copies.

A name, its parts, and the description that leads with it:

    >>> from registry.names import name_in_description, parse_name
    >>> name = parse_name("student-efficientnet-lite0-stage2-v3")
    >>> name.line, name.version, name.releasable
    ('student-efficientnet-lite0-stage2', 3, True)
    >>> name_in_description(f"{name}: stage2 student, top-1 0.883") == name
    True

Whether a version may be approved is computed from its metadata alone:

    >>> from registry.versions.validation import validate
    >>> measured = {"Queries": "920", "Top1": "0.883", "NumClasses": "17592"}
    >>> validate(name, {**measured, "BestSimilarity": "0.92", "HailoCompatible": "true"}).passed
    True
    >>> validate(name, measured).faults[0]
    'BestSimilarity is missing or no cosine'

With boto3 clients, a version is found and approved like this::

    row = queries.find_by_name(sagemaker, group, name)
    package = packages.describe(sagemaker, row.arn)
    approval.apply(sagemaker, package, packages.APPROVED, reason="top-1 above 0.88", person_arn=arn)
"""
