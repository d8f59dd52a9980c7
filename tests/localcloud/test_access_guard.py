"""Attacks on the local cloud's port: web pages, foreign host names, wrong signatures or none."""

from __future__ import annotations

import http.client
import json
import stat
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.running_cloud import Client, client_of

LIST = {"X-Amz-Target": "SageMaker.ListModelPackageGroups"}
JSON = {"Content-Type": "application/x-amz-json-1.1"}


def signed(
    cloud: LocalCloud, headers: Mapping[str, str], body: bytes = b"{}", secret: str | None = None
) -> dict[str, str]:
    """Headers of a signed POST to SageMaker."""
    variables = cloud.env()
    request = AWSRequest("POST", f"{cloud.endpoint}/", headers=dict(headers), data=body)
    keys = Credentials(variables["AWS_ACCESS_KEY_ID"], secret or variables["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(keys, "sagemaker", variables["AWS_REGION"]).add_auth(request)
    return dict(request.headers.items())


def send(
    cloud: LocalCloud,
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    path: str = "/",
    body: bytes = b"{}",
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_signed_request_is_answered(cloud: LocalCloud) -> None:
    status, text = send(cloud, signed(cloud, {**LIST, **JSON}))
    assert status == 200 and "ModelPackageGroupSummaryList" in text


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:8000", "null"])
def test_request_of_a_web_page_is_refused_even_if_signed(cloud: LocalCloud, origin: str) -> None:
    headers = signed(cloud, {**LIST, **JSON})
    status, text = send(cloud, {**headers, "Origin": origin})
    assert status == 403 and "web pages" in text


def test_preflight_of_a_web_page_is_refused(cloud: LocalCloud) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    status, _text = send(cloud, asked, method="OPTIONS", body=b"")
    assert status == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.nip.io:{port}"])
def test_foreign_host_is_refused(cloud: LocalCloud, host: str) -> None:
    named = {"Host": host.format(port=cloud.port)}
    for headers in ({**LIST, **JSON, **named}, signed(cloud, {**LIST, **JSON, **named})):
        status, text = send(cloud, headers)
        assert status == 403 and "Host" in text
    assert send(cloud, named, method="GET", path="/_localcloud/ready", body=b"")[0] == 403


def test_host_localhost_is_accepted(cloud: LocalCloud) -> None:
    headers = signed(cloud, {**LIST, **JSON, "Host": f"localhost:{cloud.port}"})
    assert send(cloud, headers)[0] == 200


def test_wrong_secret_is_refused_for_every_kind_of_key(cloud: LocalCloud, client: Client) -> None:
    user = client("iam").create_user(UserName="guarded")["User"]["UserName"]
    key = client("iam").create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    for key_id in ("test", "000000000000", "123456789012", key, "AKIAUNKNOWN"):
        wrong = client_of(cloud, aws_access_key_id=key_id, aws_secret_access_key="test")
        calls: list[Any] = [
            wrong("sagemaker").list_model_package_groups,
            wrong("s3").list_buckets,
            wrong("sts").get_caller_identity,
            wrong("lambda").list_functions,
            wrong("ssm").describe_parameters,
        ]
        for call in calls:
            with pytest.raises(ClientError) as error:
                call()
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_changed_body_is_refused(cloud: LocalCloud) -> None:
    headers = signed(cloud, {**LIST, **JSON}, body=b"{}")
    status, text = send(cloud, headers, body=b'{"MaxResults": 1}')
    assert status in (400, 403) and "ignature" in text


def test_old_signature_is_refused(cloud: LocalCloud) -> None:
    headers = signed(cloud, {**LIST, **JSON})
    stamp = headers["X-Amz-Date"]
    old = {key: value.replace(stamp[:8], "20200101") for key, value in headers.items()}
    status, _text = send(cloud, old)
    assert status in (400, 403)


@pytest.mark.parametrize("path", ["/", "/work", "/work/allowed/x", "/_aws/sqs/messages"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_unsigned_request_is_refused(
    cloud: LocalCloud, bucket: str, method: str, path: str
) -> None:
    for headers in (
        {},
        {**LIST, **JSON},
        {"Authorization": "Bearer x"},
        {"Authorization": "AWS a:b"},
    ):
        status, _text = send(cloud, headers, method=method, path=path, body=b"")
        assert status in (400, 403), (method, path, headers)


def test_request_that_only_names_a_root_key_is_refused(cloud: LocalCloud) -> None:
    scope = "test/20260101/us-east-2/s3/aws4_request"
    named = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    assert send(cloud, {**LIST, **JSON, "Authorization": named})[0] in (400, 403)
    query = f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}"
    assert send(cloud, {}, method="GET", path=f"/work{query}", body=b"")[0] in (400, 403)


def test_administration_of_ministack_is_refused_even_if_signed(
    cloud: LocalCloud, client: Client, bucket: str
) -> None:
    for path in ("/_ministack/reset", "/_ministack/config", "/_localstack/state/reset"):
        assert send(cloud, {}, path=path)[0] == 403
    assert client("s3").head_bucket(Bucket=bucket)


def test_presigned_address_is_answered_and_a_changed_one_refused(
    cloud: LocalCloud, client: Client, bucket: str
) -> None:
    client("s3").put_object(Bucket=bucket, Key="presigned one", Body=b"content")
    asked = {"Bucket": bucket, "Key": "presigned one"}
    url = client("s3").generate_presigned_url("get_object", Params=asked)
    path = url.removeprefix(cloud.endpoint)
    assert send(cloud, {}, method="GET", path=path, body=b"") == (200, "content")
    changed = path.replace("presigned%20one", "another")
    assert send(cloud, {}, method="GET", path=changed, body=b"")[0] == 403


def test_large_upload_in_parts_is_answered(client: Client, bucket: str) -> None:
    from io import BytesIO

    content = bytes(range(256)) * 50_000
    client("s3").upload_fileobj(BytesIO(content), bucket, "large")
    assert client("s3").get_object(Bucket=bucket, Key="large")["Body"].read() == content


def test_state_folder_and_secret_are_private(cloud: LocalCloud) -> None:
    assert stat.S_IMODE(cloud.state_dir.stat().st_mode) == 0o700
    secret = cloud.state_dir / "local-cloud-secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_text()) == 40
    assert cloud.env()["AWS_SECRET_ACCESS_KEY"] == secret.read_text()


def test_health_needs_no_signature_and_contains_no_state(cloud: LocalCloud) -> None:
    status, text = send(cloud, {}, method="GET", path="/_localcloud/ready", body=b"")
    assert status == 200 and set(json.loads(text)) == {"process", "MLflow"}
