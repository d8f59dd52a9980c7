"""One name for each model, and one model for each name, whoever else claims."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from localcloud import LocalCloud
from registry.versions.name_claims import claim_name
from tests.faults import Faults, Killed
from tests.running_cloud import Client, client_of

LINE = ("student", "efficientnet-lite0", "stage1")


def claim(s3: Any, bucket: str, source: str) -> str:
    return str(claim_name(s3, bucket, *LINE, source=source))


def test_versions_count_within_a_line(client: Client, bucket: str) -> None:
    s3 = client("s3")
    names = [claim(s3, bucket, source) for source in ("a", "b", "c")]
    assert names == [f"student-efficientnet-lite0-stage1-v{n}" for n in (1, 2, 3)]
    other = claim_name(s3, bucket, "teacher", "vit-tiny", "phase2", source="d")
    assert str(other) == "teacher-vit-tiny-phase2-v1"


def test_repeated_claim_gets_the_same_name(client: Client, bucket: str) -> None:
    s3 = client("s3")
    first = claim(s3, bucket, "a")
    claim(s3, bucket, "b")
    assert claim(s3, bucket, "a") == first


def test_two_claims_at_the_same_moment_are_two_names(cloud: LocalCloud, bucket: str) -> None:
    names: list[str] = []
    start = threading.Barrier(6)

    def run(source: str) -> None:
        s3 = client_of(cloud)("s3")
        start.wait()
        names.append(claim(s3, bucket, source))

    threads = [threading.Thread(target=run, args=(f"source {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == [f"student-efficientnet-lite0-stage1-v{n}" for n in range(1, 7)]


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_conflict_without_an_owner_is_retried(client: Client, bucket: str, code: str) -> None:
    faults, s3 = Faults(), client("s3")
    faults.client(s3)
    faults.fail(s3, "PutObject", code, status=409 if code.startswith("Cond") else 412)
    # Nobody holds the name after all: it is taken by the second try.
    assert claim(s3, bucket, "a") == "student-efficientnet-lite0-stage1-v1"
    assert faults.calls["PutObject"] == 2


def test_claim_with_lost_response_belongs_to_the_claimer(client: Client, bucket: str) -> None:
    faults, s3 = Faults(), client("s3")
    faults.client(s3)
    faults.lose_answer(s3, "PutObject")
    assert claim(s3, bucket, "a") == "student-efficientnet-lite0-stage1-v1"
    assert claim(s3, bucket, "b") == "student-efficientnet-lite0-stage1-v2"


def test_claimer_killed_before_writing_claims_nothing(client: Client, bucket: str) -> None:
    faults, s3 = Faults(), client("s3")
    faults.die_before(s3, "PutObject")
    with pytest.raises(Killed):
        claim(s3, bucket, "a")
    assert claim(s3, bucket, "b") == "student-efficientnet-lite0-stage1-v1"


def test_more_claims_than_a_page(client: Client, bucket: str) -> None:
    s3 = client("s3")

    def short_pages(params: dict[str, Any], **_: Any) -> None:
        params.setdefault("MaxKeys", 2)

    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", short_pages)
    names = [claim(s3, bucket, f"source {n}") for n in range(5)]
    assert names[-1] == "student-efficientnet-lite0-stage1-v5"
    assert claim(s3, bucket, "source 3") == names[3]


def test_unreadable_claim_belongs_to_another(client: Client, bucket: str) -> None:
    s3 = client("s3")
    s3.put_object(
        Bucket=bucket, Key="names/student-efficientnet-lite0-stage1/v1.json", Body=b"not JSON"
    )
    s3.put_object(Bucket=bucket, Key="names/student-efficientnet-lite0-stage1/vX.json", Body=b"{}")
    assert claim(s3, bucket, "a") == "student-efficientnet-lite0-stage1-v2"
