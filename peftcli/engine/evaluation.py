"""What a network's outputs are worth: each run's loss on a batch, and its loss and metrics on a whole split."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from peftcli.data.examples import Array, Examples
from peftcli.engine import parallel
from peftcli.engine.batches import NO_LOOKUPS, Batch, build
from peftcli.engine.lookup import Lookup
from peftcli.models.reach import Reading
from peftcli.tasks import metrics

# About so many tokens of all runs together in one pass: a processor's cache is small, a GPU wants large products.
TOKENS = {"cpu": 2048, "cuda": 8192}

Forward = Callable[[Batch], Tensor]  # a batch to the network's outputs [runs, read, outputs]


@dataclass(frozen=True)
class Scored:
    """One run's outputs on a split: `logits` [examples or words, classes] (regression: [examples]), in the split's order."""

    logits: NDArray[np.float64]
    loss: float


def task_outputs(logits: Tensor, kind: str) -> Tensor:
    """Shape the network's [runs, read, outputs] as the task reads them: [runs, examples, classes]; regression: [runs, examples].

    A choice task's two sequences give one number each, which are the example's two classes.
    """
    if kind == "regression":
        return logits[..., 0]
    return logits.view(logits.shape[0], -1, 2) if kind == "choice" else logits


def example_losses(outputs: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Every example's loss [runs, examples], in float32 at least: squared error for regression, else cross-entropy."""
    outputs = outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs
    if kind == "regression":
        return (outputs - labels.to(outputs.dtype)).square()
    losses = F.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none")
    return losses.view_as(labels)


def run_losses(outputs: Tensor, batch: Batch, kind: str) -> Tensor:
    """Each run's mean loss [runs] over the examples (token tasks: words) it has.

    Of a slice it is that slice's part of the mean: the sum is divided by what the whole batch has, so that the processes'
    parts add up to the loss of one process.
    """
    losses = example_losses(outputs, batch.labels, kind)
    present = batch.present.to(losses.dtype)
    count = present.sum(1) if batch.whole is None else batch.whole.counts
    return (losses * present).sum(1) / count.clamp(min=1)


