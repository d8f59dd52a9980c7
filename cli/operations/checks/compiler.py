"""What compiles models, and whether its container image is there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cli.operations.checks.check import Check, Finding, Site, failed, ok, unchecked

_ECR = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)


def compiler(site: Site) -> Iterator[Finding]:
    """The image with Hailo's Dataflow Compiler (DFC), where the deployment names one."""
    if site.names.compiler != "hailo":
        yield ok(
            f"{site.names.compiler}: releases are INT8 for ONNX Runtime, not HEF; "
            "deploying with -c cards.compiler_image=… changes it"
        )
        return
    function = site.functions.get("CompileApproved")
    if function is None:
        yield unchecked("the function that names the image is gone", site.deploy)
        return
    image = str(function.get("Environment", {}).get("Variables", {}).get("COMPILE_IMAGE", ""))
    parts = _ECR.fullmatch(image)
    if parts is None:
        yield failed(
            f"{image or 'no image'} is no image in ECR",
            f"{site.deploy} -c cards.compiler_image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPO:TAG",
        )
        return
    yield _look(site, image, parts)


def _look(site: Site, image: str, parts: re.Match[str]) -> Finding:
    from botocore.exceptions import ClientError

    from registry.aws import error_code

    if parts["region"] != site.aws.region:
        return unchecked(f"{image} lies in {parts['region']}, which is not asked from here")
    wanted = {"imageTag": parts["tag"]} if parts["tag"] else {"imageDigest": parts["digest"]}
    try:
        found = site.client("ecr").describe_images(
            registryId=parts["account"], repositoryName=parts["repository"], imageIds=[wanted]
        )["imageDetails"]
    except ClientError as error:
        if error_code(error) not in ("RepositoryNotFoundException", "ImageNotFoundException"):
            raise
        found = []
    if found:
        return ok(f"hailo, in {image}")
    return failed(
        f"the image with the Dataflow Compiler is missing: {image}",
        f"build it from the wheel that Hailo's developer zone gives you, then: docker push {image}",
    )


CHECKS = (Check("compiler", compiler, ("automation",)),)
