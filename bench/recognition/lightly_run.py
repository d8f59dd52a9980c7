"""Runs in an environment of its own, which `bench.recognition.lightly_distillation` makes.

Imports lightly-train, whose licence is the AGPL, and nothing of this product.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import lightly_train
import timm
import torch


def backbone(name: str, weights: str) -> Any:
    """A timm backbone with weights that were saved as a state dictionary."""
    network = timm.create_model(name, pretrained=False, num_classes=0)
    network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    return network


def pretrain(plan: dict[str, Any], out: Path, epochs: int) -> float:
    """One distillation; returns its seconds."""
    teacher: Any = plan["dino"] or backbone(plan["teacher"], plan["teacher_weights"])
    arguments = {"teacher": teacher}
    if plan["dino"]:
        arguments["teacher_weights"] = plan["teacher_weights"]
    begun = time.monotonic()
    lightly_train.pretrain(
        out=str(out),
        data=plan["images"],
        model=backbone(plan["student"], plan["student_weights"]),
        method=plan["method"],
        method_args=arguments,
        epochs=epochs,
        batch_size=plan["batch"],
        num_workers=0,
        accelerator=plan["accelerator"],
        devices=1,
        overwrite=True,
        seed=plan["seed"],
        loggers={"tensorboard": None},
        # A mirrored card is another picture: the product's views flip nothing either.
        transform_args={"image_size": (plan["size"], plan["size"]), "random_flip": None},
    )
    return time.monotonic() - begun


def main() -> None:
    """Measures one epoch, runs as many as fit into the time, and saves the backbone."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    out = Path(plan["out"])
    once = pretrain(plan, out / "one-epoch", 1)
    epochs = max(1, int(60 * plan["minutes"] / once))
    seconds = pretrain(plan, out / "run", epochs)
    exported = out / "run/exported_models/exported_last.pt"
    torch.save(torch.load(exported, weights_only=True), out / "backbone.pt")
    told = {
        "backbone": plan["student"],
        "size": plan["size"],
        "method": plan["method"],
        "teacher": plan["dino"] or plan["teacher"],
        "lightly_train": lightly_train.__version__,
        "epochs": epochs,
        "seconds": seconds,
    }
    (out / "features.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
