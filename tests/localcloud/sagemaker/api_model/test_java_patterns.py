"""Patterns of AWS's service models, read as Java reads them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import botocore.session
import pytest
from botocore.model import Shape

from localcloud.sagemaker.actions import ACTIONS
from localcloud.sagemaker.api_model.java_patterns import fits

#: The services that the product and its clients send requests to.
SERVICES = (
    *("sagemaker", "s3", "sts", "iam", "ssm", "kms", "lambda", "events", "logs", "sqs", "sns"),
    *("cloudformation", "cloudwatch", "ecr", "ec2", "budgets", "secretsmanager"),
    *("sagemaker-runtime", "codebuild", "stepfunctions", "xray", "ram", "dynamodb", "cloudtrail"),
)
#: One character of each general category, of ASCII and beyond it.
CHARACTERS = [
    *map(chr, range(0x20, 0x7F)),
    *"éßΩжمש字ひ한\u0301\u0903²½٣Ⅷ—«‿€±§©°ˆ\u00a0\u2003\u2028\u3000😀𝒳",
    *"\t\n\r\x0b\x00\x7f\x85\u200b\ufeff\ue000",
]
CATEGORY_CLASS = re.compile(r"\[((?:\\p\{[LMNPSZ]\}|\\.|[^\]\\])+)\](?:[*+]|\{\d+,\d+\})")


def patterns(shape: Shape | None, seen: set[str]) -> Iterator[str]:
    """Every pattern of a request, at whatever depth."""
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    if "pattern" in shape.metadata:
        yield shape.metadata["pattern"]
    for member in getattr(shape, "members", {}).values():
        yield from patterns(member, seen)
    for part in ("member", "key", "value"):
        if hasattr(shape, part):
            yield from patterns(getattr(shape, part), seen)


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_every_request_is_read(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    seen: set[str] = set()
    for name in model.operation_names:
        for pattern in patterns(model.operation_model(name).input_shape, seen):
            assert fits(pattern, "x") in (True, False)


def request_patterns() -> set[str]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    found: set[str] = set()
    for name in ACTIONS:
        found |= set(patterns(model.operation_model(name).input_shape, set()))
    return found


def test_classes_of_unicode_hold_what_unicode_says() -> None:
    """Patterns of one repeated class, against the general categories of the standard library."""
    checked = 0
    for pattern in request_patterns():
        found = CATEGORY_CLASS.fullmatch(
            pattern.replace("${1,128}", "").replace("${1,256}", "").strip("()")
        )
        if not found or r"\p" not in pattern:
            continue
        checked += 1
        categories = set(re.findall(r"\\p\{(.)\}", found[1]))
        literal = re.sub(r"\\p\{.\}", "", found[1]).replace("\\", "")
        for character in CHARACTERS:
            expected = unicodedata.category(character)[0] in categories or character in literal
            assert fits(pattern, character) is expected, (pattern, character)
    assert checked >= 5


@pytest.mark.parametrize("character", "!\"#%&'()*,-./:;?@[\\]_{}")
def test_source_uri_takes_ascii_punctuation(character: str) -> None:
    assert fits(r"[\p{L}\p{M}\p{Z}\p{N}\p{P}]{0,1024}", f"s3://bucket/a{character}b")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"\w+", "é", False),
        (r"[\w\-]+", "a-b_1", True),
        (r"[\w\-]+", "ä", False),
        (r"\d{12}", "٣" * 12, False),
        (r"[\S]+", "a\u00a0b", True),
        (r"[^\s]+", "a b", False),
        (r"[\S\s]*", "a\n b", True),
        (r".*", "one\ntwo", False),
        (r".*", "one\u2028two", False),
        (r"a\.b", "axb", False),
        (r"[.]", "x", False),
        (r"arn:[\p{Alnum}\-]+:lambda:.*", "arn:aws-cn:lambda:x", True),
        (r"[\p{Alnum}]+", "é", False),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "😀 \t", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "\x00", False),
        (r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}", "key=ä", True),
        (r"([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,128}", "100%", False),
        (r"\A\S[\p{Print}]*\z", "a b~", True),
        (r"\A\S[\p{Print}]*\z", "aé", False),
        (r"\p{Print}+", "a\u2003b", False),
        (r"\p{ASCII}*", "\x00\x7f", True),
        (r"\p{ASCII}*", "é", False),
        (r"[\p{Upper}\p{XDigit}]+", "ZafÉ", False),
        (r"\p{Punct}+", "!/:@[`{~\\]^", True),
        (r"\p{Punct}", "—", False),
        (r"\p{Space}", "\u00a0", False),
        (r"(?s).*", "SELECT a\nFROM b", True),
        (r"[\w-_:]+", "a-_:", True),
    ],
)
def test_pattern_is_read_as_java_reads_it(pattern: str, text: str, expected: bool) -> None:
    assert fits(pattern, text) is expected
