"""AWS on this machine: MiniStack, with SageMaker and MLflow mounted on the same endpoint.

It imports nothing of the product and knows nothing about cards.
"""

from localcloud.supervisor import LocalCloud, LocalCloudError, Status

__all__ = ["LocalCloud", "LocalCloudError", "Status"]
