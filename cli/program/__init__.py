"""How the program ``cards`` starts, speaks and ends, apart from what its commands do.

``application`` has its groups and commands, ``entry_point`` runs them and turns an error into one
line and an exit code, ``interrupts`` and ``closed_pipe`` end it early without a traceback.
"""
