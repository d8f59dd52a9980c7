"""Evidence and versions to make pages of."""

from __future__ import annotations

from typing import Any

import numpy as np

from registry.names import ModelName
from registry.weight_origins import WeightOrigin
from reports.drawings.pictures import picture
from reports.evidence import CardData, Confusion, Evidence, LintReport, TrainingCurves, WrongView
from reports.figures import from_evaluation
from reports.outcomes.paired import compare
from reports.outcomes.view_outcomes import ViewOutcomes
from reports.page import Row
from reports.release_page import Compiled, MovedView
from reports.subject import Subject

NAME = ModelName("student", "efficientnet-lite0", "stage2", 2)
LIVE = ModelName("student", "efficientnet-lite0", "stage2", 1)
#: Four cards with four views each: 11 of 16 named right, 12 named, 13 nearest.
OUTCOMES = "RRRR" + "RRRW" + "RRrw" + "RRrw"
LIVE_OUTCOMES = "RRRR" + "RRRR" + "RRrw" + "rrrw"
CARDS = ("base1-1", "base1-2", "base1-3", "base1-4")


def card_picture(number: int) -> str:
    """A card of one colour with a frame of another."""
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:] = (number * 47 % 256, number * 91 % 256, number * 139 % 256)
    image[8:-8, 8:-8] = (number * 13 % 256, 255 - number * 29 % 256, number * 201 % 256)
    return picture(image)


def outcomes(letters: str = OUTCOMES, digest: str = "d0") -> ViewOutcomes:
    return ViewOutcomes(digest, CARDS, len(letters) // len(CARDS), letters)


def wrong_view(card_id: str = "base1-4", answer: str = "base1-2", known: bool = True) -> WrongView:
    return WrongView(
        card_id, known, answer, 0.8765, True, card_picture(1), card_picture(2), card_picture(3)
    )


def evidence(letters: str = OUTCOMES, **changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "views": outcomes(letters),
        "worst": (wrong_view(), wrong_view("base1-3", "base1-1")),
        "unknown": (wrong_view("jungle-9", "base1-1", known=False),),
        "confusions": (
            Confusion("base1-4", "base1-2", 2, 4),
            Confusion("base1-3", "base1-1", 1, 4),
        ),
        "confused_pairs": 2,
        "curve": ((0.5, 0.2, 0.8), (0.7, 0.05, 0.75), (0.81, 0.01, 0.6875), (0.9, 0.0, 0.3)),
        "data": CardData("0f3a", 40, 42, 32, 4, 4, {"kept": 2}, ("base1-7: looks like base1-8",)),
        "sizes": {"model.onnx": 17_400_000},
        "training": TrainingCurves(
            (10, 20, 30), (4.1, 2.2, 1.7), {"embedding": (0.6, 0.55, 0.5), "kl": (0.4, 0.45, 0.5)}
        ),
        "lint": LintReport((), 4_354_816),
        "cards": {"base1-4": card_picture(4), "base1-2": card_picture(5)},
    }
    return Evidence(**{**values, **changes})


def evaluation(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "top1": 13 / 16,
        "top1_interval": [0.55, 0.94],
        "top5": 0.9375,
        "accepted_right": 11 / 16,
        "accepted_right_interval": [0.43, 0.86],
        "true_accept_rate": 12 / 16,
        "false_accept_rate": 0.01,
        "false_accept_interval": [0.0, 0.05],
        "false_accept_target": 0.01,
        "auroc": 0.967,
        "threshold": 0.81,
        "queries": 16,
        "cards": 4,
        "unseen_test": 100,
        "unseen_cards": 4,
        "warnings": ["a false-accept target of 0.1 % needs at least 1000 views"],
        "validation": {"top1": 0.8},
    }
    return {**document, **changes}


def metadata(**changes: str) -> dict[str, str]:
    return {
        "ModelName": str(NAME),
        "Architecture": "efficientnet_lite0",
        "Parameters": "4354816",
        "EmbeddingDim": "768",
        "InputSize": "224",
        "Top1": "0.8125",
        "AcceptedRight": "0.6875",
        "FalseAcceptRate": "0.01",
        "HailoCompatible": "true",
        "Recipe": "demo",
        "CardSetDigest": "0f3a",
        "Validation": "passed",
        **changes,
    }


def subject(**changes: Any) -> Subject:
    values: dict[str, Any] = {
        "label": str(NAME),
        "metadata": metadata(),
        "name": NAME,
        "evaluation": evaluation(),
        "evidence": evidence(),
    }
    return Subject(**{**values, **changes})


def live(**changes: Any) -> Subject:
    values: dict[str, Any] = {
        "label": str(LIVE),
        "metadata": metadata(ModelName=str(LIVE), Recipe="full"),
        "name": LIVE,
        "approval": "Approved",
        "evaluation": evaluation(accepted_right=10 / 16),
        "evidence": evidence(LIVE_OUTCOMES),
    }
    return Subject(**{**values, **changes})


def compiled(**changes: Any) -> Compiled:
    """What a compile job knows of its release."""
    values: dict[str, Any] = {
        "name": str(NAME),
        "compiler": "INT8",
        "device": "a processor with ONNX Runtime",
        "model": "model.int8.onnx",
        "passed": True,
        "reasons": (),
        "figures": from_evaluation(evaluation()),
        "before": from_evaluation(evaluation(accepted_right=10 / 16)),
        "paired": compare(outcomes(), outcomes(LIVE_OUTCOMES)),
        "lacking": "",
        "pictures": {"base1-4": card_picture(4)},
        "gate": {
            "cosine_mean": 0.9991,
            "card_cosine_worst": 0.89,
            "top1_drop": 0.01,
            "top1_drop_standard_error": 0.005,
            "calibration_roughness_ratio": 1.01,
        },
        "thresholds": {
            "cosine_mean": 0.99,
            "card_cosine": 0.9,
            "top1_drop": 0.005,
            "standard_errors": 1.645,
            "roughness_ratio": 1.5,
        },
        "moved": tuple(
            MovedView("base1-4", 0.98, card_picture(row), card_picture(2)) for row in range(10)
        ),
        "warnings": (),
        "facts": (Row("Model file", "model.int8.onnx", "4,871,337 bytes"),),
        "weights": (WeightOrigin("lite0==0.1.0", "ab" * 32, "Apache-2.0"),),
        "licence": "CC-BY-4.0, by Ada",
    }
    return Compiled(**{**values, **changes})
