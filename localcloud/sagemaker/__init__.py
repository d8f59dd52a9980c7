"""SageMaker for MiniStack: the registry, jobs that really run, lineage, and MLflow.

    from localcloud.sagemaker.actions import call

    call("CreateModelPackageGroup", {"ModelPackageGroupName": "cards"})

``actions`` lists every action with its function; ``service`` is the HTTP side; ``service_model``
checks requests against botocore's model; ``store`` holds the state that outlives a restart;
``events`` sends EventBridge what SageMaker would; ``cloudformation`` makes the same resources from
a template.
"""
