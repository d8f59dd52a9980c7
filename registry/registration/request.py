"""What a training job asks to be registered as: ``registration.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from registry.contract import Contract, ContractError
from registry.names import STUDENT, check_line
from registry.untrusted.json_object import parse_object
from registry.versions.metadata import RESERVED
from registry.weight_origins import WeightOrigin, origin_of

REQUEST_FILE = "registration.json"
REQUEST_LIMIT = 256 * 1024


class RegistrationError(ValueError):
    """A model that may not be registered; names the job and the cause."""


@dataclass(frozen=True)
class RegistrationRequest:
    """What a training job says about the model that it made (``registration.json``)."""

    model_type: str
    architecture: str
    stage: str
    parent_arn: str | None
    metadata: Mapping[str, str]
    metrics: Mapping[str, float]
    contract: Contract
    card_set_digest: str
    mlflow_run_id: str | None
    weights: tuple[WeightOrigin, ...] = ()

    @classmethod
    def from_json(cls, body: bytes, label: str) -> RegistrationRequest:
        """Reads and checks a request; ``label`` is what an error calls it.

        Raises:
            RegistrationError: Not JSON, or a field is missing or of the wrong type.
        """
        try:
            document = parse_object(body, REQUEST_LIMIT)
            request = cls(
                model_type=document["model_type"],
                architecture=document["architecture"],
                stage=document["stage"],
                parent_arn=document.get("parent_model_package_arn"),
                metadata=dict(document["metadata"]),
                metrics={str(k): float(v) for k, v in document["metrics"].items()},
                contract=Contract.from_dict(document["contract"]),
                card_set_digest=str(document["card_set"]["digest"]),
                mlflow_run_id=document.get("mlflow_run_id"),
                weights=tuple(origin_of(row) for row in document.get("weights") or ()),
            )
            check_line(request.model_type, request.architecture, request.stage)
        except KeyError as error:
            raise RegistrationError(f"{label}: {error.args[0]} is missing") from None
        except (TypeError, AttributeError, ValueError, ContractError) as error:
            raise RegistrationError(f"{label}: {error}") from None
        infinite = [name for name, value in request.metrics.items() if not math.isfinite(value)]
        reserved = sorted(RESERVED & set(request.metadata))
        if infinite or reserved:
            raise RegistrationError(
                f"{label}: "
                + "; ".join(
                    [f"metric {name} is not a finite number" for name in infinite]
                    + [f"metadata key {key} is written by the registry alone" for key in reserved]
                )
            )
        if request.model_type == STUDENT and not request.parent_arn:
            raise RegistrationError(f"{label}: a student must name the model that it was made from")
        return request
