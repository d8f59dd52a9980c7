"""The building blocks of the stacks, one file for each; a stack only composes them.

``access`` who may do what, ``functions`` the automation's Lambda functions, ``jobs`` what
SageMaker's jobs need, ``monitoring`` notices, alarms and cost, ``storage`` buckets, keys,
MLflow::

    topic = NoticeTopic(stack, "Notices", email=None)
    role = SageMakerRole(stack, "CompileRole", description="Compile jobs", statements=[])
"""
