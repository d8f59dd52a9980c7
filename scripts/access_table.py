"""Prints the table 'who may do what' of docs/reliability.md::

python -m scripts.access_table
"""

from __future__ import annotations

from cli.operations.account.access_table import table

if __name__ == "__main__":
    print(table())
