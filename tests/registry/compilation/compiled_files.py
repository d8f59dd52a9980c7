"""What a compile job leaves behind, small."""

from __future__ import annotations

import hashlib
from typing import Any

from registry.contract import Contract
from tests.registry.registration.training_jobs import METRICS

FILES = {name: name.encode() * 20 for name in ("model.int8.onnx", "model.onnx", "index.json")}


#: Published weights that the student descends from, as its archive says.
WEIGHTS = f"lite0==0.1.0 sha256:{'ab' * 32} Apache-2.0"
#: Digest of the card set that it was compiled with.
CARDS = hashlib.sha256(b"cards").hexdigest()


def report(name: str, arn: str, model_archive: str = "") -> dict[str, Any]:
    """``compilation.json`` of a version.

    Args:
        name: Of the version.
        arn: Its ARN.
        model_archive: SHA-256 of the archive that the job read.
    """

    def entry(stage: str, file: str) -> dict[str, Any]:
        metadata = {
            "Architecture": "efficientnet_lite0", "Parameters": "4354816", "EmbeddingDim": "768",
            "ModelType": "student", "Stage": stage, "Purpose": "edge_deployment_hailo8l",
            "InferenceTarget": "cpu-onnxruntime", "SizeBytes": str(len(FILES[file])),
        }  # fmt: skip
        return {
            "stage": stage,
            "artifact": f"{stage}/model.tar.gz",
            "metadata": metadata,
            "metrics": {**METRICS, "cards": 180},
        }

    return {
        "source_name": name,
        "source_arn": arn,
        "model": "model.int8.onnx",
        "model_archive_sha256": model_archive,
        "card_set": {"digest": CARDS, "cards": 200, "licence": "CC-BY-4.0, by Ada"},
        "weights": [WEIGHTS],
        "contract": Contract().to_dict(),
        "acceptance_threshold": 0.9,
        "ship": list(FILES),
        "files": {
            name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            for name, body in FILES.items()
        },
        "packages": [entry("onnx", "model.onnx"), entry("int8", "model.int8.onnx")],
    }
