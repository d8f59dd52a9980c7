"""No id, name or time of an account survives in what is kept of its answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cli.operations.account.anonymising import BASE, Vocabulary, anonymised, vocabulary

KNOWN = vocabulary("sagemaker", "iam", "s3")
#: What people call things: letters and digits with the signs that AWS takes in names.
NAMES = st.from_regex(r"[a-zäø][a-z0-9é]{3,8}[-_.][a-z0-9]{4,12}", fullmatch=True).filter(
    lambda name: not name.startswith("name-")
)
ACCOUNTS = st.from_regex(r"[2-9][0-9]{11}", fullmatch=True)
TIMES = st.datetimes(
    datetime(2027, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)
).map(lambda moment: moment.replace(microsecond=0))  # fmt: skip


def documents(account: str, group: str, person: str, request: str, moment: datetime) -> list[Any]:
    arn = f"arn:aws:sagemaker:us-east-2:{account}:model-package/{group}/7"
    return [
        {
            "operation": "DescribeModelPackage",
            "parameters": {"ModelPackageName": arn},
            "answer": {
                "ModelPackageArn": arn,
                "ModelPackageGroupName": group,
                "ModelApprovalStatus": "Approved",
                "CreationTime": moment,
                "CreatedBy": {
                    "IamIdentity": {
                        "Arn": f"arn:aws:sts::{account}:assumed-role/{group}/{person}",
                        "PrincipalId": f"AROAEXAMPLE:{person}",
                    }
                },
                "CustomerMetadataProperties": {person: f"s3://{group}/{person}.txt"},
                "ModelCard": {"ModelCardContent": json.dumps({"made_by": person})},
                "ResponseMetadata": {
                    "RequestId": request,
                    "HTTPHeaders": {"date": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")},
                },
            },
        },
        {"Error": {"Code": "ValidationException", "Message": f"{arn} of {person}. Try again."}},
        {
            "detail-type": "SageMaker Model Package State Change",
            "account": account,
            "time": (moment + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "detail": {
                "ModelPackageGroupName": group,
                "CreationTime": str(round(moment.timestamp() * 1000)),
                "LastModifiedTime": round(moment.timestamp() * 1000) + 3000,
            },
        },
    ]


@given(ACCOUNTS, NAMES, NAMES, st.uuids(), TIMES)
def test_no_id_or_name_survives(
    account: str, group: str, person: str, request: Any, moment: datetime
) -> None:
    assume(group != person)
    before = documents(account, group, person, str(request), moment)
    text = json.dumps(anonymised(before, KNOWN), ensure_ascii=False)
    for secret in (account, group, person, str(request), str(moment.year)):
        assert secret not in text
    assert str(round(moment.timestamp() * 1000)) not in text


@given(st.recursive(NAMES | st.integers(0, 999), lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20))  # fmt: skip
def test_no_word_outside_the_vocabulary_survives_wherever_it_stands(document: Any) -> None:
    nothing = Vocabulary(frozenset(), frozenset())
    text = json.dumps(anonymised([document], nothing), ensure_ascii=False)
    for word in words(document):
        assert word not in text


def words(document: Any) -> set[str]:
    if isinstance(document, dict):
        return {*document, *(each for item in document.values() for each in words(item))}
    if isinstance(document, list):
        return {each for item in document for each in words(item)}
    return {document} if isinstance(document, str) else set()


@given(ACCOUNTS, NAMES, NAMES, st.uuids(), TIMES)
def test_replacements_agree_and_the_form_stays(
    account: str, group: str, person: str, request: Any, moment: datetime
) -> None:
    assume(group != person)
    before = documents(account, group, person, str(request), moment)
    described, error, event = anonymised(before, KNOWN)
    answer = described["answer"]
    assert answer["ModelApprovalStatus"] == "Approved"
    name, number = answer["ModelPackageGroupName"], event["account"]
    assert answer["ModelPackageArn"] == (
        f"arn:aws:sagemaker:us-east-2:{number}:model-package/{name}/7"
    )
    assert described["parameters"]["ModelPackageName"] == answer["ModelPackageArn"]
    assert len(number) == 12 and number.isdigit()
    assert event["detail"]["ModelPackageGroupName"] == name
    assert error["Error"]["Code"] == "ValidationException"
    assert error["Error"]["Message"].startswith(answer["ModelPackageArn"])
    assert error["Error"]["Message"].endswith(". Try again.")
    assert answer["CreationTime"] == BASE.isoformat()
    assert event["time"] == "2026-01-01T00:00:03Z"
    assert event["detail"]["CreationTime"] == str(round(BASE.timestamp() * 1000))
    assert event["detail"]["LastModifiedTime"] == round(BASE.timestamp() * 1000) + 3000


@pytest.mark.parametrize("document", [[], {}, None, True, 0.5, "", "Approved", "arn:aws:s3:::"])
def test_what_identifies_nobody_stays(document: Any) -> None:
    assert anonymised([document], KNOWN) == [document]


def test_originals_are_not_changed() -> None:
    document = {"ModelPackageGroupName": "ours", "Tags": [{"Key": "team", "Value": "cards"}]}
    before = json.dumps(document)
    assert anonymised([document], KNOWN) != [document]
    assert json.dumps(document) == before
