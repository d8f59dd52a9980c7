"""Replaces whatever could say whose account an answer or event is from.

Nothing is looked for and removed. It is the other way round: each word of a text is replaced unless
it belongs to AWS's own vocabulary, so a name that nobody thought of is replaced, too. The same word
has the same replacement everywhere, so that an ARN still ends in the name that stands beside it.
Times are moved, all by the same step, so that what came first still does. In a service's messages,
which are sentences, only the words are replaced that stand elsewhere as a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

#: When the first of the recorded times is said to have been.
BASE = datetime(2026, 1, 1, tzinfo=UTC)
#: Members that hold a sentence of the service's own.
SENTENCES = frozenset({"Message", "message", "FailureReason", "StatusMessage", "errorMessage"})
#: Members that hold a service's own code of an error.
CODES = frozenset({"Code", "__type"})
#: Words of ARNs, addresses, times and events that no service's model lists.
_COMMON = frozenset(
    """
    arn aws aws-cn aws-us-gov s3 https http amazonaws com dkr ecr root true false none null UTC GMT
    model-package model-package-group training-job processing-job mlflow-app mlflow-tracking-server
    artifact action context lineage-group role user assumed-role policy key function rule parameter
    event-bus repository log-group stack alias topic sagemaker kms iam sts sns sqs lambda events
    ssm logs cloudformation aws.sagemaker application json x-amz-json-1.1
    SageMaker Model Package Training Processing Job State Change
    version id detail-type source account time region resources detail
    service operation parameters answer
    """.split()  # noqa: SIM905 (a page of quoted words would be harder to read)
)
_CODE = re.compile(r"[A-Z][A-Za-z0-9.]{2,60}")
_WORD = re.compile(r"[\w.+=@~-]+")
_REGION = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx|cn)(?:-gov)?-[a-z]+-\d")
_ACCOUNT = re.compile(r"\d{12}")
_SMALL = re.compile(r"\d{1,4}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-f]{32,128}")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_MILLISECONDS = re.compile(r"[12]\d{12}")
_SECONDS = re.compile(r"1\d{9}(?:\.\d+)?")


@dataclass(frozen=True)
class Vocabulary:
    """What AWS's own models say: these words identify nobody.

    Attributes:
        members: Names of members of structures.
        values: Values that an enumeration allows.
    """

    members: frozenset[str]
    values: frozenset[str]


@cache
def vocabulary(*services: str) -> Vocabulary:
    """The vocabulary of some services, by botocore's models.

    Args:
        services: As boto3 names them.
    """
    from botocore.loaders import Loader

    members, values = set[str](), set[str]()
    for service in services:
        model = Loader().load_service_model(service, "service-2")
        for shape in model["shapes"].values():
            members |= set(shape.get("members", {}))
            values |= set(shape.get("enum", ()))
            values |= {shape["error"]["code"]} if shape.get("error", {}).get("code") else set()
        members |= set(model["shapes"])
        values |= set(model["operations"])
    # An answer's frame, as botocore hands it over.
    members |= {"ResponseMetadata", "HTTPStatusCode", "RetryAttempts", "Error", "Code", "Message"}
    return Vocabulary(frozenset(members), frozenset(values))


def anonymised(documents: Sequence[Any], known: Vocabulary) -> list[Any]:
    """The documents with every id, name and time replaced; the originals stay as they are.

    Args:
        documents: JSON values; times may be ``datetime``. Together, since the same word has the
            same replacement in all of them.
        known: Words to keep.
    """
    pass_ = _Pass(known, _first_time(documents))
    # The values first: a sentence is read against the words that stand elsewhere as a value.
    for document in documents:
        pass_.value(document)
    return [pass_.value(document) for document in documents]


@dataclass
class _Pass:
    known: Vocabulary
    first: datetime | None
    replaced: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any, key: str = "") -> Any:
        if isinstance(value, Mapping):
            return {self._key(name): self.value(item, str(name)) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item, key) for item in value]
        if isinstance(value, datetime):
            return self._moved(value).isoformat()
        if isinstance(value, bytes | bytearray):
            return "bytes"
        if isinstance(value, str):
            return self._text(value, key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(value)
        return value

    def _key(self, name: Any) -> str:
        text = str(name)
        return text if text in self.known.members or text in _COMMON else self._text(text, "")

    def _number(self, value: float) -> float:
        text = repr(value)
        if _MILLISECONDS.fullmatch(text):
            return round(self._moved(datetime.fromtimestamp(value / 1000, UTC)).timestamp() * 1000)
        if _SECONDS.fullmatch(text):
            return type(value)(self._moved(datetime.fromtimestamp(value, UTC)).timestamp())
        return value if abs(value) < 10**10 else 0

    def _text(self, text: str, key: str) -> str:
        if text in self.known.values or (key in CODES and _CODE.fullmatch(text)):
            return text
        if moved := self._time(text):
            return moved
        if key in SENTENCES:
            return _WORD.sub(self._word_of_sentence, text)
        return _WORD.sub(self._word, text)

    def _time(self, text: str) -> str | None:
        """A time that is the whole text, moved and spelled as it was."""
        moment = _moment(text)
        if moment is None:
            return None
        moved = self._moved(moment)
        if _MILLISECONDS.fullmatch(text):
            return str(round(moved.timestamp() * 1000))
        if _HTTP_DATE.fullmatch(text):
            return moved.strftime("%a, %d %b %Y %H:%M:%S GMT")
        if text.endswith("Z"):
            return moved.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return moved.isoformat()

    def _moved(self, moment: datetime) -> datetime:
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = moment - self.first if self.first else timedelta()
        return BASE + timedelta(seconds=round(since.total_seconds()))

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        return word if self._is_kept(word) else self._replacement(word)

    def _word_of_sentence(self, match: re.Match[str]) -> str:
        """A word of the service's, or one that was seen as a value; with its full stop."""
        word = match[0]
        bare = word.rstrip(".")
        if not self._is_kept(bare) and (_identifies(bare) or bare in self.replaced):
            return self._replacement(bare) + word[len(bare) :]
        return word

    def _is_kept(self, word: str) -> bool:
        return (
            word in _COMMON
            or word in self.known.members
            or word in self.known.values
            or _SMALL.fullmatch(word) is not None
            or _REGION.fullmatch(word) is not None
            or not any(character.isalnum() for character in word)
        )

    def _replacement(self, word: str) -> str:
        if word not in self.replaced:
            number = len(self.replaced) + 1
            if _ACCOUNT.fullmatch(word):
                made = f"{100_000_000_000 + number}"
            elif _UUID.fullmatch(word):
                made = f"00000000-0000-4000-8000-{number:012}"
            elif _HEX.fullmatch(word):
                made = f"{number:0{len(word)}x}"
            elif word.isdigit():
                made = f"{number:0{len(word)}}"
            else:
                made = f"name-{number}"
            self.replaced[word] = made
        return self.replaced[word]


def _identifies(word: str) -> bool:
    """Whether a word of a sentence can be no plain English: an account, an id, a digest."""
    return bool(
        _ACCOUNT.fullmatch(word)
        or _UUID.fullmatch(word)
        or _HEX.fullmatch(word)
        or (any(each.isdigit() for each in word) and len(word) > 4)
    )


def _moment(text: str) -> datetime | None:
    try:
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text)
        if _HTTP_DATE.fullmatch(text):
            return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        if _MILLISECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
    except ValueError:
        return None
    return None


def _first_time(documents: Sequence[Any]) -> datetime | None:
    return min(_times(documents), default=None)


def _times(value: Any) -> Iterator[datetime]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _times(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _times(item)
    elif isinstance(value, datetime):
        yield value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, str):
        moment = _moment(value)
        if moment:
            yield moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = repr(value)
        if _MILLISECONDS.fullmatch(text):
            yield datetime.fromtimestamp(value / 1000, UTC)
        elif _SECONDS.fullmatch(text):
            yield datetime.fromtimestamp(value, UTC)


def as_text(document: Any) -> str:
    """A document as it is written to a file."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
