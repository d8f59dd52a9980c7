"""The fidelity gate: whether the compiled model is still the model that was approved.

``gate_images`` renders the images, ``measurement`` embeds them with both models, ``gate`` compares
the embeddings with ``thresholds``, ``report`` shows the result.

Example: thresholds of compile settings; a key that is none is refused.

>>> from export.fidelity.thresholds import Thresholds
>>> Thresholds.from_settings({"cosine_mean": 0.995}).cosine_mean
0.995
>>> Thresholds.from_settings({"cosine": 0.995})
Traceback (most recent call last):
    ...
export.fidelity.thresholds.GateError: gate: cosine is none of auroc_drop, ...
"""
