"""A file in bfloat16 is loaded as it is: the same bits, fingerprint and deltas as of its values in float32, half the memory."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli.engine import backbone as backbones_of_engine
from peftcli.engine.backbone import Backbone
from peftcli.engine.cohort import Cohort
from peftcli.models.tensors import pretrained_parameters
from tests import backbones, tiny

CPU = torch.device("cpu")
CHOSEN = ("full", "layernorm", "random", "lora", "sam", "reinit_bitfit", "mixout", "magpruning")
OTHERS = (
    "bitfit",
    "initbias_bitfit",
    "childpruning",
    "diffpruning",
    "adapter",
    "gradient",
    "spafit",
    "layernorm_outlier",
)
OPTIONS: dict[str, dict[str, Any]] = {
    **tiny.OPTIONS,
    "lora": {"rank": 2, "alpha": 4.0, "dora": True},
    "magpruning": {"share": 0.3},  # so much that elements of gains are chosen too
}
Load = Callable[[str, torch.dtype, torch.dtype], Backbone]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """A family's random model as it is loaded from a folder that has it in a precision, to compute in another one."""

    def loaded(name: str, stored: torch.dtype, computed: torch.dtype) -> Backbone:
        # Its embeddings are scaled by the root of this width, which is no number of bfloat16, as that of 16 is.
        width = {"hidden_size": 24} if name == "gemma3_text" else {}
        model = copy.deepcopy(backbones.classifier(name, dtype=torch.float32, **width).base_model)
        folder = tmp_path / f"{name} {stored}"
        # Values that bfloat16 can hold, whatever they are stored in.
        model.to(torch.bfloat16).to(stored).save_pretrained(folder)
        return backbones_of_engine.load(str(folder), name in ("bert", "albert"), computed, CPU)

    return loaded


def pair(load: Load, name: str) -> tuple[Backbone, Backbone]:
    """The same values loaded from a file in float32 and from one in bfloat16, to compute in bfloat16."""
    wide, narrow = (load(name, stored, torch.bfloat16) for stored in (torch.float32, torch.bfloat16))
    assert {t.dtype for t in wide.weights.values()} == {torch.float32}
    assert {t.dtype for t in narrow.weights.values()} == {torch.bfloat16}
    return wide, narrow


def assert_same_bits(wide: Backbone, narrow: Backbone, strategy: str, kind: str = "pair") -> None:
    """Train a strategy's cohort on both: values, logits and what a delta would hold are the same to the bit."""
    ends: list[dict[str, torch.Tensor]] = []
    for base in (wide, narrow):
        options = OPTIONS.get(strategy, {})
        runs = [tiny.run(strategy, 1e-2, seed, options, steps=3, weight_decay=0.1) for seed in range(2)]
        cohort = tiny.cohort(base, runs, kind)
        state = tiny.trained(cohort)
        flat = state.flat.detach()
        assert flat.dtype == torch.float32, "small steps do not add up in less"
        assert not torch.equal(flat, cohort.assembly.flat), "nothing was trained"
        effective = cohort.assembly.effective(flat)
        assert {t.dtype for t in effective.values()} == {torch.float32}, "an end would be rounded where it is stored"
        logits = cohort.forward(flat, 3)(cohort.batch(0))
        assert logits.dtype == torch.float32, "the head computed in less"
        ends.append({"flat": flat, "logits": logits, **effective})
    assert ends[0].keys() == ends[1].keys()
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), f"{strategy}: {name}"


@pytest.mark.parametrize("strategy", [*CHOSEN, *(pytest.param(name, marks=pytest.mark.whole) for name in OTHERS)])
def test_a_run_has_the_same_bits_whichever_file_it_starts_from(strategy: str, load: Load) -> None:
    wide, narrow = pair(load, "llama")
    assert wide.fingerprint == narrow.fingerprint
    # Biases, which these train, this family has none of.
    if "bitfit" in strategy or strategy == "spafit":
        wide, narrow = pair(load, "gpt2")
    assert_same_bits(wide, narrow, strategy)


@pytest.mark.parametrize(
    ("name", "strategy", "kind"),
    [
        ("bert", "layernorm", "pair"),  # its loaded pooler is part of the head, which computes in float32
        ("gemma3_text", "magpruning", "pair"),  # ranks 1 + w, which bfloat16 would round
        ("gemma3_text", "sam", "pair"),  # its embedding's scale is no number of bfloat16
        ("bert", "reinit_bitfit", "pair"),
        ("deberta-v3", "random", "token"),
        ("gpt2", "magpruning", "regression"),
    ],
)
def test_so_has_one_of_another_family(name: str, strategy: str, kind: str, load: Load) -> None:
    wide, narrow = pair(load, name)
    assert wide.fingerprint == narrow.fingerprint
    assert_same_bits(wide, narrow, strategy, kind)


