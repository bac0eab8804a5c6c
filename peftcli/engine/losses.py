"""Losses: from logits to one number a run, each run's mean over its own examples."""

import torch
from torch import Tensor
from torch.nn import functional as F

from peftcli.engine.batches import Batch


def scores(logits: Tensor, kind: str) -> Tensor:
    """Shape a network's outputs as a task reads them: [runs, examples, classes], or [runs, examples] for regression."""
    if kind == "regression":
        return logits[..., 0]
    return logits.view(logits.shape[0], -1, 2) if kind == "choice" else logits


def each(found: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Give every example's loss [runs, examples] in at least float32: squared error, else cross-entropy."""
    found = found.float() if found.dtype in (torch.bfloat16, torch.float16) else found
    if kind == "regression":
        return (found - labels.to(found.dtype)).square()
    flat = F.cross_entropy(found.flatten(0, 1), labels.flatten(), reduction="none")
    return flat.view_as(labels)


def per_run(found: Tensor, batch: Batch, kind: str) -> Tensor:
    """Give each run's mean loss over the examples (words, for token tasks) it has, [runs]; a slice's part of it."""
    losses = each(found, batch.labels, kind)
    present = batch.present.to(losses.dtype)
    count = present.sum(1) if batch.whole is None else batch.whole.counts
    return (losses * present).sum(1) / count.clamp(min=1)
