"""KL loss: the student ranks the cards of a batch as the teacher does.

Source: Hinton et al. 2015 (https://arxiv.org/abs/1503.02531) for softened distributions and the
factor T², which keeps the gradient's size independent of the temperature; SEED (Fang et al. 2021,
https://arxiv.org/abs/2101.04731) for taking the similarities to a set of embeddings as the
distribution where there is no common classifier.

Unit: nats times T². Logits are ``scale`` times cosines.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def kl_loss(
    student: Tensor, teacher: Tensor, anchors: Tensor, *, scale: float, temperature: float
) -> Tensor:
    """KL(teacher ‖ student) of similarities to the anchors, times T².

    Args:
        student: (N, D) embeddings.
        teacher: (N, D) embeddings of the same images.
        anchors: (K, D) teacher embeddings that both are compared with.
        scale: Multiplies cosines to logits.
        temperature: T; above 1 softens.
    """
    keys = functional.normalize(anchors, dim=1).T
    factor = scale / temperature
    student_logs = functional.log_softmax(factor * functional.normalize(student, dim=1) @ keys, 1)
    teacher_logs = functional.log_softmax(factor * functional.normalize(teacher, dim=1) @ keys, 1)
    divergence = functional.kl_div(
        student_logs, teacher_logs, reduction="batchmean", log_target=True
    )
    return divergence * temperature**2
