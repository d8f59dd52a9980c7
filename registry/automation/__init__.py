"""From an event or a schedule to one step of one version: observe, decide, act.

``observation`` reads the state, :mod:`registry.convergence` decides, ``actions`` acts;
``reconciliation`` does the same for versions whose events were lost.

A person asks to compile again a version whose job the compiler refused. Without past failures,
the same observation leads to another step:

>>> from registry.automation.actions import without_past_failures
>>> from registry.convergence import Approval, JobState, Observation, next_step
>>> refused = Observation(
...     Approval.APPROVED,
...     releasable=True,
...     job=JobState.FAILED,
...     attempts=1,
...     refused=True,
...     failure_recorded=True,
... )
>>> next_step(refused).value
'nothing to do'
>>> next_step(without_past_failures(refused)).value
'start the compilation'
"""
