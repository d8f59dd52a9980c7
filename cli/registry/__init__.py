"""``cards registry``: listing, searching, comparing and deciding on registered versions.

One file a command; ``filters`` holds the options that choose among versions, ``version_table`` the
columns of a list, ``lineage_drawing`` the graph that ``lineage`` writes in each format.

Example:
    >>> from cli.registry.filters import filters
    >>> from cli.registry.version_table import columns
    >>> columns(filters(status="approved", metric=["Top1>=0.8"]))
    ['#', 'NAME', 'STATUS', 'CREATED (UTC)', 'TOP1', 'SUMMARY']
"""
