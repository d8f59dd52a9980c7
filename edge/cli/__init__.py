"""The command ``cards-edge``: one file a command, ``main`` reads the arguments.

argparse, because a device starts it often: it is part of Python and imports in 10 ms.
"""
