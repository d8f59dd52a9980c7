"""Finding cards in rendered scenes.

``finding`` counts what is found, ``answers`` names the cards that were found, and
``outline_weights`` fits the weights by which ``edge.frames.likelihood`` ranks outlines.
"""
