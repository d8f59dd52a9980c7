"""``cards train``: estimating, submitting and following training jobs.

``commands`` holds the options, ``job_sequence`` decides which jobs are submitted and in which
order, ``estimate`` and ``confirmation`` come before the first job, ``submission`` submits, and
``follow_job`` waits until the model is registered.

Example:
    >>> from cli.aws import AwsSession
    >>> from cli.train.job_sequence import plan_jobs
    >>> from cli.train.options import TrainingRequest
    >>> request = TrainingRequest(
    ...     AwsSession(), "s3://bucket/cards/0123/", "tiny", machines={}, hyperparameters={},
    ...     weights=None, wait=True, dry_run=False, yes=True, as_json=False)
    >>> for job in plan_jobs(request, train_teacher=True, stages=(1, 2)):
    ...     print(job.title)
    teacher
    student stage 1
    student stage 2
"""
