"""What each term and setting of the distillation brings, over several seeds.

    python -m bench.distillation --cards CARDS --out results.json
    make ablation

A seed decides the split, the initial weights, the views and their order; every variant of a seed
has the same teacher, the same number of steps and the same number of images. What is compared is
the difference to the baseline of the same seed. Settings are to be chosen by the validation figures
(views and cards of their own); the query figures are what may then be reported.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.silent_observer import SilentObserver

#: Of every run; small enough for two CPU cores.
SETTINGS: Mapping[str, Any] = {
    "held_out_share": 0.15,
    "validation_views": 600,
    "query_views": 1000,
    "unseen_views": 500,
    "log_seconds": 3600,
    "checkpoint_minutes": 1440,
    # A teacher answers about cards as they are.
    "variants": 1,
}
OFF: Mapping[str, float] = {
    f"weight_{name}": 0.0
    for name in (
        *("embedding", "relational", "kl", "feature_map", "attention", "high_frequency"),
        *("arcface", "contrastive"),
    )
}
BOTH = {"weight_embedding": 1.0, "weight_relational": 1.0}
GUIDE = {
    "weight_embedding": 0.35,
    "weight_kl": 0.25,
    "weight_attention": 0.25,
    "weight_high_frequency": 0.15,
}
#: Variants of the first stage, by name; the first is what the others are compared with.
STAGE_1: Mapping[str, Mapping[str, Any]] = {
    "embedding + relational": BOTH,
    "embedding": {"weight_embedding": 1.0},
    "embedding + KL": {"weight_embedding": 1.0, "weight_kl": 0.25},
    "embedding + feature map": {"weight_embedding": 1.0, "weight_feature_map": 1.0},
    "embedding + attention": {"weight_embedding": 1.0, "weight_attention": 1.0},
    "embedding + high frequency": {"weight_embedding": 1.0, "weight_high_frequency": 1.0},
    "embedding + relational + high frequency": {**BOTH, "weight_high_frequency": 1.0},
    "the guide's four": GUIDE,
    "embedding, clean scan as target": {"weight_embedding": 1.0, "distillation_target": "scan"},
    "ArcFace alone": {"weight_arcface": 1.0},
    "embedding + relational, teacher asked once (8 views)": {**BOTH, "teacher_views": 8},
}
#: Variants of the second stage, each from the same first stage.
STAGE_2: Mapping[str, Mapping[str, Any]] = {
    "no second stage": {},
    "embedding + relational": BOTH,
    "embedding + relational + ArcFace": {**BOTH, "weight_arcface": 1.0},
    "embedding + relational + contrastive": {**BOTH, "weight_contrastive": 1.0},
    "ArcFace alone": {"weight_arcface": 1.0},
    "embedding + relational + ArcFace, half virtual cards": {
        **BOTH,
        "weight_arcface": 1.0,
        "virtual_share": 0.5,
    },
    "the guide's four + ArcFace": {**GUIDE, "weight_arcface": 1.0},
}
FIGURES = ("validation_top1", "validation_top1_unseen", "top1", "top1_unseen")


@dataclass(frozen=True)
class Experiment:
    """One run: a seed, a stage, and a variant of it."""

    seed: int
    stage: str
    variant: str
    cards: str
    folder: str
    steps: tuple[int, int, int]
    base: tuple[tuple[str, Any], ...] = ()


def run(work: Experiment) -> dict[str, Any]:
    """Trains and measures one variant; what it needs of earlier stages lies in the folder."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from registry.names import STUDENT, TEACHER
    from training.artifacts.model_archive import load_model, write_model
    from training.data.batches import CardDataset
    from training.distributed.machine import placed, prepare_machine
    from training.distributed.ranks import SINGLE_PROCESS
    from training.environment import JobEnvironment
    from training.jobs.distillation import distil
    from training.jobs.teacher_training import teach
    from training.loop.training_loop import TrainingContext
    from training.models.pretrained import begin
    from training.recipe import resolve
    from training.reporting.evaluation import ModelEmbedder, evaluate_model

    begun = time.monotonic()
    kind = TEACHER if work.stage == "phase2" else STUDENT
    given = {**SETTINGS, "seed": work.seed, "threads": 1, **dict(work.base)}
    steps = dict(zip(("phase2", "stage1", "stage2"), work.steps, strict=True))[work.stage]
    if kind == STUDENT:
        variants = STAGE_1 if work.stage == "stage1" else STAGE_2
        given |= {**OFF, **variants[work.variant]}
    config = resolve("demo", kind, work.stage, {**given, "steps": steps})
    device = prepare_machine(config, SINGLE_PROCESS)
    cards = CardDataset.load(Path(work.cards), config)
    folder = Path(work.folder)
    context = TrainingContext(SilentObserver())
    taught = None
    # Published weights come from their packages; there is no channel.
    nowhere = JobEnvironment.read({"SM_MODEL_DIR": str(folder / "model")})
    if kind == TEACHER:
        model, config = begin(config, nowhere)
        model = placed(model, config, device)
        model, history = teach(model, cards, device, context)
    else:
        teacher, of_teacher = load_model(folder / f"teacher-{work.seed}", TEACHER)
        frozen = placed(teacher, of_teacher, device).requires_grad_(False)
        taught = ModelEmbedder(frozen, of_teacher, device)
        if work.stage == "stage1":
            model, config = begin(config, nowhere)
        else:
            model, _ = load_model(folder / f"stage1-{work.seed}", STUDENT)
        model, history = distil(placed(model, config, device), taught, cards, context)
    result = evaluate_model(ModelEmbedder(model, config, device), cards, taught)
    figures = result.metrics()
    first = work.stage == "stage1" and work.variant == "embedding + relational"
    if kind == TEACHER or first:
        name = "teacher" if kind == TEACHER else "stage1"
        write_model(folder / f"{name}-{work.seed}", model, cards, result)
    return {
        "seed": work.seed,
        "stage": work.stage,
        "variant": work.variant,
        "steps": history.steps,
        "images": history.images,
        "seconds": time.monotonic() - begun,
        "shares": history.shares,
        "known_cards": len(cards.split.known),
        "unseen_cards": len(cards.split.unseen_test),
        **{name: figures[name] for name in (*FIGURES, "auroc", "accepted_right")},
        "similarity": figures.get("similarity"),
    }


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of Student's 95 % interval of it, over the seeds."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.nan
    # Two-sided 97.5 % quantiles of Student's t by degrees of freedom.
    table = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
    quantile = table[min(len(values) - 2, len(table) - 1)]
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def table(results: Sequence[Mapping[str, Any]], stage: str) -> str:
    """The stage's variants as a Markdown table, each with its difference to the first one."""
    rows = [row for row in results if row["stage"] == stage]
    names = list(dict.fromkeys(row["variant"] for row in rows))
    heads = {
        "validation_top1": "validation, known",
        "validation_top1_unseen": "validation, new cards",
        "top1": "queries, known",
        "top1_unseen": "queries, new cards",
    }
    lines = [
        f"| {stage} | " + " | ".join(heads.values()) + " | new cards against the first row |",
        "|---" * (len(heads) + 2) + "|",
    ]
    first = {row["seed"]: row for row in rows if row["variant"] == names[0]}
    for name in names:
        of_variant = sorted((r for r in rows if r["variant"] == name), key=lambda r: int(r["seed"]))
        cells = []
        for figure in heads:
            mean, half = interval([row[figure] for row in of_variant])
            cells.append(f"{mean:.3f} ± {half:.3f}")
        paired = [
            row["top1_unseen"] - first[row["seed"]]["top1_unseen"]
            for row in of_variant
            if row["seed"] in first
        ]
        mean, half = interval(paired) if name != names[0] else (0.0, 0.0)
        cells.append("" if name == names[0] else f"{mean:+.3f} ± {half:.3f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is asked for and prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.distillation", description=__doc__)
    parser.add_argument("--cards", type=Path, help="card folder; by default 300 are drawn")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", default="280,200,110", help="of teacher, stage 1, stage 2")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2)))
    parser.add_argument("--only", default="", help="variants that hold this text")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of every run")  # fmt: skip
    parser.add_argument(
        "--out", type=Path, help="every run's figures, as JSON; what is in it is not repeated"
    )
    parser.add_argument("--keep", type=Path, help="where teachers and first stages are kept")
    options = parser.parse_args(arguments)
    of_teacher, of_stage_1, of_stage_2 = (int(text) for text in options.steps.split(","))
    steps = of_teacher, of_stage_1, of_stage_2
    base = tuple((key, value) for key, _, value in (pair.partition("=") for pair in options.set))
    with tempfile.TemporaryDirectory(prefix="cards-ablation-") as temporary:
        folder = options.keep or Path(temporary)
        cards = options.cards
        if cards is None:
            from recognition.sample_cards.drawing import draw_card_set

            cards = Path(temporary) / "cards"
            draw_card_set(cards, 300, seed=0)

        def works(stage: str, variants: Sequence[str]) -> list[Experiment]:
            return [
                Experiment(seed, stage, variant, str(cards), str(folder), steps, base)
                for variant in variants
                for seed in range(1, options.seeds + 1)
            ]

        chosen = [
            [name for name in variants if options.only in name or name == "embedding + relational"]
            for variants in (STAGE_1, STAGE_2)
        ]
        # The first stage that the second one goes on from is needed first.
        chosen[0].sort(key=lambda name: name != "embedding + relational")
        results: list[dict[str, Any]] = []
        if options.out is not None and options.keep is not None and options.out.is_file():
            results = json.loads(options.out.read_text(encoding="utf-8"))
        done = {(row["seed"], row["stage"], row["variant"]) for row in results}
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(options.workers, maxtasksperchild=1) as pool:
            for stage, names in (
                ("phase2", ["teacher"]),
                ("stage1", chosen[0]),
                ("stage2", [name for name in chosen[1] if STAGE_2[name]]),
            ):
                left = [w for w in works(stage, names) if (w.seed, stage, w.variant) not in done]
                _collect(pool, left, results, options.out)
    results += [
        {**row, "stage": "stage2", "variant": "no second stage"}
        for row in results
        if row["stage"] == "stage1" and row["variant"] == "embedding + relational"
    ]
    for stage, variants in (("phase2", ["teacher"]), ("stage1", STAGE_1), ("stage2", STAGE_2)):
        order = list(variants)
        results.sort(key=lambda row: order.index(row["variant"]) if row["variant"] in order else 0)
        print(f"\n{table(results, stage)}")
    return 0


def _collect(pool: Any, work: Sequence[Experiment], results: list[Any], out: Path | None) -> None:
    for row in pool.imap_unordered(run, work):
        results.append(row)
        figures = " ".join(f"{name}={row[name]:.3f}" for name in FIGURES)
        print(
            f"{row['stage']} seed {row['seed']} {row['variant']}: {figures} "
            f"({row['seconds']:.0f} s, {row['images']} images)",
            flush=True,
        )
        if out is not None:
            out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
