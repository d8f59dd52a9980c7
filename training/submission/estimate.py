"""How long a job will take and what it will cost, before it is sent.

Time is arithmetic: floating-point operations of the recipe over what one accelerator of the
instance sustains on such networks. It is good to about a factor of two, and says so. Prices are
AWS's own list prices, asked for at the time; a price in this file would be wrong before long.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.names import TEACHER
from training.architectures import convolution_gflop, is_vit, vit_shape
from training.config import TrainingConfig
from training.submission.training_plan import Compute

if TYPE_CHECKING:
    from mypy_boto3_pricing.client import PricingClient

#: TFLOP/s that one accelerator (of CPUs: one vCPU) sustains in a ViT's forward pass in bf16, and
#: how many of them an instance has. GPUs: about 40 % of the data sheet's dense figure; CPUs as
#: measured on the demo recipe (docs/training.md).
_GPU_TFLOPS: Mapping[str, float] = {
    "p5": 400, "p5e": 400, "p5en": 400, "p4d": 125, "p4de": 125, "p3": 45, "g6e": 145, "g6": 48,
    "g5": 50, "g4dn": 26,
}  # fmt: skip
_GPUS: Mapping[str, Mapping[str, int]] = {
    "g": {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 1,
          "12xlarge": 4, "24xlarge": 4, "48xlarge": 8},
    "p3": {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8},
    "p4": {"24xlarge": 8},
    "p5": {"4xlarge": 1, "48xlarge": 8},
}  # fmt: skip
_CPU_TFLOPS = 0.05
_VCPUS = re.compile(r"(\d*)xlarge")
#: A convolution network of this kind sustains this share of what a ViT does: it moves much and
#: computes little.
_CONVOLUTION_ON_GPU, _CONVOLUTION_ON_CPU = 0.15, 0.5
#: Of an EfficientNet; the later ones, on smaller maps, take less time than their share.
_STAGES, _LATER_STAGES = 7, 0.4
#: Class and register tokens.
_TOKENS_BESIDE = 5
#: A backward pass takes about twice the operations of a forward pass.
_BACKWARD = 2.0
#: Starting the machine, fetching the container and the cards, and evaluating afterwards.
_OVERHEAD_SECONDS = 300.0


@dataclass(frozen=True)
class Estimate:
    """What a job will probably take.

    Attributes:
        steps: Optimiser steps.
        images: Images that are trained on.
        seconds: Of the whole job, to about a factor of two; None where nothing is known.
        hourly: USD an hour of all instances; None where nobody knows.
        ceiling: USD at most: the longest that the job may run, and its machines be kept warm.
        note: Why a figure is missing.
    """

    steps: int
    images: int
    seconds: float | None
    hourly: float | None
    ceiling: float | None
    note: str = ""

    @property
    def price(self) -> float | None:
        """USD for the estimated time."""
        if self.seconds is None or self.hourly is None:
            return None
        return self.seconds / 3600 * self.hourly


def estimate(
    config: TrainingConfig,
    compute: Compute,
    scans: int,
    *,
    teacher: TrainingConfig | None = None,
    instance_price: float | None = None,
    note: str = "",
) -> Estimate:
    """Estimates a job.

    Args:
        config: The resolved recipe.
        compute: The machines.
        scans: Scans in the card set; ``held_out_share`` of them, twice, is held out.
        teacher: Of a student; its recipe's where the very teacher's is not at hand.
        instance_price: USD an hour of one instance.
        note: Why there is no price.
    """
    known = max(1, round(scans * (1 - 2 * config.held_out_share)))
    steps = config.total_steps(known)
    images = steps * (config.batch_size + config.fed_scans)
    hourly = None if instance_price is None else instance_price * compute.instance_count
    speed = _sustained(config, compute)
    on_gpu = accelerators(compute.instance_type) != 0
    convolution = _CONVOLUTION_ON_GPU if on_gpu else _CONVOLUTION_ON_CPU
    work = _operations(config, steps, known, teacher, convolution)
    seconds = None
    if speed is None:
        note = note or f"nothing is known about the speed of {compute.instance_type}"
    elif work is None:
        note = note or f"nothing is known about the size of {config.backbone}"
    else:
        seconds = _OVERHEAD_SECONDS + work / speed
        if seconds > compute.max_run_seconds:
            note = "the estimate is longer than the job may run: raise --max-run-hours"
    # Machines that are kept warm cost as if they ran.
    longest = compute.max_run_seconds + compute.keep_alive_seconds
    ceiling = None if hourly is None else hourly * longest / 3600
    return Estimate(steps, images, seconds, hourly, ceiling, note)


def instance_price(pricing: PricingClient, region: str, instance_type: str) -> float:
    """AWS's list price of a training instance, USD an hour.

    Args:
        pricing: A boto3 ``pricing`` client; the service is in us-east-1 alone.
        region: Where the job runs.
        instance_type: For example ``ml.g5.2xlarge``.

    Raises:
        ValueError: AWS lists no such price, or in a form that is not understood.
    """
    fields = {"regionCode": region, "instanceName": instance_type, "platoinstancetype": "Training"}
    pages = pricing.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker",
        Filters=[
            {"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in fields.items()
        ],
    )
    found = set()
    for text in (text for page in pages for text in page.get("PriceList", [])):
        try:
            product = json.loads(text) if isinstance(text, str) else text
            for term in product["terms"]["OnDemand"].values():
                for dimension in term["priceDimensions"].values():
                    if dimension["unit"].lower() in ("hrs", "hours", "hour"):
                        found.add(float(dimension["pricePerUnit"]["USD"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"AWS's price list is not understood ({error!r})") from None
    prices = sorted(price for price in found if price > 0)
    if len(prices) != 1:
        count = "no price" if not prices else f"{len(prices)} prices"
        raise ValueError(f"AWS lists {count} for training on {instance_type} in {region}")
    return prices[0]


def accelerators(instance_type: str) -> int | None:
    """How many GPUs an instance has; 0 for one of CPUs, None where nobody knows."""
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    if re.match(r"[mcrt][0-9]", family):
        return 0
    table = _GPUS.get("g" if family.startswith("g") else family[:2], {})
    return table.get(size)


def _sustained(config: TrainingConfig, compute: Compute) -> float | None:
    """FLOP/s of all machines together on a ViT."""
    family, _, size = compute.instance_type.removeprefix("ml.").partition(".")
    gpus = accelerators(compute.instance_type)
    if gpus == 0:
        match = _VCPUS.fullmatch(size)
        vcpus = 4 * int(match[1] or 1) if match else {"large": 2}.get(size)
        # A recipe may ask for fewer threads than there are CPUs; the others stand idle.
        each, count = _CPU_TFLOPS, min(vcpus, config.threads or vcpus) if vcpus else None
    else:
        each, count = _GPU_TFLOPS.get(family, 0.0), gpus
    if not each or not count:
        return None
    return each * 1e12 * count * compute.instance_count


def _operations(
    config: TrainingConfig,
    steps: int,
    known: int,
    teacher: TrainingConfig | None,
    convolution: float,
) -> float | None:
    """FLOPs of a run, as a ViT's: those of a convolution network count for more."""
    forward = _forward(config)
    if forward is None:
        return None
    images = steps * (config.batch_size + config.fed_scans)
    if config.model_type == TEACHER:
        forward /= 1.0 if is_vit(config.backbone) else convolution
        trained = _trained_share(config)
        frozen = config.frozen_share
        each = forward * (1 + _BACKWARD * trained * (1 - frozen))
        return images * each
    own = images * forward * (1 + _BACKWARD * _trained_share(config)) / convolution
    asked = steps * config.batch_size
    if config.teacher_views:
        asked = min(asked, known * config.teacher_views)
    of_teacher = _forward(teacher)
    if teacher is None or of_teacher is None:
        return None
    return own + asked * of_teacher / (1.0 if is_vit(teacher.backbone) else convolution)


def _forward(config: TrainingConfig | None) -> float | None:
    """FLOPs of one image's forward pass."""
    if config is None:
        return None
    gflop = convolution_gflop(config.backbone)
    if gflop is not None:
        return gflop * 1e9 * (config.image_size / 224) ** 2
    shape = vit_shape(config.backbone)
    if shape is None:
        return None
    patch, depth, width = (
        config.patch_size or shape.patch,
        config.depth or shape.depth,
        config.width or shape.width,
    )
    tokens = (config.image_size // patch) ** 2 + _TOKENS_BESIDE
    return float(2 * depth * (12 * width**2 * tokens + 2 * width * tokens**2))


def _trained_share(config: TrainingConfig) -> float:
    """Share of a network's operations that have a gradient."""
    if not config.trainable_blocks:
        return 1.0
    if not is_vit(config.backbone):
        return min(1.0, config.trainable_blocks / _STAGES) * _LATER_STAGES
    shape = vit_shape(config.backbone)
    depth = config.depth or (shape.depth if shape else 0)
    return min(1.0, config.trainable_blocks / depth) if depth else 1.0
