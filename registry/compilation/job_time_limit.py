"""How long a compile job may run, in seconds, where the deployment's settings do not say otherwise.

A deployment sets it as ``cards.compile.max_runtime_seconds`` in ``cdk.json``
(``Compile.max_runtime_seconds`` in ``infra/settings.py``). It reaches the job's request by way of
``CompileJobSettings.max_runtime_seconds``; ``export/deadline.py`` derives from it when the compiler
is stopped, so that the job can still say why.
"""

#: Six hours.
DEFAULT_SECONDS = 6 * 3600
#: SageMaker's own limit on a processing job: five days.
LONGEST_SECONDS = 5 * 24 * 3600
