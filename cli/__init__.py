"""The ``cards`` command: thin over ``registry/``, ``training/submit.py`` and ``localcloud/``."""
