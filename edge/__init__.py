"""The device: a card recogniser that keeps itself up to date, and its command ``cards-edge``.

A distribution of its own (``edge/pyproject.toml``) with the modules of ``recognition`` and
``registry`` that it imports, and nothing else of the product. ``state`` is what a device keeps on
its disk, ``update`` brings a release there, ``selftest`` and ``preflight`` decide whether it may
run, ``runtimes`` run it.

>>> from edge.update.rollout import takes_part
>>> takes_part("shop-12", "0" * 64, 100), takes_part("shop-12", "0" * 64, 0)
(True, False)
"""

from registry.telemetry import opt_out

opt_out()
