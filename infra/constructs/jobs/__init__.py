"""What SageMaker's jobs need from the deployment: containers, code, roles' statements, secrets.

    JobCode(self, "JobCode", reader=access.compile_role).uri    # the code that a compile job runs
    training_cpu_image("us-east-2")                             # the container of a job

A compile job's instance and time limit are settings (``compile`` in ``infra/settings.py``), which
``constructs/functions/function_environment.py`` passes to the function that starts the job.
"""
