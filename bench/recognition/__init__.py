"""``make bench-recognition``: a trained model beside what its user would pick instead.

``matchers`` has what recognises, ``parts`` which cards play which part, ``measurement`` renders the
views and counts, ``tables`` prints. ``lightly_distillation`` is a program of its own.

>>> from bench.recognition.parts import parts_of
>>> parts = parts_of([f"card-{number}" for number in range(100)], trained=())
>>> parts.known, len(parts.gallery) > 60, bool(set(parts.gallery) & set(parts.unknown))
((), True, False)
"""
