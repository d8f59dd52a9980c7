"""What names a card: a folder of a card set, and an answer.

A module of its own, because a device needs it and reads no card sets.
"""

from __future__ import annotations

import re

CARD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._!-]{0,99}")
