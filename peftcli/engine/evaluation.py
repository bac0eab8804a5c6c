"""Evaluating every run of a cohort on a split: logits in large unpadded batches, then the loss and the metrics."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from peftcli.data.examples import Array, Examples
from peftcli.engine import losses, parallel
from peftcli.engine.batches import Batch, build
from peftcli.tasks import metrics

TOKENS = {"cpu": 2048, "cuda": 8192}  # about so many of all runs together in one pass; a processor's cache is small


@dataclass(frozen=True)
class Scored:
    """One run's outputs on a split: `logits` [examples or words, classes] (regression: [examples]), in the split's order."""

    logits: NDArray[np.float64]
    loss: float


Forward = Callable[[Batch], torch.Tensor]  # a batch to the network's outputs [runs, places, outputs]


@torch.no_grad()
def score(
    forward: Forward, splits: Sequence[Examples], kind: str, first_position: int, device: torch.device
) -> list[Scored]:
    """Run every example of each run's split once and give each run's logits and mean loss, float64 on the processor.

    Several processes take turns with the batches; each gets everything.
    """
    batches = list(_batches(splits, TOKENS.get(device.type, 8192) // len(splits)))
    places = [
        [_rows(split, own) for own in chosen] for split, chosen in zip(splits, zip(*batches, strict=True), strict=True)
    ]
    found: list[tuple[Tensor, Tensor] | None] = [None] * len(batches)
    for at in range(parallel.rank(), len(batches), parallel.size()):
        batch = build(list(zip(splits, batches[at], strict=True)), first_position, device)
        scores = losses.scores(forward(batch), kind)
        found[at] = scores.double(), losses.each(scores, batch.labels, kind).double()
    shared = found if parallel.size() == 1 else _share(found, [[len(p) for p in own] for own in places], device)
    read = [(scores.cpu().numpy(), each.cpu().numpy()) for scores, each in filter(None, shared)]
    return [
        _in_order(
            [scores[run, : len(at)] for (scores, _), at in zip(read, own, strict=True)],
            [each[run, : len(at)] for (_, each), at in zip(read, own, strict=True)],
            own,
        )
        for run, own in enumerate(places)
    ]


def _share(
    found: list[tuple[Tensor, Tensor] | None], counts: list[list[int]], device: torch.device
) -> list[tuple[Tensor, Tensor] | None]:
    """Fill in the other processes' batches: each is added to zeros, so that every process has the same bits."""
    outputs = [scores.shape[2:] for scores, _ in filter(None, found)]
    width = parallel.largest(int(outputs[0][0]) if outputs and outputs[0] else 0, device)
    shared: list[tuple[Tensor, Tensor] | None] = []
    for own, *rows in zip(found, *counts, strict=True):
        shape = (len(counts), max(rows), *([width] if width else []))
        scores, each = own or (torch.zeros(shape, dtype=torch.float64, device=device), None)
        each = torch.zeros(shape[:2], dtype=torch.float64, device=device) if each is None else each
        shared.append((parallel.add(scores.contiguous()), parallel.add(each.contiguous())))
    return shared


def measure(
    scored: Scored, split: Examples, kind: str, names: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """Compute a split's metrics from one run's outputs, as fractions."""
    if kind == "regression":
        return metrics.compute(names, scored.logits, split.labels)
    predictions = scored.logits.argmax(-1)
    lengths = None if split.word_starts is None else np.diff(split.word_starts)
    return metrics.compute(names, predictions, split.labels, labels, lengths)


def collapsed(scored: Scored, kind: str) -> bool:
    """Say whether a run gives the same class for every example (regression: the same number, to six digits)."""
    if kind == "regression":
        return bool(np.ptp(scored.logits) < 1e-6)
    return len(np.unique(scored.logits.argmax(-1))) == 1


def _batches(splits: Sequence[Examples], tokens: int) -> Iterator[list[Array]]:
    """Cut each run's split into batches of its own, all runs' at once: long examples first, like lengths together."""
    lengths = [np.add.reduceat(s.lengths, np.arange(0, len(s.lengths), s.group)) for s in splits]
    orders = [np.argsort(-own, kind="stable") for own in lengths]
    size = max(map(len, orders))
    orders = [np.pad(order, (0, size - len(order)), mode="edge") for order in orders]  # repeats are counted once
    at = 0
    while at < size:
        longest = max(int(own[order[at]]) for own, order in zip(lengths, orders, strict=True))
        count = max(1, tokens // longest)
        yield [order[at : at + count] for order in orders]
        at += count


def _rows(split: Examples, chosen: Array) -> Array:
    """Which rows of the split's labels these examples are: themselves, or their words."""
    if split.word_starts is None:
        return chosen
    spans = [np.arange(split.word_starts[e], split.word_starts[e + 1]) for e in chosen]
    return np.concatenate(spans)


def _in_order(rows: list[NDArray[np.float64]], lost: list[NDArray[np.float64]], places: list[Array]) -> Scored:
    """Put a run's rows back in the split's order; the loss is their mean, summed in that order."""
    all_rows, all_lost, at = np.concatenate(rows), np.concatenate(lost), np.concatenate(places)
    _, first = np.unique(at, return_index=True)
    return Scored(all_rows[first], float(all_lost[first].mean()))
