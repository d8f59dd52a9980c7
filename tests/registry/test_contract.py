import json

import pytest

from registry.contract import Contract, ContractError


def test_document_reads_back_as_the_same_contract() -> None:
    contract = Contract(size=96)
    assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", "BGR"),
        ("layout", "NCHW"),
        ("dtype", "float32"),
        ("normalisation", "on the host"),
        ("size", 100),
        ("mean", [0.5, 0.5]),
        ("embedding_dim", "many"),
    ],
)
def test_contract_that_this_code_does_not_follow_is_refused(field: str, value: object) -> None:
    with pytest.raises(ContractError, match=field if field != "embedding_dim" else "contract"):
        Contract.from_dict({**Contract().to_dict(), field: value})


def test_missing_field_is_named() -> None:
    document = Contract().to_dict()
    del document["std"]
    with pytest.raises(ContractError, match="std is missing"):
        Contract.from_dict(document)


def test_digest_changes_with_every_field() -> None:
    digests = {
        Contract().digest,
        Contract(size=96).digest,
        Contract(embedding_dim=512).digest,
        Contract(mean=(0.5, 0.5, 0.5)).digest,
        Contract(std=(0.5, 0.5, 0.5)).digest,
    }
    assert len(digests) == 5
