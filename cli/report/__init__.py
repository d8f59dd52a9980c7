"""``cards report``: the page to read before a version is approved."""
