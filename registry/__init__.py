"""The domain: names, metadata, packages, lineage, convergence and releases.

Standard library and boto3 only, so that a Lambda carries nothing else and a decision can be
tested without a cloud.
"""
