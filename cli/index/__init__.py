"""``cards index``: cards that are added to a release's index without training.

>>> from cli.index.addition import figures
>>> figures({"top1_added": 0.95, "top1_added_low": 0.9, "top1_added_high": 0.98,
...          "added_queries": 240.0, "accepted_right_added": 0.7})[0]
'added cards: top-1 0.950 (0.900 to 0.980) of 240 views, 0.700 accepted and right'
"""
