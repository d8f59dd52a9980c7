"""Why an event is in a dead-letter queue."""

from __future__ import annotations

import pytest

from cli.operations.dlq import why


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        # As Lambda writes them, whose code is the status of the invocation.
        ({"ErrorCode": "200", "ErrorMessage": "no\nright"}, "no right"),
        ({"ErrorCode": "429", "ErrorMessage": "too many"}, "429 too many"),
        ({"ErrorCode": "200", "ErrorMessage": "200"}, "200"),
        # As EventBridge does.
        ({"ERROR_CODE": "NO_RESOURCE", "ERROR_MESSAGE": "gone"}, "NO_RESOURCE gone"),
        ({"ErrorCode": "200"}, "no reason is recorded"),
        ({}, "no reason is recorded"),
    ],
)
def test_reason_is_read_as_lambda_and_eventbridge_write_it(
    attributes: dict[str, str], said: str
) -> None:
    typed = {name: {"StringValue": value} for name, value in attributes.items()}
    assert why({"MessageAttributes": typed}) == said
