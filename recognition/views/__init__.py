"""Camera views: what a camera would see of a card, rendered from its clean scan.

``parameters`` draws the parameters of every effect at random, ``effects`` computes them as small
arrays, ``camera_opencv`` applies them, and ``camera`` renders many views. To add an effect, begin
in ``parameters``.

Example: two views of one card; the same seed gives the same pixels.

>>> import numpy as np
>>> from recognition.views.camera import camera_views
>>> scan = np.full((1, 128, 128, 3), 200, dtype=np.uint8)
>>> views, rows = camera_views(scan, ["base1-1"], size=64, seed=1, stream="query", per_card=2)
>>> views.shape, rows.tolist()
((2, 64, 64, 3), [0, 0])
"""
