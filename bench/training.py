"""The training loop against the bare step, on this machine.

    python -m bench.training [--recipe demo] [--stage phase2,stage1,stage2] [--steps 40]
    make bench-train

'Bare' is forward, backward and optimiser on one batch of normalised tensors that lies in memory,
with the loss of the recipe and the teacher's answers at hand: no rendering, no normalising, no
averaging, no measuring. 'Loop' is the product's own loop with everything that it does; where a
teacher is asked about every view, it is compared with bare step and teacher together, too. Runs
alternate, so that whatever else the machine does hits both; the ratio is of neighbours, and
its interval the order statistics' (95 %, or the whole range where there are too few rounds).

Weights are random and cards drawn, unless --cards names some: speed does not depend on either.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.order_statistics import median_interval
from bench.silent_observer import SilentObserver

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@dataclass
class Rates:
    """Images a second of each round, by what was measured."""

    bare: list[float]
    loop: list[float]
    pipeline: list[float]
    teacher: list[float]


class Bench:
    """One stage of a recipe, ready to be timed.

    Args:
        recipe: The recipe's name.
        stage: ``phase2``, ``stage1`` or ``stage2``.
        cards: Card folder.
        settings: On top of the recipe.
        steps: Of each measurement.
    """

    def __init__(
        self, recipe: str, stage: str, cards: Path, settings: dict[str, Any], steps: int
    ) -> None:
        from registry.names import STUDENT, TEACHER
        from training.data.batches import CardDataset
        from training.data.gpu_batches import batches_on
        from training.data.normaliser import Normaliser
        from training.distributed.machine import placed, prepare_machine
        from training.distributed.ranks import SINGLE_PROCESS
        from training.jobs.teacher_targets import TeacherTargets
        from training.jobs.teacher_training import random_directions
        from training.losses.criterion import Criterion
        from training.models.networks import build_model
        from training.recipe import resolve
        from training.reporting.evaluation import ModelEmbedder

        kind = TEACHER if stage == "phase2" else STUDENT
        given = {"log_seconds": 3600, "pretrained": False, "divergence": 0, **settings}
        self.config = resolve(recipe, kind, stage, {**given, "steps": steps})
        self.steps = steps
        self.device = prepare_machine(self.config, SINGLE_PROCESS)
        self.cards = CardDataset.load(cards, self.config)
        self.model = placed(build_model(self.config), self.config, self.device)
        self.teacher: ModelEmbedder | None = None
        self._targets: TeacherTargets | None = None
        known, channels = random_directions(len(self.cards.split.known), self.config), None
        if kind == STUDENT:
            of_teacher = resolve(recipe, TEACHER, "phase2", {"pretrained": False, "threads": 0})
            teacher = placed(build_model(of_teacher), of_teacher, self.device)
            teacher = teacher.requires_grad_(False).eval()
            self.teacher = ModelEmbedder(teacher, of_teacher, self.device)
            self._targets = TeacherTargets(self.teacher, teacher, self.cards)
            known = self._targets.known if self._targets.needed else known
            channels = (self.model.map_channels, teacher.map_channels)
        self._criterion = Criterion(self.config, known, channels).to(self.device)
        self._normalise = Normaliser(self.config, self.device)
        self._batches = batches_on(self.device, self.cards, 10**9)
        self._fixed = self._batches.batch(0)

    @property
    def asks_teacher(self) -> bool:
        """Whether a loss term of the stage learns from the teacher."""
        return self._targets is not None and self._targets.needed

    @property
    def images(self) -> int:
        """Images of one step: views and clean scans."""
        return len(self._fixed.views) + self._fixed.fed

    @property
    def views(self) -> int:
        """Views of one step: what a teacher is asked about."""
        return len(self._fixed.views)

    def bare(self) -> float:
        """Images/s of forward, backward and optimiser on tensors in memory."""
        import torch

        from training.distributed.machine import autocast
        from training.jobs.fitting import fed_images
        from training.loop.schedule import Schedule
        from training.losses.term import LossInputs

        count = len(self._fixed.views)
        images = fed_images(self._fixed, self._normalise)
        numbers = torch.from_numpy(self._fixed.cards).to(self.device)
        answer = self._targets.of(self._fixed) if self._targets else None
        maps = self._targets is not None and self._targets.with_maps
        schedule = Schedule(self.model, self._criterion, self.config, self.steps)
        schedule.set(self.steps - 1)
        self.model.train()

        def step() -> None:
            student_map = None
            with autocast(self.config, self.device):
                if maps:
                    embeddings, student_map = self.model.forward_with_map(images)
                    student_map = student_map[:count].float()
                else:
                    embeddings = self.model(images)
            views, scans = embeddings[:count].float(), embeddings[count:].float()
            inputs = LossInputs(views, scans, numbers)
            if answer is not None:
                inputs = replace(
                    inputs,
                    teacher_views=answer.views,
                    teacher_scans=answer.scans,
                    view_maps=student_map,
                    teacher_maps=answer.maps,
                )
            schedule.optimiser.zero_grad(set_to_none=True)
            loss: Any = torch.stack(list(self._criterion(inputs).values())).sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(schedule.parameters, self.config.clip_norm)
            schedule.optimiser.step()

        return self._rate(step)

    def loop(self) -> float:
        """Images/s of the product's loop, from its first step to its last."""
        from training.jobs.distillation import distil
        from training.jobs.teacher_training import teach
        from training.loop.training_loop import TrainingContext

        config = replace(self.config, normalisation_batches=0)
        cards = replace(self.cards, config=config)
        context = TrainingContext(SilentObserver())
        if self.teacher is None:
            _, history = teach(self.model, cards, self.device, context)
        else:
            _, history = distil(self.model, self.teacher, cards, context)
        return history.images / history.seconds

    def pipeline(self) -> float:
        """Images/s of rendered batches, with nobody training on them."""
        begun = time.monotonic()
        images = 0
        stream: Any = self._batches.begin(0)
        for _ in range(self.steps):
            batch = next(stream)
            images += len(batch.views) + batch.fed
        seconds = time.monotonic() - begun
        stream.close()
        return images / seconds

    def teacher_alone(self) -> float:
        """Images/s of the teacher's answers."""
        import numpy as np
        import torch

        assert self.teacher is not None
        views = self._fixed.views
        begun = time.monotonic()
        for _ in range(self.steps):
            self.teacher.embed(np.asarray(torch.as_tensor(views).cpu()))
        return self.steps * len(views) / (time.monotonic() - begun)

    def _rate(self, step: Callable[[], None]) -> float:
        for _ in range(2):
            step()
        self._wait()
        begun = time.monotonic()
        for _ in range(self.steps):
            step()
        self._wait()
        return self.steps * self.images / (time.monotonic() - begun)

    def _wait(self) -> None:
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def flops(self) -> float:
        """Floating-point operations of one image's forward and backward pass."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from training.jobs.fitting import fed_images

        images = fed_images(self._fixed, self._normalise)
        # torch's own count of a grouped convolution's gradient is that of a dense one.
        gradient: Any = torch.ops.aten.convolution_backward
        with FlopCounterMode(display=False, custom_mapping={gradient: _gradient_flops}) as counter:
            self.model(images).sum().backward()
        return float(counter.get_total_flops()) / self.images


def attainable_flops(device: Any, precision: str) -> float:
    """FLOP/s of a large matrix product in the precision: the roof that a step stands under."""
    import torch

    size = 8192 if device.type == "cuda" else 1536
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one = torch.randn(size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(6):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        begun = time.monotonic()
        one @ one
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * size**3 / (time.monotonic() - begun))
    return best


def measure(bench: Bench, rounds: int) -> Rates:
    """Alternates the measurements."""
    rates = Rates([], [], [], [])
    for _ in range(rounds):
        rates.bare.append(bench.bare())
        rates.loop.append(bench.loop())
        rates.pipeline.append(bench.pipeline())
        if bench.asks_teacher and not bench.config.teacher_views:
            rates.teacher.append(bench.teacher_alone())
    return rates


def _gradient_flops(grad_shape: Any, x_shape: Any, w_shape: Any, *others: Any, **named: Any) -> int:
    """Of a convolution's backward pass: as many as forward for each gradient that is asked for."""
    from torch.utils.flop_counter import conv_flop_count

    asked = others[7]
    once: int = conv_flop_count(list(x_shape), list(w_shape), list(grad_shape))
    return once * sum(bool(one) for one in asked[:2])


