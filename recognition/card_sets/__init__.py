"""Sets of card scans: read and checked, packed for training, compared for wrong or double scans.

Example: which cards training knows, and which it keeps unseen for validation and test. Each card's
part follows from a hash of its id, so a growing set leaves its cards where they are.

>>> from recognition.card_sets.split import split_cards
>>> split = split_cards([f"base1-{number}" for number in range(100)], seed=0, share=0.1)
>>> len(split.known), len(split.unseen_validation), len(split.unseen_test)
(78, 14, 8)
"""
