"""From a finished training job to a version in the registry.

A job writes ``registration.json``; SageMaker uploads it with the model, and the event of the job's
completion calls :func:`registry.registration.register.register_training_job`::

    registration = register_training_job(deployment, "student-stage2-full-20260131")
    registration.outcome, registration.name  # ('registered', 'student-…-stage2-v3')

Calling it again gives ``already registered`` and the same name. A failed job becomes a rejected
version with the reason. A model that was trained before registration was automatic is registered
by :mod:`registry.registration.retroactive`, from facts that several sources must agree on:

    >>> from registry.registration.facts import Fact, merge_facts
    >>> from registry.versions.metadata_schema import SCHEMAS
    >>> facts = [Fact("NumClasses", "17592", "hyper-parameter"), Fact("Seed", "0", "config.json")]
    >>> merged = merge_facts(facts, SCHEMAS["student", "stage2"])
    >>> merged.metadata["NumClasses"], "Top1" in merged.missing
    ('17592', True)
"""
