"""The Hailo compiler's input: the model script, and the level of optimisation.

Commands as in hailo_model_zoo v2.18 (``hailo_model_zoo/cfg/alls``). The level is always given:
without it the compiler picks one by itself and falls back silently. What it used is read back from
its log.
"""

from __future__ import annotations

import re
from pathlib import Path

from registry.contract import Contract

#: Level 2 trains the quantised weights: that takes so many images and a GPU.
FINE_TUNE_IMAGES = 1024
_BATCH = 8
_REDUCED = re.compile(r"reducing optimization level to (\d)", re.IGNORECASE)


def optimisation_level(images: int, gpu: bool) -> int:
    """2 (equalisation and fine-tuning) where the compiler would really do it, else 1."""
    return 2 if gpu and images >= FINE_TUNE_IMAGES else 1


def has_gpu() -> bool:
    """Whether a GPU of NVIDIA's is there."""
    return Path("/dev/nvidia0").exists()


def model_script(contract: Contract, images: int, level: int) -> str:
    """The script: normalisation on the chip, so that the input stays uint8.

    Args:
        contract: The preprocessing; the script wants it in units of 0 to 255.
        images: How many images calibrate.
        level: Of optimisation, 0 to 4.
    """
    mean = [round(255 * value, 4) for value in contract.mean]
    std = [round(255 * value, 4) for value in contract.std]
    return "\n".join(
        [
            f"normalization1 = normalization({mean}, {std})",
            f"model_optimization_flavor(optimization_level={level}, compression_level=0)",
            f"model_optimization_config(calibration, batch_size={_BATCH}, calibset_size={images})",
            "post_quantization_optimization(bias_correction, policy=enabled)",
            "performance_param(compiler_optimization_level=max)",
            "",
        ]
    )


def used_level(asked: int, log: str) -> int:
    """The level that the compiler used in the end, by what it logged."""
    found = [int(level) for level in _REDUCED.findall(log)]
    return min([asked, *found])
