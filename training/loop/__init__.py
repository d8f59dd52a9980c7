"""The training loop: schedule, averaged weights, checkpoints, and what stops a run.

Example: train a model in place; the context says what is reported and kept.

    context = TrainingContext(observer, checkpoints=checkpoints, validate=validate)
    model, history = train(model, criterion, batches.begin, forward, config, steps, context)
    history.shares                                      # {"arcface": 0.7, "contrastive": 0.3}
"""
