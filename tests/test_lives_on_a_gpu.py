"""Cohorts of every strategy, kind and family live their whole life on the pretend GPU, and leave what they leave elsewhere."""

import os
import random
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli.strategies import STRATEGIES
from tests import backbones, lives, pretend, tiny
from tests.apart import needs_fork, run_apart
from tests.lives import Case

pytestmark = [pretend.needs_pretend, needs_fork]

PRECISIONS = ("float32", "bfloat16")
# Of all lives, which are 5,720: hours of a processor.
SHARE = float(os.environ.get("PEFTCLI_LIVES", "0.02"))
# By the way they go through the backbone: on a stream, through shared layers, by relative positions, within windows, causally.
PATHS = {
    "stream": ("bert", "roberta", "distilbert", "electra, narrow embeddings"),
    "shared": ("albert",),
    "relative": ("deberta-v3", "deberta-v2, own keys, convolution"),
    "windows": ("modernbert, mean, biases",),
    # Not GPT-2: its transposed weights lie otherwise on the pretend device, and sums over tokens are rounded otherwise there.
    "causal": ("llama", "gemma3_text"),
}
# Families whose weights a strategy does not find: no biases, one layer for all.
NO_BIASES = ("modernbert", "llama", "mistral", "qwen3", "gemma3_text")
WITHOUT = {
    "spafit": (*NO_BIASES, "qwen2", "qwen2, windows", "albert", "albert, two groups"),
    **dict.fromkeys(("bitfit", "initbias_bitfit", "reinit_bitfit"), NO_BIASES),
}
# Other options than the tests' usual ones, by strategy: first those of its life of three runs.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "mixout": [
        {"share": 0.3, "mixes": "everything", "mask": "elements"},
        {"when": "evaluation", "share": 0.3, "mixes": "everything", "mask": "elements"},
    ],
    "adapter": [
        {"size": 3, "placement": "houlsby", "wiring": "before_dropout", "up_deviation": 0.0},
        {"size": 3, "placement": "houlsby"},
        {"size": 3, "placement": "pfeiffer", "wiring": "before_dropout"},
    ],
    "lora": [
        {"rank": 2, "alpha": 4.0, "dropout": 0.2},
        {"rank": 2, "alpha": 1.0, "b_start": "uniform", "train_head": False},
        {"rank": 2, "alpha": 4.0, "dora": True, "rslora": True, "dropout": 0.2},
    ],
    "gradient": [
        {"share": 0.05, "batches": 2, "summed": "gradients"},
        {"share": 0.05, "batches": 1, "choice": "tensor"},
    ],
    "sam": [{"share": 0.05, "batches": 2}, {"share": 0.05, "choice": "tensor"}],
    "random": [{"share": 0.05, "draw": "bernoulli"}],
    "magpruning": [{"share": 0.05, "burn_in": 2}],
    "diffpruning": [
        {"share": 0.05, "burn_in": 2, "keep": "decided", "include_head": True},
        {"share": 0.05, "burn_in": 1, "again": 2, "gate_start": "drawn"},
    ],
    "childpruning": [{"share": 0.05, "every": 2}],
    "layernorm_outlier": [{"n": 5, "of": "gain"}],
    "peft": [{"type": "LORA", "r": 2, "lora_alpha": 4, "lora_dropout": 0.1}],
}


def covering() -> list[Case]:
    """Every strategy on every family, with kinds, precisions and numbers of runs in turn, so that every pair of any two meets.

    No fewer could: there are as many lives as pairs of a strategy and a family. Three runs, which cost most, once for each
    strategy; its variants there and in the families that follow.
    """
    families = [family for of_path in PATHS.values() for family in of_path]
    cases = []
    for number, strategy in enumerate(sorted(STRATEGIES)):
        legal = [at for at, family in enumerate(families) if family not in WITHOUT.get(strategy, ())]
        many = next(at for at in (*legal, *legal) if at >= 3 * number % len(families))
        following = [*legal[legal.index(many) :], *legal]
        varied = dict(zip(following, VARIANTS.get(strategy, []), strict=False))
        cases += [
            Case(
                strategy,
                3 if at == many else 1,
                tiny.KINDS[(number + at) % 5],
                family,
                PRECISIONS[(number + at // 2) % 2],
                varied.get(at),
            )
            for at, family in enumerate(families)
        ]
    return cases


COVERING = covering()


def by_model(case: Case) -> tuple[bool, bool, str]:
    """Cases with the same key load the same model, which a process keeps until it loads another."""
    return case.strategy == "spafit", case.kind in ("span", "token"), case.precision


def on_the_device(cases: Sequence[Case], folder: Path) -> list[dict[str, Any]]:
    """What each cohort leaves on the pretend GPU."""
    with pretend.gpu() as device:
        return [lives.live(case, lives.save_model(case, folder), folder, device) for case in cases]


def compare(cases: Sequence[Case], folder: Path) -> list[str]:
    """What differs between the processor and the device, by case; and cases refused, but for those that have no legal option."""
    cases = sorted(cases, key=by_model)
    # Here first, so that the fork starts with all loaded that a life needs.
    here = [lives.live(case, lives.save_model(case, folder), folder, torch.device("cpu")) for case in cases]
    there = run_apart(on_the_device, cases, folder)
    problems = []
    for case, on_processor, on_device in zip(cases, here, there, strict=True):
        if "refused" in on_processor and case.family not in WITHOUT.get(case.strategy, ()):
            problems.append(f"{case}: {on_processor['refused']}")
        # To the last bit: the device computes on the processor, by the same kernels.
        problems += [f"{case}: {name}" for name in lives.differences(on_processor, on_device)]
        if "restored" in on_device and not lives.same(on_device["restored"], on_device[f"validation {case.runs - 1}"]):
            problems.append(f"{case}: restored")
    return problems


@pytest.mark.parametrize("family", [family for families in PATHS.values() for family in families])
def test_lives_end_as_on_a_processor(family: str, tmp_path: Path) -> None:
    assert compare([case for case in COVERING if case.family == family], tmp_path) == []


@pytest.mark.whole
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_more_lives_end_as_on_a_processor(strategy: str, tmp_path: Path) -> None:
    """A part of all lives of a strategy, drawn once and for all; every one of them with PEFTCLI_LIVES=1."""
    ways = list(product((1, 3), tiny.KINDS, backbones.CONFIGS, PRECISIONS))
    random.Random(strategy).shuffle(ways)
    cases = [
        Case(strategy, runs, kind, family, precision)
        for runs, kind, family, precision in ways[: max(1, round(SHARE * len(ways)))]
    ]
    assert compare(cases, tmp_path) == []


def test_every_pair_of_values_meets() -> None:
    """Of any two of strategy, kind, runs, precision and family; and of these and the path, which the family decides."""
    cases = [
        {name: value for name, value in vars(case).items() if name != "options"} | {"path": path}
        for case in COVERING
        for path, families in PATHS.items()
        if case.family in families
    ]
    values = {name: {case[name] for case in cases} for name in cases[0]}
    assert {name: len(of_name) for name, of_name in values.items()} == {
        "strategy": len(STRATEGIES), "runs": 2, "kind": 5, "family": 10, "precision": 2, "path": 5,
    }  # fmt: skip
    for first, second in combinations(values, 2):
        if {first, second} != {"family", "path"}:
            met = {(case[first], case[second]) for case in cases}
            assert met == set(product(values[first], values[second])), (first, second)
