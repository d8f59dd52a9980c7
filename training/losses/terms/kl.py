"""KL loss: the student ranks the cards of a batch as the teacher does.

Source: Hinton et al. 2015 (https://arxiv.org/abs/1503.02531) for softened distributions; SEED
(Fang et al. 2021, https://arxiv.org/abs/2101.04731) for taking the similarities to a set of
embeddings as the distribution where there is no common classifier. Hinton's factor T² keeps the
gradient's size over the temperature, but leaves the term in nats: with logits of 64 times the
cosine it was 98 % of the gradient at a weight of .25, whatever the other terms' weights. Here the
divergence is divided by what a constant answer, the teacher's mean distribution over the batch,
would reach; its size then depends on the temperature as little, and on the logits' scale neither.

Unit: share of what the teacher's answers tell the images apart by that the student leaves unsaid;
0 is a copy, 1 is what a constant answer would reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from registry.names import STUDENT
from training.losses.term import LossInputs, LossTerm, Need, Setting

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Nats of a batch whose answers are all alike: nothing to tell apart, no division by zero.
_LEAST_INFORMATION = 1e-3


def kl_loss(
    student: Tensor, teacher: Tensor, anchors: Tensor, *, scale: float, temperature: float
) -> Tensor:
    """KL(teacher ‖ student) of similarities to the anchors, over KL(teacher ‖ its mean).

    Args:
        student: (N, D) embeddings.
        teacher: (N, D) embeddings of the same images.
        anchors: (K, D) teacher embeddings that both are compared with.
        scale: Multiplies cosines to logits.
        temperature: T; above 1 softens.
    """
    from torch.nn import functional

    keys = functional.normalize(anchors, dim=1).T
    factor = scale / temperature
    student_logs = functional.log_softmax(factor * functional.normalize(student, dim=1) @ keys, 1)
    teacher_logs = functional.log_softmax(
        factor * functional.normalize(teacher, dim=1) @ keys, 1
    ).detach()
    divergence = functional.kl_div(
        student_logs, teacher_logs, reduction="batchmean", log_target=True
    )
    shares = teacher_logs.exp()
    information = (shares * (teacher_logs - shares.mean(dim=0).log())).sum(dim=1).mean()
    return divergence / information.clamp_min(_LEAST_INFORMATION)


def _of_batch(batch: LossInputs, settings: Mapping[str, float], module: nn.Module | None) -> Tensor:
    """Of the known cards' scans of the batch as anchors."""
    teacher, anchors = batch.teacher_embeddings()
    return kl_loss(
        batch.embeddings,
        teacher,
        anchors,
        scale=settings["kl_scale"],
        temperature=settings["kl_temperature"],
    )


TERM = LossTerm(
    "kl",
    frozenset({STUDENT}),
    _of_batch,
    needs=frozenset({Need.TEACHER}),
    settings={"kl_temperature": Setting(4.0, 0.01, 100), "kl_scale": Setting(64.0, 0.1, 1000)},
)