def report(stage: str, bench: Bench, rates: Rates) -> str:
    """One stage's lines."""
    ratios = [loop / bare for loop, bare in zip(rates.loop, rates.bare, strict=True)]
    ratio, low, high = median_interval(ratios)
    roof = attainable_flops(bench.device, bench.config.precision)
    used = statistics.median(rates.bare) * bench.flops() / roof
    kept = f", {bench.config.teacher_views} views kept" if bench.config.teacher_views else ""
    live = (kept or ", teacher asked every time") if bench.asks_teacher else ""
    if bench.teacher is not None and not bench.asks_teacher:
        live = ", no term asks the teacher"
    lines = (
        f"{stage}{live}: {bench.config.image_size} px, {bench.images} images a step, "
        f"{bench.config.precision}\n"
        f"  bare step      {statistics.median(rates.bare):9.1f} images/s "
        f"({used:.0%} of this machine's matrix product)\n"
        f"  loop           {statistics.median(rates.loop):9.1f} images/s "
        f"= {ratio:.2f} [{low:.2f}, {high:.2f}] of the bare step\n"
        f"  data alone     {statistics.median(rates.pipeline):9.1f} images/s"
    )
    if not rates.teacher:
        return lines
    images, views = bench.images, bench.views
    together = [
        loop * (1 / bare + views / images / teacher)
        for loop, bare, teacher in zip(rates.loop, rates.bare, rates.teacher, strict=True)
    ]
    ratio, low, high = median_interval(together)
    return (
        f"{lines}\n"
        f"  teacher alone  {statistics.median(rates.teacher):9.1f} images/s; the loop is "
        f"{ratio:.2f} [{low:.2f}, {high:.2f}] of bare step and teacher one after the other"
    )


