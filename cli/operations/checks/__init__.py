"""The checks of ``cards doctor``: one file a subject, reading the state apart from judging it.

Each file's ``CHECKS`` lists its checks; :func:`cli.operations.doctor.checks` puts them in order.

Example:
    >>> from cli.operations.checks.machine import judge_disk
    >>> judge_disk(free=5 * 10**9) is None  # enough bytes are free
    True
    >>> judge_disk(free=10**9).line
    '1.0 GB of disk are free'
"""
