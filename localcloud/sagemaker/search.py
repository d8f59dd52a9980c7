"""SageMaker's Search: packages, groups and training jobs by their properties.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html and the pages of Filter,
NestedFilters and SearchExpression. Property names are those of the resource's shape in botocore's
model; of the maps only those that the pages name can be searched by key: HyperParameters, Tags and
Metrics. AWS searches an index that is updated later; here a search sees the current state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape

from localcloud.sagemaker.api_model.service_model import service_model
from localcloud.sagemaker.errors import invalid
from localcloud.sagemaker.store import Record, paginate, store

_FILTERS = 50
_PAGE = 10
_BY_KEY = ("HyperParameters", "Tags", "Metrics")
_NUMBERS = ("integer", "long", "float", "double")
_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda have, wanted: bool(have > wanted),
    "GreaterThanOrEqualTo": lambda have, wanted: bool(have >= wanted),
    "LessThan": lambda have, wanted: bool(have < wanted),
    "LessThanOrEqualTo": lambda have, wanted: bool(have <= wanted),
}
_OF_TEXT = ("Contains", "In")

Match = Callable[[Record], bool]


def search(request: Record) -> Record:
    """Search.

    Raises:
        AwsError: An expression that SageMaker refuses, or a resource that is not here.
    """
    resource = request["Resource"]
    if resource not in _RECORDS:
        raise invalid(f"The local cloud searches {', '.join(_RECORDS)}, not {resource}")
    if request.get("VisibilityConditions") or request.get("CrossAccountFilterOption") not in (
        None,
        "SameAccount",
    ):
        raise invalid("The local cloud has one account: no visibility conditions, no other account")
    shape = service_model().shape_for(resource)
    expression = request.get("SearchExpression")
    if expression is not None:
        _check_size(expression)
    fits = _expression(shape, expression) if expression is not None else _always
    order = request.get("SortBy") or "LastModifiedTime"
    if request.get("SortBy"):
        _type_of(shape, order)
    found = [record for record in _RECORDS[resource]() if fits(record)]
    answer = paginate(
        found,
        {**request, "SortBy": order},
        "Results",
        order="Descending",
        sort_keys={order: lambda record: _sort_key(record, order)},
        size=_PAGE,
    )
    answer["Results"] = [
        {resource: {key: value for key, value in record.items() if key in shape.members}}
        for record in answer["Results"]
    ]
    answer["TotalHits"] = {"Value": len(found), "Relation": "EqualTo"}
    return answer


def suggestions(request: Record) -> Record:
    """GetSearchSuggestions: names of properties that begin with the hint, ten at most."""
    resource = request["Resource"]
    if resource not in _RECORDS:
        raise invalid(f"The local cloud searches {', '.join(_RECORDS)}, not {resource}")
    hint = (request.get("SuggestionQuery") or {}).get("PropertyNameQuery", {})
    start = str(hint.get("PropertyNameHint", "")).lower()
    names = [
        name
        for name in service_model().shape_for(resource).members
        if name.lower().startswith(start)
    ]
    return {"PropertyNameSuggestions": [{"PropertyName": name} for name in names[:_PAGE]]}


def _packages() -> Iterator[Record]:
    yield from store().packages.values()


def _groups() -> Iterator[Record]:
    for record in store().groups.values():
        yield {**record, "Tags": _tags(record["ModelPackageGroupArn"])}


def _training_jobs() -> Iterator[Record]:
    for record in store().jobs.values():
        if "TrainingJobArn" in record:
            yield {**record, "Tags": _tags(record["TrainingJobArn"])}


def _tags(resource: str) -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in store().tags.get(resource, {}).items()]


_RECORDS: Mapping[str, Callable[[], Iterator[Record]]] = {
    "ModelPackage": _packages,
    "ModelPackageGroup": _groups,
    "TrainingJob": _training_jobs,
}


# --- expressions


def _check_size(expression: Record) -> None:
    """The limits that reach over the whole expression."""
    filters = list(_every_filter(expression))
    if len(filters) > _FILTERS:
        raise invalid(f"A SearchExpression may hold {_FILTERS} filters, not {len(filters)}")
    if sum(each.get("Operator") == "Contains" for each in filters) > 1:
        raise invalid("'CONTAINS' operator usage limit of 1 exceeded.")


def _every_filter(expression: Record) -> Iterator[Record]:
    yield from expression.get("Filters") or []
    for nested in expression.get("NestedFilters") or []:
        yield from nested["Filters"]
    for inner in expression.get("SubExpressions") or []:
        yield from _every_filter(inner)


def _expression(shape: Shape, expression: Record) -> Match:
    parts = [
        *(_filter(shape, each) for each in expression.get("Filters") or []),
        *(_nested(shape, each) for each in expression.get("NestedFilters") or []),
        *(_expression(shape, each) for each in expression.get("SubExpressions") or []),
    ]
    if not parts:
        raise invalid(
            "A SearchExpression must have at least one filter, nested filter or subexpression"
        )
    together = any if expression.get("Operator") == "Or" else all
    return lambda record: together(part(record) for part in parts)


def _always(_: Record) -> bool:
    return True


def _filter(shape: Shape, given: Record, within: str = "") -> Match:
    name, operator = given["Name"], given.get("Operator") or "Equals"
    kind = _type_of(shape, name)
    path = name.removeprefix(within)
    if operator in ("Exists", "NotExists"):
        return lambda record: (_value(record, path) is not None) == (operator == "Exists")
    if given.get("Value") is None:
        raise invalid(f"Filter {name}: operator {operator} needs a Value")
    if operator in _ORDERED and kind == "string":
        raise invalid(f"Filter {name}: operator {operator} is not supported for text properties")
    if operator in _OF_TEXT and kind != "string":
        raise invalid(f"Filter {name}: operator {operator} is only supported for text properties")
    wanted = _parsed(name, kind, given["Value"])

    def fits(record: Record) -> bool:
        have = _value(record, path)
        if have is None:
            return operator == "NotEquals"
        return _compare(operator, have, wanted)

    return fits


def _nested(shape: Shape, given: Record) -> Match:
    """Satisfied by a list one of whose objects satisfies every filter."""
    name = given["NestedPropertyName"]
    if _type_of(shape, name) != "list":
        raise invalid(f"NestedFilters: {name} is not a list")
    within = f"{name}."
    for each in given["Filters"]:
        if not each["Name"].startswith(within):
            raise invalid(f"NestedFilters: {each['Name']} is no property of {name}")
    parts = [_filter(shape, each, within) for each in given["Filters"]]
    return lambda record: any(
        all(part(item) for part in parts) for item in _value(record, name) or []
    )


def _compare(operator: str, have: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and isinstance(have, str):
        # A hyper-parameter or another value that is kept as text.
        try:
            have = float(have)
        except ValueError:
            return operator == "NotEquals"
    if operator == "Equals":
        return bool(have == wanted)
    if operator == "NotEquals":
        return bool(have != wanted)
    if operator == "Contains":
        return str(wanted) in str(have)
    if operator == "In":
        return str(have) in [word.strip() for word in str(wanted).split(",")]
    return _ORDERED[operator](have, wanted)


# --- properties


def _type_of(shape: Any, name: str) -> str:
    """The type of a property, by botocore's model; ``by key`` for a value of a map.

    Raises:
        AwsError: The resource has no such property.
    """
    head, _, key = name.partition(".")
    if head in _BY_KEY and key and (head in shape.members or head == "Metrics"):
        return "string" if head == "Tags" else "by key"
    current = shape
    for word in name.split("."):
        if current.type_name == "list":
            current = current.member
        if current.type_name != "structure" or word not in current.members:
            raise invalid(f"Unknown property name: {name}")
        current = current.members[word]
    return str(current.type_name)


def _value(record: Record, name: str) -> Any:
    head, _, key = name.partition(".")
    if head == "Tags" and key:
        return next((t["Value"] for t in record.get("Tags") or [] if t["Key"] == key), None)
    if head == "HyperParameters" and key:
        return (record.get("HyperParameters") or {}).get(key)
    if head == "Metrics" and key:
        metrics = record.get("FinalMetricDataList") or []
        return next((m["Value"] for m in metrics if m["MetricName"] == key), None)
    current: Any = record
    for word in name.split("."):
        current = current.get(word) if isinstance(current, dict) else None
    return current


def _parsed(name: str, kind: str, text: str) -> Any:
    """A filter's text as the property's type."""
    try:
        if kind in _NUMBERS:
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "timestamp":
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, KeyError):
        raise invalid(f"Filter {name}: {text!r} is no {kind}") from None
    if kind == "by key":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _sort_key(record: Record, name: str) -> tuple[int, Any]:
    """A record that lacks the property sorts below all that have it."""
    have = _value(record, name)
    if have is None and name == "LastModifiedTime":
        have = record["CreationTime"]
    if have is None:
        return (0, 0)
    return (1, have if isinstance(have, int | float) else str(have))


ACTIONS = {"Search": search, "GetSearchSuggestions": suggestions}
