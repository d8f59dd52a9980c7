"""Card recognition: card sets, camera views, the index, retrieval metrics and the recogniser.

NumPy, NumKong, OpenCV, Pillow and ONNX Runtime only; no training framework, so that the same code
runs in training jobs, in the compile job and on the device. ``sample_cards`` draws cards for the
demo and the tests, and nothing else here imports it, so a device can leave it out.

Example: the nearest cards of a query, by embeddings of clean scans.

>>> import numpy as np
>>> from recognition.search.gallery import best_matches
>>> scans = np.eye(3, dtype=np.float32)
>>> query = np.array([[0.6, 0.8, 0.0]], dtype=np.float32)
>>> best_matches(scans, ["base1-1", "base1-2", "base1-3"], query, k=2).card_ids.tolist()
[['base1-2', 'base1-1']]
"""

from registry.telemetry import opt_out

opt_out()