def memory(device: Any) -> str:
    """What the process took at most."""
    import torch

    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**30 if sys.platform == "darwin" else 2**20
    )
    text = f"host {host:.2f} GiB"
    if device.type == "cuda":
        text += f", GPU {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures what is asked for and prints it."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--stage", default="phase2,stage1,stage2")
    parser.add_argument("--cards", type=Path, help="card folder; by default 200 are drawn")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    import torch

    given = dict(pair.split("=", 1) for pair in options.set)
    with tempfile.TemporaryDirectory(prefix="cards-bench-") as temporary:
        cards = options.cards
        if cards is None:
            from recognition.sample_cards.drawing import draw_card_set

            cards = Path(temporary) / "cards"
            draw_card_set(cards, 200, seed=0)
        print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}", end="")
        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        print(f", {gpu}; recipe {options.recipe}, {options.rounds} rounds of {options.steps} steps")
        for stage in options.stage.split(","):
            # The teacher's answers kept from the first pass on: later passes ask for none.
            variants: list[dict[str, Any]] = [{}] if stage == "phase2" else [{}, KEPT]
            for variant in variants:
                try:
                    bench = Bench(options.recipe, stage, cards, {**given, **variant}, options.steps)
                except ValueError as error:
                    if not variant:
                        raise
                    print(f"{stage}, teacher's answers kept: not for this recipe ({error})")
                    continue
                print(report(stage, bench, measure(bench, options.rounds)), flush=True)
                print(f"  memory         {memory(bench.device)}", flush=True)
                if not bench.asks_teacher:
                    break  # nothing to keep
    return 0


KEPT: dict[str, Any] = {"teacher_views": 2}

if __name__ == "__main__":
    raise SystemExit(main())
