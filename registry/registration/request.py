"""What a training job asks to be registered as: ``registration.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from registry.contract import Contract, ContractError
from registry.names import STUDENT, check_line
from registry.untrusted.json_object import parse_object
from registry.untrusted.text import printable
from registry.versions.metadata import RESERVED
from registry.weight_origins import WeightOrigin, origin_of

REQUEST_FILE = "registration.json"
REQUEST_LIMIT = 256 * 1024
#: Characters of a metric's name.
METRIC_NAME_LIMIT = 128
_FAULTS_SHOWN = 10


class RegistrationError(ValueError):
    """A model that may not be registered; names the job and the cause."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("card_set: digest is no text")
    return value


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
                card_set_digest=_text(document["card_set"]["digest"]),
                mlflow_run_id=document.get("mlflow_run_id"),
                weights=tuple(origin_of(row) for row in document.get("weights") or ()),
            )
            check_line(request.model_type, request.architecture, request.stage)
        except KeyError as error:
            raise RegistrationError(f"{label}: {error.args[0]} is missing") from None
        except (TypeError, AttributeError, ValueError, ContractError) as error:
            raise RegistrationError(f"{label}: {error}") from None
        faults = request._faults()
        if faults:
            raise RegistrationError(f"{label}: {'; '.join(faults)}")
        if request.model_type == STUDENT and not request.parent_arn:
            raise RegistrationError(f"{label}: a student must name the model that it was made from")
        return request

    def _faults(self) -> list[str]:
        """What nothing later could store; the values themselves are checked with the metadata."""
        texts = {
            "parent_model_package_arn": self.parent_arn,
            "mlflow_run_id": self.mlflow_run_id,
            **{f"metadata {printable(key)[:40]!r}": value for key, value in self.metadata.items()},
        }
        optional = {"parent_model_package_arn", "mlflow_run_id"}
        return [
            *(
                f"{name} is no text"
                for name, value in texts.items()
                if not isinstance(value, str) and not (value is None and name in optional)
            ),
            *(
                f"metric {printable(name)[:40]!r} is no finite number under a name of at most "
                f"{METRIC_NAME_LIMIT} characters"
                for name, value in self.metrics.items()
                if not (math.isfinite(value) and 0 < len(name) <= METRIC_NAME_LIMIT)
            ),
            *(
                f"metadata key {key} is written by the registry alone"
                for key in sorted(RESERVED & set(self.metadata))
            ),
        ][:_FAULTS_SHOWN]
