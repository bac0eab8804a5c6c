"""What one training step of bert-base launches on a GPU, counted on a pretend one: ceilings that only fall."""

import functools
from collections import Counter

import pytest
import torch

from peftcli.engine import backbone as backbones
from peftcli.engine import fused, training
from peftcli.engine.cohort import gather
from peftcli.models import published
from tests import pretend, tiny
from tests.apart import needs_fork, run_apart
from tests.benchmarks import workload
from tests.counts import Counts, by_operation, described

pytestmark = [pretend.needs_pretend, needs_fork]


def step(strategy: str, runs: int, serves: bool) -> Counts:
    """Counts of a cohort's second step on RTE's lengths, in bfloat16; `serves`: with kernels of our own."""
    from transformers import AutoConfig, AutoModel

    fused.serves = lambda device: serves and device.type != "cpu"  # type: ignore[assignment]
    with pretend.gpu(shapes=True) as device:
        config = AutoConfig.for_model(**published.PUBLISHED_SIZES["bert-base-uncased"])
        with torch.device("meta"):
            network = AutoModel.from_config(config, attn_implementation="eager")
        adopted = backbones.adopt(network.to(device).eval(), True, frozenset())
        loaded = backbones.narrowed(adopted, torch.bfloat16)
        workload.backbone = lambda model, device: loaded  # type: ignore[assignment]
        cohort = workload.cohort("rte", strategy, device, "bert-base-uncased", runs, 3 if runs > 1 else 1)
        state = training.begin(cohort)
        training.advance(cohort, state)
        with pretend.counting() as counts:
            training.advance(cohort, state)
    return counts()


@functools.cache
def counted(strategy: str, runs: int, serves: bool) -> Counts:
    """The same, in a process of its own, once."""
    return run_apart(step, strategy, runs, serves)


@pytest.mark.parametrize(
    ("strategy", "runs", "plain", "ours"),
    [
        ("layernorm", 1, 1020, 801),
        pytest.param("full", 1, 1501, 1273, marks=pytest.mark.whole),
    ],
)
def test_a_step_launches_no_more_kernels_than(strategy: str, runs: int, plain: int, ours: int) -> None:
    for serves, most in ((False, plain), (True, ours)):
        counts = counted(strategy, runs, serves)
        assert counts.kernels.total() <= most, described(counts.kernels)
        assert counts.syncs.total() == 0, described(counts.syncs)
        assert counts.copies.total() <= 2, described(counts.copies)


@pytest.mark.parametrize(
    ("runs", "plain", "ours"), [(1, 1260, 1020), pytest.param(21, 3302, 3075, marks=pytest.mark.whole)]
)
def test_few_trained_elements_launch_no_more_kernels_than(runs: int, plain: int, ours: int) -> None:
    for serves, most in ((False, plain), (True, ours)):
        two, three = (run_apart(step_of_few_layers, layers, runs, serves) for layers in (2, 3))
        every = two.kernels.total() + 10 * (three.kernels.total() - two.kernels.total())
        more = Counter({site: number - two.kernels[site] for site, number in three.kernels.items()})
        assert every <= most, f"{every:,}; of one layer:\n{described(more)}"
        assert three.syncs.total() == 0, described(three.syncs)
        assert three.copies.total() <= 2, described(three.copies)


def step_of_few_layers(layers: int, runs: int, serves: bool) -> Counts:
    """The same of `random`, whose kernels depend on which elements are drawn: so with values, on short sequences.

    The share is that of a bert-base's LayerNorms, which is what `random` draws by default.
    """
    from transformers import AutoConfig, AutoModel

    fused.serves = lambda device: serves and device.type != "cpu"  # type: ignore[assignment]
    sizes = {**published.PUBLISHED_SIZES["bert-base-uncased"], "num_hidden_layers": layers, "vocab_size": 2000}
    with pretend.gpu() as device:
        torch.manual_seed(0)
        network = AutoModel.from_config(AutoConfig.for_model(**sizes), attn_implementation="eager")
        adopted = backbones.adopt(network.to(device).eval(), True, frozenset())
        loaded = backbones.narrowed(adopted, torch.bfloat16)
        made = [tiny.run("random", 1e-3, seed, {"share": 0.00035}, batch_size=4, steps=1000) for seed in range(runs)]
        cohort = gather(made, [tiny.data("pair")] * runs, loaded, loaded.config, device)
        state = training.begin(cohort)
        training.advance(cohort, state)
        with pretend.counting() as counts:
            training.advance(cohort, state)
    return counts()


def test_more_runs_launch_hardly_more() -> None:
    one, many = (counted("layernorm", runs, True).kernels for runs in (1, 21))
    assert many.total() - one.total() <= 170, described(many)


def test_dropout_is_one_operator_at_every_layer_each_way() -> None:
    """Three in each of twelve layers, those of embeddings and head; backward as far down as something trains."""
    counts = counted("layernorm", 1, True)
    assert by_operation(counts.kernels)["dropped"] == 38 + 35
    saved = counted("layernorm", 1, False).traffic.total() - counts.traffic.total()
    elements = by_operation(counts.traffic)["dropped"] / 4
    assert saved > 12 * elements, "plain torch moves 18 bytes an element, ours 4"


def test_all_layers_noise_is_hashed_together() -> None:
    """The step's key, then all sites and rows at once: 35 kernels, however many layers drop."""
    lines = Counter(
        {site: n for site, n in counted("layernorm", 1, False).kernels.items() if site[0].startswith("noise.py")}
    )
    assert lines.total() <= 35, described(lines)
