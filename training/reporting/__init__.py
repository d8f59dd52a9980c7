"""What a run measures and shows: evaluation on held-out views, log lines, plots, MLflow.

Example: measure a model, and what stands in ``evaluation.json`` afterwards.

    result = evaluate_model(ModelEmbedder(model, config, device), cards)
    result.test.top1, result.test.top1_interval         # 0.883, (0.86, 0.902)
    result.to_dict()["warnings"]                        # [] unless a target cannot be shown
"""
