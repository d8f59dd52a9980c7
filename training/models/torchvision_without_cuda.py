"""Makes ``import torchvision`` (and so ``import timm``) work beside a CPU build of torch.

The package registry serves one torchvision per version, built against CUDA. Beside a CPU torch
its compiled part does not load, so its operators are never declared, and the import stops at
``operator torchvision::nms does not exist``. timm needs torchvision's Python transforms only.
Declaring the two operators whose shape functions torchvision registers at import mends it.
torchvision's own compiled operators (boxes, ``io``) stay unusable there; nothing here uses them.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

_SYMPTOM = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# The declarations live as long as this object does.
_library: Any = None


def mend_torchvision() -> bool:
    """Imports torchvision, declaring the missing operators only where the import needs it.

    Returns:
        Whether anything had to be mended. A matching pair of torch and torchvision is left alone.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: The import fails for any other reason.
    """
    global _library
    try:
        importlib.import_module("torchvision")
        return False
    except RuntimeError as error:
        if _SYMPTOM not in str(error) or _library is not None:
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library: Any = importlib.import_module("torch.library")
    _library = library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _library.define(schema)
    importlib.import_module("torchvision")
    return True
