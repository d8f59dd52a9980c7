"""lightly-train's distillation of a teacher into the student's backbone, for comparison.

    python -m bench.recognition.lightly_distillation --teacher FOLDER --cards CARDS --out OUT
    python -m bench.recognition --model … --features lightly=OUT

lightly-train is under the AGPL: it is no dependency, nothing of it is copied, and it is installed
into an environment of its own (``--environment``, about 1.5 GB without a GPU's libraries). It gets
the same published initial weights, the same camera views of the same known cards and, for
``distillationv3``, the same teacher; its own augmentations stay on, except mirroring. Its time is
bounded by ``--minutes``: one epoch is measured, then as many are run as fit. ``distillationv1``
takes DINOv2 and DINOv3 teachers only: name one with ``--dino`` and give its weights.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

VERSION = "0.18.0"
METHODS = ("distillationv3", "distillationv1")
_RUNNER = Path(__file__).with_name("lightly_run.py")
_CAMERA_SIDE = 256


def environment(folder: Path) -> Path:
    """Makes the environment where it is missing; returns its Python."""
    python = folder / "bin/python"
    marker = folder / f".lightly-train-{VERSION}"
    if marker.is_file():
        return python
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    # torch first and alone, torchvision without its dependencies: as the Makefile does.
    subprocess.run([*pip, "torch==2.13.0"], check=True)
    subprocess.run([*pip, "--no-deps", "torchvision==0.28.0"], check=True)
    subprocess.run([*pip, f"lightly-train[timm]=={VERSION}", "timm==1.0.31"], check=True)
    marker.touch()
    return python


def write_views(cards_folder: Path, known: Sequence[str], out: Path, views: int, seed: int) -> int:
    """Writes camera views of the known cards as JPEG files; returns how many there are."""
    from recognition.card_sets.pack import open_card_set
    from recognition.views.camera import camera_views
    from registry.contract import Contract

    out.mkdir(parents=True, exist_ok=True)
    contract = Contract(size=_CAMERA_SIDE)
    cards = open_card_set(cards_folder, contract)
    chosen = [card for card in cards.card_ids if card in set(known)]
    for card in chosen:
        images, _ = camera_views(
            cards.only([card]).first_scans(contract, scale=2)[:],
            [card],
            size=_CAMERA_SIDE,
            seed=seed,
            stream="train",
            per_card=views,
            threads=os.cpu_count() or 1,
        )
        for number, image in enumerate(images):
            cv2.imwrite(
                str(out / f"{card}-{number:03d}.jpg"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            )
    return len(chosen) * views


def save_backbones(teacher: Path | None, out: Path) -> dict[str, str]:
    """Saves the state of the student's backbone, and of the teacher's; returns their names."""
    import torch

    from registry.names import STUDENT, TEACHER
    from training.artifacts.model_archive import load_model
    from training.environment import JobEnvironment
    from training.models.pretrained import begin
    from training.recipe import resolve

    config = resolve("demo", STUDENT, "stage1", {"pretrained": True})
    student, _ = begin(config, JobEnvironment.read({}))
    torch.save(student.backbone.state_dict(), out / "student.pt")
    names = {"student": config.backbone, "student_weights": str(out / "student.pt")}
    if teacher is not None:
        network, of_teacher = load_model(teacher, TEACHER)
        torch.save(network.backbone.state_dict(), out / "teacher.pt")
        names |= {"teacher": of_teacher.backbone, "teacher_weights": str(out / "teacher.pt")}
    return names


def known_cards(cards_folder: Path, seed: int) -> list[str]:
    """The known cards of the split that a training run with this seed makes."""
    from recognition.card_sets.pack import open_card_set
    from recognition.card_sets.split import split_cards
    from registry.contract import Contract

    return list(split_cards(open_card_set(cards_folder, Contract()).card_ids, seed).known)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepares, and runs the distillation in its own environment."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.recognition.lightly_distillation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cards", type=Path, required=True, help="card folder")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--teacher", type=Path, help="folder of the teacher's model.tar.gz")
    parser.add_argument("--dino", help="a DINO teacher by lightly-train's name, dinov3/vits16")
    parser.add_argument("--dino-weights", type=Path, help="its weights")
    parser.add_argument("--method", choices=METHODS, default=METHODS[0])
    parser.add_argument("--minutes", type=float, default=4.0, help="as long as the other training")
    parser.add_argument("--size", type=int, default=112, help="the network's input in pixels")
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--views", type=int, default=24, help="views of each card on disk")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the views")
    parser.add_argument("--environment", type=Path, default=Path(".venv-lightly"))
    options = parser.parse_args(arguments)
    if (options.teacher is None) == (options.dino is None):
        parser.error("give --teacher, or --dino with --dino-weights")
    if options.dino and options.dino_weights is None:
        parser.error("--dino needs --dino-weights")
    if options.method == "distillationv1" and not options.dino:
        parser.error("distillationv1 takes DINO teachers only: --dino and --dino-weights")
    options.out.mkdir(parents=True, exist_ok=True)
    python = environment(options.environment)
    images = options.out / "images"
    known = known_cards(options.cards, options.seed)
    count = write_views(options.cards, known, images, options.views, options.seed)
    print(f"{count} views of {len(known)} cards in {images}", flush=True)
    names = save_backbones(options.teacher, options.out)
    plan = {
        **names,
        "dino": options.dino,
        "method": options.method,
        "images": str(images),
        "out": str(options.out),
        "minutes": options.minutes,
        "size": options.size,
        "batch": options.batch,
        "seed": options.seed,
        "accelerator": "auto",
    }
    if options.dino:
        plan["teacher_weights"] = str(options.dino_weights)
    file = options.out / "plan.json"
    file.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    # What lightly-train would send to its makers stays here.
    quiet = {**os.environ, "LIGHTLY_TRAIN_EVENTS_DISABLED": "1"}
    return subprocess.run([str(python), str(_RUNNER), str(file)], env=quiet).returncode


if __name__ == "__main__":
    raise SystemExit(main())
