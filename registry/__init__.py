"""The domain: names, metadata, packages, lineage, convergence and releases.

Standard library and boto3 only, so that a Lambda carries nothing else and a decision can be
tested without a cloud.

The next step of a version follows from its observed state:

>>> from registry.convergence import Approval, JobState, Observation, Verdict, next_step
>>> next_step(Observation(Approval.APPROVED, releasable=True)).value
'start the compilation'
>>> next_step(
...     Observation(
...         Approval.APPROVED, releasable=True, job=JobState.COMPLETED, verdict=Verdict.PASSED
...     )
... ).value
'publish the release'
"""

from registry.telemetry import opt_out

opt_out()
