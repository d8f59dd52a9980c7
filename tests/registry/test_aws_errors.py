"""What AWS's errors mean is decided in one file, which says where each answer is documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from registry.aws_errors import KNOWN, Meaning, is_denied, is_missing, means

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "registry/aws_errors.py"
PACKAGES = (
    *("registry", "lambdas", "recognition", "training", "export"),
    *("edge", "infra", "cli", "scripts"),
)
#: Codes that are ordinary words elsewhere.
ORDINARY = {"304", "400", "403", "404", "412", "416"}


def error(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        # DescribeTrainingJob: aws/amazon-sagemaker-examples#2360
        ("ValidationException", "Requested resource not found."),
        # DescribeProcessingJob, DescribeModelPackage: AWS's controllers
        ("ValidationException", "Could not find requested job with name: compile-1"),
        (
            "ValidationException",
            "ModelPackage arn:aws:sagemaker:…:model-package/m/9 does not exist.",
        ),
        ("ResourceNotFound", "Action x does not exist"),
        ("NoSuchKey", "The specified key does not exist."),
        ("404", "Not Found"),
    ],
)
def test_each_documented_answer_for_what_is_not_there_is_missing(code: str, message: str) -> None:
    assert is_missing(error(code, message))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "1 validation error detected: Value at 'trainingJobName' failed"),
        ("ValidationException", "ARN should be scoped to correct region: us-west-2"),
        ("AccessDeniedException", "is not authorized; the role does not exist"),
        ("ThrottlingException", "Rate exceeded"),
        ("NoSuchBucket", "The specified bucket does not exist"),
    ],
)
def test_another_refusal_is_not_missing(code: str, message: str) -> None:
    assert not is_missing(error(code, message))


def test_object_that_was_deleted_in_between_is_a_lost_write() -> None:
    for code in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
        assert means(error(code), Meaning.LOST_WRITE)
    assert not means(error("NoSuchBucket"), Meaning.LOST_WRITE)


def test_object_under_a_key_of_somebody_else_is_unreadable_and_other_denials_are_not() -> None:
    refused = "is not authorized to perform: kms:Decrypt on resource"
    assert means(error("AccessDenied", refused), Meaning.UNREADABLE)
    assert means(error("KMS.DisabledException"), Meaning.UNREADABLE)
    assert not means(error("AccessDenied", "Access Denied"), Meaning.UNREADABLE)
    assert is_denied(error("AccessDenied", "Access Denied"))


def test_every_meaning_has_errors_and_every_error_a_source() -> None:
    assert set(KNOWN) == set(Meaning)
    for meaning, errors in KNOWN.items():
        assert errors, meaning
        for each in errors:
            assert re.fullmatch(r"https://[\w.-]+/\S+", each.source), (meaning, each.code)


#: They answer in AWS's place, for a dry run, and decide nothing.
ANSWERS = {
    "cli/operations/account/dry_objects.py",
    "cli/operations/account/product_requests.py",
}


def test_no_other_module_decides_by_codes_or_words_of_errors() -> None:
    codes = {each.code.rstrip("*") for errors in KNOWN.values() for each in errors} - ORDINARY
    found = [
        f"{file.relative_to(ROOT)}:{line}: {what}"
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        if file != TABLE and file.relative_to(ROOT).as_posix() not in ANSWERS
        for line, what in _decisions(ast.parse(file.read_text(encoding="utf-8")), codes)
    ]
    assert found == [], "enter the answer in registry/aws_errors.py and ask means(error, …)"


def _decisions(tree: ast.AST, codes: set[str]) -> Iterator[tuple[int, str]]:
    """Comparisons of an error's code with a text, and of a client error's words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in codes:
            yield node.lineno, str(node.value)
        if isinstance(node, ast.Compare):
            sides = [ast.unparse(each) for each in (node.left, *node.comparators)]
            if any(re.search(r"error_code\(|\['Code'\]|\.response\b", each) for each in sides):
                yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.ExceptHandler) and node.type and node.name:
            if "ClientError" not in ast.unparse(node.type):
                continue
            for each in ast.walk(node):
                words = f"str({node.name})"
                if isinstance(each, ast.Compare) and words in ast.unparse(each):
                    yield each.lineno, ast.unparse(each)


def test_search_for_decisions_finds_each_form() -> None:
    forms = """
try:
    call()
except ClientError as error:
    if error_code(error) == "Anything": pass
    if error.response["Error"]["Code"] in ("Anything",): pass
    if "gone" in str(error): pass
    known = ("NoSuchKey",)
"""
    assert len(list(_decisions(ast.parse(forms), {"NoSuchKey"}))) == 4
