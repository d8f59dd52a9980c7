"""Which of AWS's PyTorch images a job runs in, and which one serves its model."""

from __future__ import annotations

from training.submission.sdk_session import quiet_sdk
from training.submission.training_plan import SubmitError

FRAMEWORK_VERSION = "2.8.0"
PYTHON_VERSION = "py312"


def framework_image(region: str, instance_type: str, scope: str) -> str:
    """AWS's own PyTorch image.

    Args:
        region: The AWS region that it is fetched from.
        instance_type: For example ``ml.g5.2xlarge``; decides between CPU and GPU.
        scope: ``training`` or ``inference``.

    Raises:
        SubmitError: The SDK knows no such image.
    """
    quiet_sdk()
    from sagemaker import image_uris

    try:
        return str(
            image_uris.retrieve(
                "pytorch",
                region,
                version=FRAMEWORK_VERSION,
                py_version=PYTHON_VERSION,
                instance_type=instance_type,
                image_scope=scope,
            )
        )
    except ValueError as error:
        raise SubmitError(
            f"no PyTorch {FRAMEWORK_VERSION} {scope} image for {instance_type} in {region}: {error}"
        ) from None


def inference_image(region: str, training_image: str) -> tuple[str, tuple[str, ...]]:
    """The image to serve the model with: the same framework version, in the same region.

    AWS publishes no inference image of every version. An image of another version must not
    stand in: it may not load the weights. The training image of the version can.
    """
    try:
        return framework_image(region, "ml.m5.xlarge", "inference"), ()
    except SubmitError:
        note = (
            f"the SDK knows no inference image of PyTorch {FRAMEWORK_VERSION}; "
            "the package names the training image of that version"
        )
        return training_image, (note,)