@pytest.mark.parametrize("name", ["llama", "bert", "gemma3_text"])
def test_only_what_trains_has_a_copy(name: str, load: Load) -> None:
    base = load(name, torch.bfloat16, torch.bfloat16)
    own = {n: p.data_ptr() for n, p in base.network.named_parameters()}
    of_pooler = {n for n in base.weights if n.startswith("pooler.")}
    if base.pooler is not None:  # a part of the head, which computes in float32
        assert {p.dtype for p in base.pooler.parameters()} == {torch.float32}
    assert {n: t.data_ptr() for n, t in base.weights.items() if n not in of_pooler} == own
    cohort: Cohort = tiny.cohort(base, [tiny.run("layernorm", 1e-3, seed, {}) for seed in range(2)])
    trained = {piece.name for piece in cohort.assembly.pieces}
    shared = {n for n in cohort.assembly.start if n not in trained and n not in cohort.network.fresh}
    assert shared == base.weights.keys() - trained
    assert all(cohort.assembly.start[n] is base.weights[n] for n in shared)


def test_a_file_in_several_precisions_is_loaded_in_float32(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = backbones.classifier("llama", dtype=torch.float32).base_model
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    gain = stored["norm.weight"].clone()
    # A gain between the numbers of bfloat16 beside narrow matrices: rounded, it would start elsewhere.
    assert not torch.equal(gain.bfloat16().float(), gain)
    save_file(
        {name: value if name == "norm.weight" else value.bfloat16() for name, value in stored.items()},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    base = backbones_of_engine.load(str(tmp_path), False, torch.bfloat16, CPU)
    assert torch.equal(base.weights["norm.weight"], gain)
    assert {t.dtype for t in base.network.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("computed", [torch.float32, torch.float64])
def test_elsewhere_than_in_bfloat16_weights_are_as_wide_as_the_computation(computed: torch.dtype, load: Load) -> None:
    base, narrow = (load("llama", torch.bfloat16, dtype) for dtype in (computed, torch.bfloat16))
    assert {t.dtype for t in base.weights.values()} == {computed}
    assert base.fingerprint == narrow.fingerprint


# In a process of its own: what this one has had in memory before would hide what loading takes.
MEASURED = """
import sys
import torch
from peftcli.engine import backbone
from peftcli.runner.costs import begin_peak, resident_peak
from tests import tiny

small, model = sys.argv[1:]
backbone.load(small, False, torch.bfloat16, torch.device("cpu"))  # so that all code is there
before = begin_peak() or resident_peak()
base = backbone.load(model, False, torch.bfloat16, torch.device("cpu"))
loaded = resident_peak()
tiny.cohort(base, [tiny.run("layernorm", 1e-3, seed) for seed in range(4)])
print(loaded - before, resident_peak() - before)
"""
SIZES = {"vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
LARGE = {**SIZES, "vocab_size": 50_000, "hidden_size": 1024, "num_hidden_layers": 4, "intermediate_size": 3072}


def write_llama(folder: Path, sizes: dict[str, int]) -> int:
    """Write a random Llama in bfloat16 as two shards with an index, without a network; their bytes."""
    from safetensors.torch import save_file
    from transformers import LlamaConfig

    config = LlamaConfig(**sizes, dtype="bfloat16")
    config.save_pretrained(folder)
    parameters = pretrained_parameters(config.to_dict(), False)
    where = {p.name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, p in enumerate(parameters)}
    for file in sorted(set(where.values())):
        tensors = {
            p.name: torch.empty(p.shape, dtype=torch.bfloat16).uniform_(-0.05, 0.05)
            for p in parameters
            if where[p.name] == file
        }
        save_file(tensors, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def test_loading_takes_little_more_memory_than_the_shards(tmp_path: Path) -> None:
    write_llama(tmp_path / "small", SIZES)
    shards = write_llama(tmp_path / "large", LARGE)
    assert 190e6 < shards < 220e6
    script = [sys.executable, "-c", MEASURED, str(tmp_path / "small"), str(tmp_path / "large")]
    ended = subprocess.run(script, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    loaded, gathered = (int(number) / shards for number in ended.stdout.split())
    # What is kept is the file's own pages: a copy in float32 of any large part of it would be seen.
    assert 0.9 < loaded <= 1.3
    assert loaded <= gathered <= 1.3
