"""How far an embedding differs by where it was computed: no decision may hang on less.

A module of its own, because a device needs it and chooses no thresholds.
"""

from __future__ import annotations

#: How much a float32 embedding changes with the processor, the batch size and the matrix library,
#: as a share of its length. Measured in cosines, between PyTorch at batches of 1, 7 and 96 and ONNX
#: Runtime with and without fused operators: 2e-7 for three layers, 4e-6 for EfficientNet-Lite0.
FLOAT_NOISE = 2e-5
#: The same for an 8-bit network: an activation at the edge of two steps falls to either. Measured
#: between ONNX Runtime's fused and plain operators on three layers: 1.9e-3 in cosines, 4.8e-3 here.
QUANTISED_NOISE = 5e-3
