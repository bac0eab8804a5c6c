"""Whether small cohorts train on a device as on the processor, twice to the bit, and without making the processor wait."""

import re
import warnings
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from peftcli.engine import backbone as backbones
from peftcli.engine import training
from peftcli.engine.cohort import Cohort, gather
from peftcli.engine.device import prepare
from tests import tiny

STEPS = 4
# How far a loss may be from the one that the processor computes in float32, as a fraction of it.
ALLOWED = {"float32": 1e-4, "bfloat16": 5e-2}
# So that no loss is read back and nothing is evaluated in the steps that are looked at.
SETTINGS: dict[str, Any] = {"steps": 100_000, "evaluate_every": "100000 steps", "warmup_ratio": 0.0, "dropout": 0.1}


def of_strategy(strategy: str, runs: int, on: torch.device) -> dict[str, Any]:
    """By precision: the largest gap to the processor, whether that is allowed, whether two trainings are equal, and syncs."""
    processor = _losses(_cohort(strategy, runs, torch.device("cpu"), "float32"))
    return {precision: _compared(processor, strategy, runs, on, precision) for precision in ALLOWED}


def of_kind(kind: str, on: torch.device) -> dict[str, Any]:
    """The same for a kind of task, three runs of layernorm, with dropout and without: attention differs in the two."""
    seen = {}
    for dropout in (0.1, 0.0):
        settings = {"kind": kind, "dropout": dropout}
        processor = _losses(_cohort("layernorm", 3, torch.device("cpu"), "float32", **settings))
        seen[f"dropout {dropout:g}"] = {
            precision: _compared(processor, "layernorm", 3, on, precision, **settings) for precision in ALLOWED
        }
    return seen


def _compared(
    processor: Tensor, strategy: str, runs: int, on: torch.device, precision: str, **settings: Any
) -> dict[str, Any]:
    cohort = _cohort(strategy, runs, on, precision, **settings)
    prepare(on, precision)
    losses, values = _trained(cohort)
    again, values_again = _trained(_cohort(strategy, runs, on, precision, **settings))
    gap = float(((losses - processor).abs() / processor.abs()).max())
    return {
        "gap": gap,
        "allowed": ALLOWED[precision],
        "within": gap <= ALLOWED[precision],
        "repeats": torch.equal(losses, again) and torch.equal(values, values_again),
        "syncs": _syncs(cohort) if on.type == "cuda" else None,
    }


def _cohort(strategy: str, runs: int, on: torch.device, precision: str, kind: str = "pair", **settings: Any) -> Cohort:
    network = tiny.stock("bert", torch.float32).to(on)
    adopted = backbones.adopt(network, kind not in ("span", "token"), frozenset())
    narrowed = backbones.narrowed(adopted, getattr(torch, precision))
    members = [tiny.run(strategy, 1e-3 * (1 + seed), seed, **SETTINGS | settings) for seed in range(runs)]
    return gather(members, [tiny.data(kind)] * runs, narrowed, narrowed.config, on)


def _trained(cohort: Cohort) -> tuple[Tensor, Tensor]:
    """The losses [steps, runs] of some steps and the values [runs, n] after them, on the processor."""
    state = training.begin(cohort)
    for _ in range(STEPS):
        training.advance(cohort, state)
    return torch.stack(state.pending).cpu(), state.flat.detach().cpu()


def _losses(cohort: Cohort) -> Tensor:
    return _trained(cohort)[0]


def _syncs(cohort: Cohort) -> dict[str, int]:
    """How often a step makes the processor wait for the GPU, by source line; the first step's tables are there already."""
    state = training.begin(cohort)
    training.advance(cohort, state)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            training.advance(cohort, state)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [w for w in said if re.search("synchroniz", str(w.message))]
    return dict(Counter(f"{w.filename.rpartition('peftcli/')[2]}:{w.lineno}" for w in waits))