@torch.no_grad()
def score(
    forward: Forward,
    splits: Sequence[Examples],
    kind: str,
    reading: Reading,
    device: torch.device,
    lookups: Mapping[str, Lookup] = NO_LOOKUPS,
) -> list[Scored]:
    """Run every example of each run's split once; each run's logits and mean loss, in float64 on the processor.

    Several processes take turns with the batches; each gets everything.
    """
    batches = list(_batches(splits, TOKENS.get(device.type, 8192) // len(splits)))
    # By run and batch: the rows of the split's labels that the outputs belong to.
    rows = [
        [_label_rows(split, chosen) for chosen in of_run]
        for split, of_run in zip(splits, zip(*batches, strict=True), strict=True)
    ]
    computed: list[tuple[Tensor, Tensor] | None] = [None] * len(batches)
    for number in range(parallel.rank(), len(batches), parallel.size()):
        batch = build(list(zip(splits, batches[number], strict=True)), reading, device, lookups)
        outputs = task_outputs(forward(batch), kind)
        # Nothing is read back from the device before all batches are computed: it never waits for the next one.
        computed[number] = outputs.double(), example_losses(outputs, batch.labels, kind).double()
    if parallel.size() > 1:
        computed = _exchange(computed, [[len(r) for r in of_run] for of_run in rows], device)
    arrays = _read_back([pair for pair in computed if pair is not None])
    return [_in_order(run, arrays, of_run) for run, of_run in enumerate(rows)]


def _read_back(pairs: list[tuple[Tensor, Tensor]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Outputs and losses of all batches as arrays, by one copy from the device."""
    tensors = [tensor for pair in pairs for tensor in pair]
    row = torch.cat([tensor.reshape(-1) for tensor in tensors]).cpu().numpy()
    ends = np.cumsum([tensor.numel() for tensor in tensors])
    arrays = [part.reshape(t.shape) for part, t in zip(np.split(row, ends[:-1]), tensors, strict=True)]
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def _exchange(
    computed: list[tuple[Tensor, Tensor] | None], counts: list[list[int]], device: torch.device
) -> list[tuple[Tensor, Tensor] | None]:
    """Fill in the other processes' batches, `counts` by run and batch being the rows in each.

    A batch that another process computed is zeros here, and all of them are summed: every process has the same bits.
    """
    outputs = [outputs.shape[2:] for outputs, _ in filter(None, computed)]
    # A process with no batch at all learns the number of classes from the others; regression has no such dimension.
    width = parallel.largest(int(outputs[0][0]) if outputs and outputs[0] else 0, device)
    exchanged: list[tuple[Tensor, Tensor] | None] = []
    for pair, *rows in zip(computed, *counts, strict=True):
        shape = (len(counts), max(rows), *([width] if width else []))
        zeros = (torch.zeros(size, dtype=torch.float64, device=device) for size in (shape, shape[:2]))
        logits, losses = pair or zeros
        exchanged.append((parallel.add(logits.contiguous()), parallel.add(losses.contiguous())))
    return exchanged


def _in_order(run: int, arrays: list[tuple[np.ndarray, np.ndarray]], rows: list[Array]) -> Scored:
    """One run's outputs, which came batch by batch, in the split's order; the loss is their mean, summed in that order.

    Summed in the order of the batches, it would depend on how many runs share them.
    """
    # A batch is as wide as its widest run: what lies behind a run's own rows only fills it up.
    logits = np.concatenate([logits[run, : len(at)] for (logits, _), at in zip(arrays, rows, strict=True)])
    losses = np.concatenate([losses[run, : len(at)] for (_, losses), at in zip(arrays, rows, strict=True)])
    _, first = np.unique(np.concatenate(rows), return_index=True)
    # A run that is about to be called diverged may overflow here: its loss is then infinite, which is what is looked for.
    # Sentences of which no word is read have no loss, as in training.
    with np.errstate(over="ignore", invalid="ignore"):
        return Scored(logits[first], float(losses[first].mean()) if len(first) else 0.0)


def measure(
    scored: Scored, split: Examples, kind: str, names: Sequence[str], labels: Sequence[str]
) -> dict[str, float]:
    """A split's metrics from one run's outputs, as fractions."""
    if kind == "regression":
        return metrics.compute(names, scored.logits, split.labels)
    predictions = scored.logits.argmax(-1)
    lengths = None if split.word_starts is None else np.diff(split.word_starts)
    return metrics.compute(names, predictions, split.labels, labels, lengths)


def collapsed(scored: Scored, kind: str) -> bool:
    """Whether a run predicts the same class for every example (regression: the same number, to six digits)."""
    if kind == "regression":
        with np.errstate(over="ignore", invalid="ignore"):  # the range of large numbers is infinite, and no collapse
            return bool(np.ptp(scored.logits) < 1e-6)
    return len(np.unique(scored.logits.argmax(-1))) == 1


def _batches(splits: Sequence[Examples], tokens: int) -> Iterator[list[Array]]:
    """Cut each run's split into batches of its own: by batch, the numbers of each run's examples, the longest first.

    Like lengths together leave few filler tokens; the longest come first, so memory runs out at once or not at all.
    """
    lengths = [split.example_lengths for split in splits]
    orders = [np.argsort(-of_run, kind="stable") for of_run in lengths]
    size = max(map(len, orders))
    # A shorter split repeats its last example to the length of the longest; `_in_order` counts repeats once.
    orders = [np.pad(order, (0, size - len(order)), mode="edge") for order in orders]
    start = 0
    while start < size:
        longest = max(int(of_run[order[start]]) for of_run, order in zip(lengths, orders, strict=True))
        count = max(1, tokens // longest)
        yield [order[start : start + count] for order in orders]
        start += count


def _label_rows(split: Examples, chosen: Array) -> Array:
    """Which rows of the split's labels these examples are: themselves, or for token tasks their words."""
    if split.word_starts is None:
        return chosen
    spans = [np.arange(split.word_starts[e], split.word_starts[e + 1]) for e in chosen]
    return np.concatenate(spans)
