"""From a card set to batches of camera views.

Example: the first batch of a run; a batch is a function of the configuration and its step.

    cards = CardDataset.load(Path("cards"), config)     # read, and split into known and unseen
    batch = Batches(cards, steps=100).batch(0)
    batch.views.shape, batch.cards                      # uint8 (64, 224, 224, 3), numbers (64,)
"""
