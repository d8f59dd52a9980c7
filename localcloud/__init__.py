"""AWS on this machine: MiniStack, with SageMaker and MLflow mounted on the same endpoint.

    from localcloud import LocalCloud

    cloud = LocalCloud(state_dir=Path(".local-cloud"))
    cloud.start()
    os.environ.update(cloud.env())      # boto3, aws and cdk now use it
    boto3.client("sagemaker").list_model_package_groups()
    cloud.stop()

``supervisor`` starts and stops the server's process, ``server`` is that process, ``patches``
corrects what MiniStack does differently from AWS, and ``sagemaker`` is the service that MiniStack
lacks; a new SageMaker action begins in ``sagemaker/actions.py``. The package imports nothing of
the product and knows nothing about cards.
"""

from localcloud.supervisor import LocalCloud, LocalCloudError, Status

__all__ = ["LocalCloud", "LocalCloudError", "Status"]
