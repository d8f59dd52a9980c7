"""The nearest known cards of a picture: the gallery, the index file and the score of a match.

``gallery`` compares queries with every known card, ``index`` does so from a release's file,
``frames`` makes one query of several frames, and ``match_score`` says how sure a match is.

Example: the nearest card of a query.

>>> import numpy as np
>>> from recognition.search.gallery import best_matches
>>> scans = np.eye(2, dtype=np.float32)
>>> query = np.array([[0.6, 0.8]], dtype=np.float32)
>>> best_matches(scans, ["base1-1", "base1-2"], query, k=1).card_ids.tolist()
[['base1-2']]
"""
