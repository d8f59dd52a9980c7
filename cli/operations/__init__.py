"""Operating a deployment: ``cards doctor``, ``reconcile``, ``trace`` and ``dlq``.

Each check of ``doctor`` is a function in ``checks/`` that reads the state and judges it.

Example:
    >>> from cli.operations.checks.storage import judge_key
    >>> key = "arn:aws:kms:us-east-2:111122223333:key/1"
    >>> result = judge_key(key, "Disabled", "nothing is released", "every device trusts it")
    >>> result.state.value, result.remedy
    ('failed', 'aws kms enable-key --key-id arn:aws:kms:us-east-2:111122223333:key/1')
"""
