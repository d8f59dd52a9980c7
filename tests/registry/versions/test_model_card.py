"""The model card and the model quality report."""

from __future__ import annotations

import json

import pytest

from registry.names import parse_name
from registry.versions import model_card, model_quality
from registry.weight_origins import WeightOrigin
from tests.registry.registration.training_jobs import IMAGE, METRICS, request

NAME = parse_name("student-efficientnet-lite0-stage2-v3")
METADATA = {
    **request(model_type="student")["metadata"],
    "TrainingJob": "job",
    "CardSetUri": "s3://bucket/cards/",
    "Queries": "920",
}


def card(**changes: object) -> dict[str, object]:
    given = {"artifact": "s3://b/model.tar.gz", "image": IMAGE, "job_arn": "arn:aws:sagemaker:x"}
    return model_card.card(NAME, METADATA, METRICS, **{**given, **changes})  # type: ignore[arg-type]


def test_sagemaker_s_own_classes_read_the_card() -> None:
    sdk = pytest.importorskip("sagemaker.model_card.model_card")
    document = json.loads(model_card.content(card(hyperparameters={"recipe": '"full"'})))
    details = sdk.TrainingDetails._from_dict(document["training_details"])
    assert details.training_job_details.training_datasets == ["s3://bucket/cards/"]
    assert details.training_job_details.training_environment.container_image == [IMAGE]
    (evaluation,) = [sdk.EvaluationJob._from_dict(e) for e in document["evaluation_details"]]
    measured = {m.name: m.value for m in evaluation.metric_groups[0].metric_data}
    assert measured == METRICS
    assert sdk.IntendedUses._from_dict(document["intended_uses"]).purpose_of_model
    assert sdk.AdditionalInformation._from_dict(document["additional_information"])


def test_card_holds_what_a_package_s_card_may_hold() -> None:
    assert set(card()) <= {
        "model_overview", "intended_uses", "business_details", "training_details",
        "evaluation_details", "additional_information",
    }  # fmt: skip
    assert set(card()["model_overview"]) <= {"model_creator", "model_artifact"}  # type: ignore[call-overload]


def test_card_beyond_sagemaker_s_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="100000"):
        model_card.content({"text": "x" * 100_001})


def test_accuracy_is_top_1_and_nothing_else_is_renamed() -> None:
    report = model_quality.report(NAME, {"top1": 0.5, "queries": 100, "auroc": 0.9})
    assert report["multiclass_classification_metrics"] == {
        "accuracy": {"value": 0.5, "standard_deviation": pytest.approx(0.05)}
    }
    assert report["card_retrieval_metrics"]["auroc"] == {"value": 0.9}


def test_without_a_number_of_queries_there_is_no_deviation() -> None:
    report = model_quality.report(NAME, {"top1": 0.5})
    accuracy = report["multiclass_classification_metrics"]["accuracy"]
    assert accuracy["standard_deviation"] == "NaN"
    assert "multiclass_classification_metrics" not in model_quality.report(NAME, {"auroc": 0.9})


def test_card_names_the_weights_that_a_model_descends_from_with_their_licence() -> None:
    lite = WeightOrigin("lite0==0.1.0", "ab" * 32, "Apache-2.0")
    details = card(weights=[lite])["additional_information"]["custom_details"]
    assert details["Weights1"] == f"lite0==0.1.0 sha256:{'ab' * 32} Apache-2.0"
    assert "Weights1" not in card()["additional_information"]["custom_details"]
