"""Draws trading cards, free of any rights, for the demo and the tests; a device needs none of it.

Example: one card.

>>> from recognition.sample_cards.drawing import card_id, draw_card
>>> card_id(0)
'aurora-001'
>>> draw_card(0, seed=1, height=128).shape
(128, 92, 3)
"""
