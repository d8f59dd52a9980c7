"""``cards data``: drawing, checking, packing, uploading and downloading card sets.

Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> from cli.data.expected_cards import expected_ids
    >>> path = Path(tempfile.mkdtemp()) / "set-list.csv"
    >>> _ = path.write_text("id,name\\nemerald-042,Newt\\nemerald-043,Frog\\n")
    >>> expected_ids(path)
    ['emerald-042', 'emerald-043']
"""
