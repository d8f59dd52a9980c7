"""Scenes: whole camera frames with cards on a table, and where in them the cards truly lie.

A camera view (``recognition.views``) shows one card that is roughly framed; a scene shows all that
a camera above a table sees, and is what finding a card is measured on. A device needs none of it.

Example: a card on a table, and the true corners of its outline in pixels.

>>> from recognition.sample_cards.drawing import draw_card
>>> from recognition.scenes.scene import render_scene
>>> scene = render_scene("clutter", [draw_card(0)], width=640, height=480, seed=1)
>>> scene.frame.shape, len(scene.cards), scene.cards[0].shape
((480, 640, 3), 1, (4, 2))
"""
