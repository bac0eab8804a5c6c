"""A small recipe for figures: its records, and entries of its `figures:`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from peftcli.experiment import recipe as recipes
from peftcli.experiment.plan import Planned
from peftcli.report import figures
from peftcli.report.figures import weights
from tests import synthetic

RECIPE: dict[str, Any] = {
    "title": "A small recipe",
    "model": "minilm",
    "tasks": [{"cola": {"label": "CoLA"}}, {"rte": {"label": "RTE"}}],
    "strategies": [
        {"full": {"label": "Full", "learning_rates": [1e-5]}},
        {"layernorm": {"label": "LayerNorm"}},
        {"bitfit": {"label": "BitFit"}},
    ],
    "learning_rates": [1e-4, 1e-3],
    "seeds": 4,
    "table": {"ddof": 1},
}
LAYERS = [{"layernorm": {"layers": [n], "label": f"#{n}"}} for n in range(1, 5)]
SHARES = [{"sam": {"share": share, "label": str(share)}} for share in (0.1, 0.001, 0.01)]
SIZES = [{"rte": {"label": str(n), "training": {"train_size": n}}} for n in (100, 1000)]


def study_of(tmp_path: Path, state: Callable[[Planned], str] | None = None, **changes: Any) -> figures.Study:
    recipe = recipes.build({**RECIPE, **changes}, tmp_path / "small.yaml", {})
    synthetic.write_all(recipe, tmp_path / "results", state)
    return figures.study(recipe, tmp_path / "results")


def entry(kind: str, **options: Any) -> Any:
    return figures.parse({"kind": kind, "name": "one", **options})


def odd(planned: Planned) -> str:
    """Seeds 1 to 3 of LayerNorm on RTE end badly, and nothing of BitFit on CoLA was run."""
    if (planned.strategy, planned.task) == (1, 1):
        return ("completed", "diverged", "failed", "collapsed")[planned.run.seed]
    return "missing" if (planned.strategy, planned.task) == (2, 0) else "completed"


def tiny_model(folder: Path, prefix: str, old_names: bool) -> dict[str, np.ndarray]:
    """Write a random model of two layers as safetensors, and give its tensors by the architecture's names."""
    from safetensors.numpy import save_file

    sizes = {"hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 6}
    rest = {"vocab_size": 9, "max_position_embeddings": 8, "type_vocab_size": 2, "model_type": "bert"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(str({**sizes, **rest}).replace("'", '"'))
    source = np.random.default_rng(3)
    anatomy = weights.anatomy(str(folder))
    tensors = {p.name: source.normal(size=p.shape).astype(np.float32) for p in anatomy.parameters}
    stored = {}
    for name, value in tensors.items():
        kept = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        stored[prefix + (kept if old_names else name)] = value
    save_file(stored, folder / "model.safetensors")
    return tensors
