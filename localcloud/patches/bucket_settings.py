"""Properties of ``AWS::S3::Bucket`` that MiniStack's CloudFormation drops."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring


def keep_bucket_settings() -> None:
    """``AWS::S3::Bucket`` drops BucketEncryption and LifecycleConfiguration."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    provisioners._S3_BUCKET_CONFIGURATIONS += (
        ("BucketEncryption", _encryption, s3._put_bucket_encryption, s3._delete_bucket_encryption),
        (
            "LifecycleConfiguration",
            _lifecycle,
            s3._put_bucket_lifecycle,
            s3._delete_bucket_lifecycle,
        ),
    )


def _encryption(value: Any) -> bytes:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import s3

    root = Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for rule in value.get("ServerSideEncryptionConfiguration") or []:
        entry = SubElement(root, "Rule")
        default = SubElement(entry, "ApplyServerSideEncryptionByDefault")
        source = dict(rule.get("ServerSideEncryptionByDefault") or {})
        if str(source.get("SSEAlgorithm", "")).startswith("aws:kms"):
            own = f"arn:aws:kms:{get_region()}:{get_account_id()}:alias/aws/s3"
            source.setdefault("KMSMasterKeyID", own)
        for key in ("SSEAlgorithm", "KMSMasterKeyID"):
            if source.get(key):
                SubElement(default, key).text = str(source[key])
        SubElement(entry, "BucketKeyEnabled").text = str(
            rule.get("BucketKeyEnabled", False)
        ).lower()
    return tostring(root)


def _lifecycle(value: Any) -> bytes:
    from ministack.services import s3

    root = Element("LifecycleConfiguration", xmlns=s3.S3_NS)
    for number, rule in enumerate(value.get("Rules") or []):
        entry = SubElement(root, "Rule")
        SubElement(entry, "ID").text = rule.get("Id", f"rule-{number}")
        SubElement(entry, "Status").text = rule["Status"]
        SubElement(SubElement(entry, "Filter"), "Prefix").text = rule.get("Prefix", "")
        if "ExpirationInDays" in rule:
            SubElement(SubElement(entry, "Expiration"), "Days").text = str(rule["ExpirationInDays"])
        noncurrent = rule.get("NoncurrentVersionExpiration")
        if noncurrent:
            parent = SubElement(entry, "NoncurrentVersionExpiration")
            SubElement(parent, "NoncurrentDays").text = str(noncurrent["NoncurrentDays"])
        abort = rule.get("AbortIncompleteMultipartUpload")
        if abort:
            parent = SubElement(entry, "AbortIncompleteMultipartUpload")
            SubElement(parent, "DaysAfterInitiation").text = str(abort["DaysAfterInitiation"])
    return tostring(root)
