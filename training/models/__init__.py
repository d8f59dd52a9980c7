"""The networks: a ViT teacher and a student that the Hailo compiler takes.

Example: the student of a recipe; ``training/architectures.py`` lists which there are.

    model = build_model(resolve("demo", "student", "stage1", {}))
    model(images).shape                                 # (N, 768), not normalised
    model, config = begin(config, environment)          # with the initial weights that it asks for
"""
