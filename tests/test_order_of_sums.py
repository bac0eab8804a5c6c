"""No sum of a training step has an open order, and no step waits for a GPU.

Where many threads add at once, no element gets two numbers that are not zero: they are added in whatever order the threads
come by, and the rounding would differ from run to run. (`embedding_dense_backward` is not such an addition: on a GPU it sorts its
indices first, and adds in that order.)
"""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from peftcli.engine import inserting, training
from peftcli.engine.cohort import Cohort, gather
from peftcli.engine.passes import Passes
from peftcli.errors import UserError
from peftcli.noise import step_keys
from peftcli.strategies.tuning import Moment
from tests import backbones, pretend, tiny
from tests.apart import needs_fork, run_apart
from tests.counts import Counts, by_operation, described
from tests.crosses import crossed

# Methods of the package peft know few families by themselves.
STRATEGIES = ("frozen", "full", "layernorm", "bitfit", *(name for name in tiny.OPTIONS if name != "peft"))
FAMILIES = [name for name in backbones.CONFIGS if name != "albert, two groups"]


class Watch(TorchDispatchMode):
    """Counts additions in an open order, and those of them that met an element twice, by operation."""

    def __init__(self) -> None:
        super().__init__()
        self.open: Counter[str] = Counter()
        self.additions: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        name = function._schema.name.partition("::")[2].strip("_").removesuffix("_impl")
        met = _met(name, *arguments, **(keywords or {}))
        if met is not None:
            self.additions[name] += 1
            self.open[name] += bool((met > 1).any())
        return function(*arguments, **(keywords or {}))


def _met(name: str, target: Any = None, *arguments: Any, **keywords: Any) -> Tensor | None:
    """How many numbers that are not zero each element of the target gets; None where the operation adds none."""
    if name in ("index_add", "scatter_add"):
        dimension, index, source = arguments[:3]
        return _of_zeros(target, name, dimension, index, (source != 0).to(target.dtype))
    accumulates = keywords.get("accumulate", len(arguments) > 2 and arguments[2])
    if name in ("index_put", "put") and accumulates:
        index, source = arguments[:2]
        return _of_zeros(target, name, index, (source != 0).to(target.dtype), accumulate=True)
    return None


def _of_zeros(target: Tensor, name: str, *arguments: Any, **keywords: Any) -> Tensor:
    added: Tensor = getattr(torch.zeros_like(target), name)(*arguments, **keywords)
    return added


def watched(cohort: Cohort, steps: int = 4) -> Watch:
    """What happens in a cohort's training steps; in the first two the rate is zero, and all differences are."""
    state = training.begin(cohort)
    watch = Watch()
    with watch:
        for _ in range(steps):
            training.advance(cohort, state)
    return watch


@pytest.mark.parametrize(("strategy", "kind", "family"), crossed(STRATEGIES, tiny.KINDS, FAMILIES))
def test_no_sum_of_a_step_has_an_open_order(strategy: str, kind: str, family: str) -> None:
    model = backbones.backbone(backbones.classifier(family), kind)
    try:
        cohort = tiny.cohort(model, [tiny.run(strategy, 1e-3, seed) for seed in range(3)], kind)
    except UserError as error:
        pytest.skip(f"{strategy} does not go with {family}: {error}")
    watch = watched(cohort)
    assert not +watch.open, dict(watch.open)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "bert"])
def test_nor_in_any_family_that_trains_whole(family: str) -> None:
    watch = watched(tiny.cohort(backbones.backbone(backbones.classifier(family)), [tiny.run("full")] * 2))
    assert not +watch.open, dict(watch.open)


def test_nor_in_modules_of_another_library() -> None:
    pytest.importorskip("peft")
    watch = watched(tiny.cohort(tiny.backbone("bert"), [tiny.run("peft")] * 2))
    assert not +watch.open, dict(watch.open)


def crowded(monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """A cohort whose linear layers gather their elements, many of them in one row and one column."""
    monkeypatch.setattr(inserting, "GATHER_BELOW", 1.0)
    runs = [tiny.run("random", 1e-3, seed, {"share": 0.6}) for seed in range(3)]
    return tiny.cohort(tiny.backbone("bert"), runs)


def test_elements_of_one_row_are_added_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watched(crowded(monkeypatch))
    assert watch.additions["scatter_add"] > 100
    assert not +watch.open, dict(watch.open)


def test_one_scatter_in_their_place_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(passes: Passes, target: Tensor, numbers: Tensor) -> Tensor:
        return target.scatter_add_(2, passes.columns.expand(-1, target.shape[1], -1), numbers)

    monkeypatch.setattr(Passes, "add", at_once)
    assert watched(crowded(monkeypatch)).open["scatter_add"] > 10


def test_two_numbers_in_one_place_are_noticed() -> None:
    index, one = torch.tensor([0, 2, 2]), torch.ones(3)
    with Watch() as watch:
        torch.zeros(4).index_add_(0, index, one)
        torch.zeros(4).index_add_(0, index, torch.tensor([1.0, 0.0, 1.0]))  # one of them is zero
        torch.zeros(4).scatter_add(0, index, one)
        torch.zeros(4).index_put_((index,), one, accumulate=True)
        torch.zeros(4).put_(index, one, accumulate=True)
        torch.zeros(4).put_(index, one)
    assert watch.open == {"index_add": 1, "scatter_add": 1, "index_put": 1, "put": 1}


def step_on_a_gpu(strategy: str, kind: str, family: str) -> tuple[Counts, Counts]:
    """What a training step of three runs counts on the pretend GPU, and what an evaluation."""
    with pretend.gpu() as device, pytest.MonkeyPatch.context() as patched:
        # Losses are read back where they are written down, now and then.
        patched.setattr(training, "_write_losses", lambda cohort, state: None)
        model = backbones.backbone(backbones.classifier(family, dtype=torch.float32).to(device), kind)
        runs = [tiny.run(strategy, 1e-3, seed) for seed in range(3)]
        cohort = gather(runs, [tiny.data(kind)] * 3, model, model.config, device)
        state = training.begin(cohort)
        training.advance(cohort, state)
        with pretend.counting() as step:
            training.advance(cohort, state)
        moment = Moment(state.step, False, step_keys(cohort.keys, state.step))
        with pretend.counting() as evaluation:
            training._score(cohort, state, "validation", moment)
        return step(), evaluation()


@pretend.needs_pretend
@needs_fork
@pytest.mark.parametrize(
    ("strategy", "kind", "family", "further"),
    [
        ("random", "span", "bert", 0),
        ("full", "token", "roberta", 0),
        ("layernorm_random", "choice", "albert", 0),
        ("lora", "regression", "electra", 0),
        ("layernorm", "pair", "modernbert", 0),
        ("full", "pair", "deberta-v3", 2),  # relative positions, once for each length
    ],
)
def test_a_step_waits_for_nothing_and_its_batch_is_one_copy(
    strategy: str, kind: str, family: str, further: int
) -> None:
    step, evaluation = run_apart(step_on_a_gpu, strategy, kind, family)
    assert step.syncs.total() == 0, described(step.syncs)
    copies = by_operation(step.copies)
    assert set(copies) == {"pinned"}, described(step.copies)
    assert 2 <= copies["pinned"] <= 2 + further, "the batch, and the learning rates"
    assert evaluation.syncs.total() == 1, described(evaluation.syncs)
