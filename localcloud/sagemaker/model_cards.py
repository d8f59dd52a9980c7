"""Model cards beside the registry, and their export: this cloud has none, so none is found.

A version's own card is part of the version (``registry.py``).
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelCardExportJobs.html
"""

from __future__ import annotations

from collections.abc import Callable

from localcloud.sagemaker.errors import missing
from localcloud.sagemaker.store import Record


def list_model_cards(request: Record) -> Record:
    return {"ModelCardSummaries": []}


def no_card(request: Record) -> Record:
    raise missing(f"Model card {request['ModelCardName']} does not exist.")


def no_export(request: Record) -> Record:
    raise missing(f"Export job {request['ModelCardExportJobArn']} does not exist.")


ACTIONS: dict[str, Callable[[Record], Record]] = {
    "ListModelCards": list_model_cards,
    "DescribeModelCard": no_card,
    "CreateModelCardExportJob": no_card,
    "ListModelCardExportJobs": no_card,
    "DescribeModelCardExportJob": no_export,
}
