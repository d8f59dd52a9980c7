"""The errors of AWS that the product decides by: code, words, and where each is documented.

Services tell cases apart by their code, and SageMaker's registry and jobs by the words of their
message alone. Nothing else in the product compares codes or words, so that an answer which differs
from what is known is entered here, with its source, and counts everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from botocore.exceptions import ClientError


class Meaning(Enum):
    """What an error says, for whoever made the call."""

    #: What was asked for does not exist.
    MISSING = auto()
    #: S3 has no such bucket or version, or no object can have such an address.
    NO_SUCH_ADDRESS = auto()
    #: S3 has no such bucket.
    NO_BUCKET = auto()
    #: The caller may not.
    DENIED = auto()
    #: A conditional write found that another writer was first.
    LOST_WRITE = auto()
    #: What was to be created exists.
    TAKEN = auto()
    #: The limit of lineage entities is reached.
    FULL = auto()
    #: Another update of the same version was under way.
    CONCURRENT_UPDATE = auto()
    #: A job that was to be stopped has ended by itself, or is gone.
    ENDED = auto()
    #: S3 refuses this one object to everybody: archived, or encrypted with somebody's own key.
    UNREADABLE = auto()
    #: The bytes that arrived are not those that the sender's checksum is of.
    OTHER_BYTES = auto()
    #: The object is still the one that the caller has.
    NOT_MODIFIED = auto()
    #: The object is another one than the part that the caller has, or has no such range.
    NOT_RESUMABLE = auto()
    #: The signature is not the key's.
    WRONG_SIGNATURE = auto()


@dataclass(frozen=True)
class KnownError:
    """One answer of AWS.

    Attributes:
        code: Its code; one that ends in ``*`` stands for every code with that beginning.
        source: Where the code, and the words with it, are documented or were seen.
        words: What its message contains; empty where the code suffices.
    """

    code: str
    source: str
    words: str = ""

    def fits(self, code: str, message: str) -> bool:
        """Whether an error is this one."""
        named = code.startswith(self.code[:-1]) if self.code.endswith("*") else code == self.code
        return named and self.words in message


_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
_S3_CONDITIONS = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"
_S3_HEAD = "https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html"
_SAGEMAKER = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
_COMMON = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html"
#: AWS's own controllers, which tell "there is none" by these words.
_CONTROLLERS = (
    "https://github.com/aws-controllers-k8s/sagemaker-controller/blob/main/generator.yaml"
)
_SDK_2 = "https://github.com/aws/sagemaker-python-sdk/blob/v2.257.7/src/sagemaker/"

KNOWN: Mapping[Meaning, tuple[KnownError, ...]] = {
    Meaning.MISSING: (
        KnownError("NoSuchKey", _S3),
        # A HEAD has no body: botocore takes the status for the code.
        KnownError("404", _S3_HEAD),
        KnownError("ResourceNotFound", f"{_SAGEMAKER}API_DescribeProcessingJob.html"),
        # Not what its reference page lists: amazon-sagemaker-examples#2360, aws-sdk#165.
        KnownError("ValidationException", _CONTROLLERS, "Requested resource not found"),
        KnownError("ValidationException", _CONTROLLERS, "Could not find"),
        KnownError("ValidationException", _CONTROLLERS, "does not exist"),
        KnownError(
            "ValidationError",
            "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html",
            "does not exist",
        ),
        KnownError(
            "ResourceNotFoundException",
            "https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html",
        ),
        KnownError(
            "NotFound",
            "https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html",
        ),
        KnownError(
            "ServerSideEncryptionConfigurationNotFoundError",
            "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html",
        ),
        KnownError(
            "RepositoryNotFoundException",
            "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html",
        ),
        KnownError(
            "ImageNotFoundException",
            "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html",
        ),
        KnownError(
            "NoSuchEntity",
            "https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html",
        ),
        # The code of SQS's query protocol, which its JSON protocol still sends beside the name.
        KnownError(
            "AWS.SimpleQueueService.NonExistentQueue",
            "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html",
        ),
        KnownError(
            "QueueDoesNotExist",
            "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html",
        ),
    ),
    Meaning.NO_SUCH_ADDRESS: (
        KnownError("NoSuchBucket", _S3),
        KnownError("NoSuchVersion", _S3),
        KnownError("InvalidArgument", _S3),
        KnownError("InvalidBucketName", _S3),
        KnownError("400", _S3_HEAD),
    ),
    Meaning.NO_BUCKET: (KnownError("NoSuchBucket", _S3),),
    Meaning.DENIED: (
        KnownError("AccessDenied", _S3),
        KnownError("403", _S3_HEAD),
        KnownError("AllAccessDisabled", _S3),
        KnownError("AccessDeniedException", _COMMON),
        KnownError(
            "UnauthorizedOperation",
            "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
        ),
        KnownError(
            "AuthorizationError",
            "https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html",
        ),
    ),
    Meaning.LOST_WRITE: (
        KnownError("PreconditionFailed", _S3_CONDITIONS),
        KnownError("ConditionalRequestConflict", _S3_CONDITIONS),
        # If-Match, and the object was deleted in between.
        KnownError("NoSuchKey", _S3_CONDITIONS),
    ),
    Meaning.TAKEN: (
        KnownError("ResourceInUse", f"{_SAGEMAKER}API_CreateProcessingJob.html"),
        # Lineage: its reference lists no error for what exists; SageMaker's own SDK takes this one.
        KnownError("ValidationException", f"{_SDK_2}serve/utils/lineage_utils.py"),
        KnownError("ConflictException", f"{_SAGEMAKER}API_CreateModelPackage.html"),
    ),
    Meaning.FULL: (KnownError("ResourceLimitExceeded", f"{_SAGEMAKER}API_CreateArtifact.html"),),
    Meaning.CONCURRENT_UPDATE: (
        KnownError("ConflictException", f"{_SAGEMAKER}API_UpdateModelPackage.html"),
    ),
    Meaning.ENDED: (
        KnownError("ResourceNotFound", f"{_SAGEMAKER}API_StopProcessingJob.html"),
        # The SDK takes the code for "already stopped or not running", whatever the words.
        KnownError("ValidationException", f"{_SDK_2}session.py"),
    ),
    Meaning.UNREADABLE: (
        KnownError("InvalidObjectState", _S3),
        KnownError("InvalidRequest", _S3),
        KnownError("KMS.*", _S3),
        KnownError(
            "AccessDenied",
            "https://repost.aws/knowledge-center/s3-access-denied-error-kms",
            "kms:",
        ),
    ),
    Meaning.OTHER_BYTES: (
        KnownError("BadDigest", _S3),
        KnownError("XAmzContentChecksumMismatch", _S3),
        KnownError("InvalidRequest", _S3),
    ),
    Meaning.NOT_MODIFIED: (KnownError("304", _S3_HEAD), KnownError("NotModified", _S3)),
    Meaning.NOT_RESUMABLE: (
        KnownError("PreconditionFailed", _S3),
        KnownError("412", _S3_HEAD),
        KnownError("InvalidRange", _S3),
        KnownError("416", _S3_HEAD),
    ),
    Meaning.WRONG_SIGNATURE: (
        KnownError(
            "KMSInvalidSignatureException",
            "https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html",
        ),
    ),
}


def error_code(error: ClientError) -> str:
    """AWS's code of an error, for example ``ValidationException``: for messages."""
    return str(error.response.get("Error", {}).get("Code", ""))


def means(error: ClientError, meaning: Meaning) -> bool:
    """Whether an error says this, by what is known of AWS's errors."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return any(known.fits(error_code(error), message) for known in KNOWN[meaning])


def is_missing(error: ClientError) -> bool:
    """Whether the error says that the thing asked for does not exist."""
    return means(error, Meaning.MISSING)


def is_denied(error: ClientError) -> bool:
    """Whether the error says that the caller may not do it."""
    return means(error, Meaning.DENIED)
