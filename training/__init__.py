"""Training teachers and students: models, losses, data, the loop, and the SageMaker entry points.

Importing this package imports no framework; ``training.submission.submit`` must start fast.
"""

from registry.telemetry import opt_out

opt_out()
