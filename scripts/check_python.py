"""Says in one line why this Python cannot be used; runs on any Python 3."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "make: %s is Python %s; install Python 3.11, 3.12 or 3.13 and name it: "  # noqa: UP031
        "make PYTHON=python3.12" % (sys.executable, sys.version.split()[0])
    )
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError:
    sys.exit("make: this Python has no venv module; on Debian or Ubuntu: apt install python3-venv")
