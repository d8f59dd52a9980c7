"""The automation's Lambda functions: what starts them, their variables and their queues.

A function is one :class:`~.event_driven_function.EventDrivenFunction`: rule or schedule, role, log
group and dead-letter queues together::

    EventDrivenFunction(
        self, "RegisterModel", handler="lambdas.register_model.handler", code=code,
        description="A training job has ended", log_retention_days=90,
        pattern=sagemaker_events.ended_training_jobs(bucket), environment={}, statements=[],
    )

``sagemaker_events`` has the event patterns, ``function_environment`` the variables.
"""
