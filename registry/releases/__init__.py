"""Releases: signed folders that are complete or absent, and the channels that point to them.

``publication`` writes a release, ``channel_targets`` moves the channels, ``retention`` retires old
releases; ``pull`` fetches and verifies one, and ``signatures`` says who signed it.

Retention keeps the newest releases and those that channels use:

>>> from datetime import datetime, timedelta, timezone
>>> from registry.releases.folders import Folder
>>> from registry.releases.retention import protected_releases, releases_to_retire
>>> today = datetime(2026, 1, 10, tzinfo=timezone.utc)
>>> every = [Folder(f"v{n}", today - timedelta(days=10 - n), today) for n in (1, 2, 3)]
>>> protected = protected_releases(every, in_use=["v1"], keep=1)
>>> sorted(protected)
['v1', 'v3']
>>> releases_to_retire(every, protected, today)
('v2',)
"""
