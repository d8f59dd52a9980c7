"""What else a deployment stands on: signatures, conditional writes, parameters, access control."""

from __future__ import annotations

import hashlib

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from localcloud import LocalCloud
from tests.running_cloud import Client, client_of


def test_kms_signs_with_p256_so_that_anyone_can_verify(client: Client) -> None:
    kms = client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    digest = hashlib.sha256(b"manifest").digest()
    signature = kms.sign(
        KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
    )["Signature"]
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_s3_writes_once_and_compares_before_it_swaps(client: Client, bucket: str) -> None:
    s3 = client("s3")
    tag = s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")["ETag"]
    s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfMatch=tag)
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": tag}):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="once", Body=b"3", **condition)
        assert error.value.response["Error"]["Code"] == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="once")["Body"].read() == b"2"


def test_parameters_are_found_by_their_path(client: Client) -> None:
    ssm = client("ssm")
    ssm.put_parameter(Name="/cards/dev/group-name", Value="models", Type="String")
    found = ssm.get_parameters_by_path(Path="/cards/dev")["Parameters"]
    assert [(p["Name"], p["Value"]) for p in found] == [("/cards/dev/group-name", "models")]


def test_unknown_key_is_refused(cloud: LocalCloud) -> None:
    unknown = client_of(cloud, aws_access_key_id="AKIAIOSFODNN7", aws_secret_access_key="x")
    for ask in (
        unknown("sagemaker").list_model_package_groups,
        unknown("s3").list_buckets,
    ):
        with pytest.raises(ClientError) as error:
            ask()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
