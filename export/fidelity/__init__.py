"""The fidelity gate: whether the compiled model is still the model that was approved.

``gate_images`` renders the images, ``measurement`` embeds them with both models, ``gate`` compares
the embeddings with ``thresholds``, ``report`` shows the result.

Example: a compile recipe's thresholds; a key that is none is refused.

>>> from export.fidelity.thresholds import Thresholds
>>> Thresholds.from_recipe({"cosine_mean": 0.995}).cosine_mean
0.995
>>> Thresholds.from_recipe({"cosine": 0.995})
Traceback (most recent call last):
    ...
export.fidelity.thresholds.GateError: gate: cosine is none of auroc_drop, ...
"""
