"""Training in several processes as if they were one: gathered batches, averaged gradients.

Example: the same code runs alone and under ``torchrun``.

    ranks = Ranks.read()                                # from RANK and WORLD_SIZE; 1 without them
    with joined(ranks, device), shared_statistics(model, ranks):
        inputs = gathered(forward(model, batch), ranks) # every process sees the whole batch
        sum(criterion(inputs).values()).backward()
        average_gradients(parameters, ranks)
"""
