"""What a job leaves behind (``model.tar.gz``, the registration request), and reading it back.

Example: load what an earlier job made, and look at any other weights without running them.

    model, config = load_model(channel, "teacher")      # model_archive: weights from safetensors
    shape_facts({"conv_stem.weight": (32, 3, 3, 3), …}) # weight_shapes: names and shapes alone
    inspect(files, "student", "model.safetensors")      # inspection: what the files beside say
"""
