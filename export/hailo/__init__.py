"""Hailo's Dataflow Compiler behind the compiler interface, and a reader of the HEF that it makes.

``compiler`` drives it, ``process`` and ``worker`` run it in a process of its own, ``script`` makes
its commands, ``failures`` explains its errors, ``hef`` reads the result.

Example: the compiler's error in one line with its remedy.

>>> from export.hailo.failures import explained
>>> print(explained(["MemoryError", "Exception"], "out of memory"))
the Hailo compiler says MemoryError: out of memory; ...; take a larger instance
"""
