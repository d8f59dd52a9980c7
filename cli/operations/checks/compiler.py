"""What compiles models, and whether its container image is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.operations.checks.check import Check, CheckContext, CheckResult, failed, ok, unchecked

if TYPE_CHECKING:
    from registry.compilers import CompilerImage

_ECR = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)


def compiler(context: CheckContext) -> Iterator[CheckResult]:
    """The image of a compiler that needs one of its own (Hailo's Dataflow Compiler)."""
    from registry.compilers import COMPILERS, compiler_kind

    try:
        kind = compiler_kind(context.names.compiler)
    except KeyError as error:
        # The parameter may have been changed by hand, which a plain deployment does not see.
        yield failed(f"deployed: {error.args[0]}", context.restore)
        return
    if kind.image is None:
        others = " or ".join(other.file_format for other in COMPILERS if other.image)
        yield ok(
            f"{kind.name}: releases are {kind.file_format} for {kind.device}, not {others}; "
            "deploying with -c cards.compiler_image=… changes it"
        )
        return
    function = context.functions.get("CompileApproved")
    if function is None:
        yield unchecked("the function that names the image is gone", context.restore)
        return
    image = str(function.get("Environment", {}).get("Variables", {}).get("COMPILE_IMAGE", ""))
    parts = _ECR.fullmatch(image)
    if parts is None:
        yield failed(
            f"{image or 'no image'} is no image in ECR",
            f"{context.deploy} "
            "-c cards.compiler_image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPO:TAG",
        )
        return
    yield _image(context, kind.name, kind.image, image, parts)


def _image(
    context: CheckContext, name: str, needed: CompilerImage, image: str, parts: re.Match[str]
) -> CheckResult:
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    if parts["region"] != context.aws.region:
        return unchecked(f"{image} lies in {parts['region']}, which is not asked from here")
    wanted = {"imageTag": parts["tag"]} if parts["tag"] else {"imageDigest": parts["digest"]}
    try:
        found = context.client("ecr").describe_images(
            registryId=parts["account"], repositoryName=parts["repository"], imageIds=[wanted]
        )["imageDetails"]
    except ClientError as error:
        if not is_missing(error):
            raise
        found = []
    if found:
        digest = found[0].get("imageDigest")
        if parts["tag"] and digest:
            by_digest = f"{image.partition(':')[0]}@{digest}"
            return ok(f"{name}, in {image}; in production name it by digest: {by_digest}")
        return ok(f"{name}, in {image}")
    return failed(
        f"the image with {needed.software} is missing: {image}",
        f"{needed.remedy}, then: docker push {image}",
    )


CHECKS = (Check("compiler", compiler, ("automation",)),)
