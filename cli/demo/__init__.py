"""``cards demo``: the whole path on one machine, from ``cdk deploy`` to a recognised card.

``command`` runs the steps, ``recognise`` tries the pulled release on new views, ``summary`` prints
the result and writes it to ``summary.json``.

Example:
    >>> from cli.demo.summary import next_commands
    >>> next_commands("student-x-stage2-v1", "demo-output/release", " --port 4600")[:2]
    ['eval "$(cards local env --port 4600)"', 'cards registry list']
"""
