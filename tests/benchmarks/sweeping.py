"""What a run costs beside its steps: a sweep of one-step runs against fresh processes of the Trainer, records, skipping."""

import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from peftcli import files, records
from peftcli.experiment import plan, recipe
from peftcli.experiment.run import Run
from peftcli.tasks import demo

RUNS, EVALUATED = 100, 64  # evaluation is arithmetic: a short one leaves what a run costs beside it
RECIPE: dict[str, Any] = {
    "title": "one-step runs",
    "model": "minilm",
    "tasks": [{"name": "short", "data": "data", "text": ["sentence1", "sentence2"], "label": "label"}],
    "strategies": ["layernorm"],
    "learning_rates": [1e-4 * k for k in range(1, 11)],
    "seeds": 10,
    "training": {"steps": 1},
}
FRESH = """
import sys, tempfile
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments)
from datasets import load_dataset
from peftcli.models import catalogue
folder = str(catalogue.minilm_folder())
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
for name, parameter in model.named_parameters():
    parameter.requires_grad_("classifier" in name or ("LayerNorm" in name and "encoder" in name))
files = {split: f"{sys.argv[1]}/data/{split}.csv" for split in ("train", "validation")}
with tempfile.TemporaryDirectory() as out:
    rows = load_dataset("csv", data_files=files, cache_dir=out).map(
        lambda r: tokenizer(r["sentence1"], r["sentence2"], padding="max_length", max_length=128), batched=True)
    arguments = TrainingArguments(out, per_device_train_batch_size=16, max_steps=1, report_to=[], save_strategy="no",
                                  use_cpu=True, disable_tqdm=True)
    trainer = Trainer(model, arguments, train_dataset=rows["train"], eval_dataset=rows["validation"])
    trainer.train()
    trainer.evaluate()
"""


def one_step_seconds() -> tuple[Callable[[], float], Callable[[], float]]:
    """Two timers, in seconds a run: 100 one-step runs in a sweep; one in a fresh process of the Trainer, padding to 128.

    Both read the same files, the task demo's with its first 64 validation examples, and evaluate after the step.
    """
    folder = Path(tempfile.mkdtemp())
    (folder / "data").mkdir()
    for split, most in (("train", None), ("validation", EVALUATED)):
        rows = demo.rows(split)[:most]
        with open(folder / "data" / f"{split}.csv", "w", newline="") as stream:
            table = csv.DictWriter(stream, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    (folder / "one_step.yaml").write_text(yaml.safe_dump(RECIPE))
    sweep = [sys.executable, "-m", "peftcli", "sweep", str(folder / "one_step.yaml"), "--output"]
    fresh = [sys.executable, "-W", "ignore", "-c", FRESH, str(folder)]
    return (
        lambda: _seconds([*sweep, tempfile.mkdtemp(dir=folder)]) / RUNS,
        lambda: _seconds(fresh),
    )


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def skipping_seconds(repeats: int = 200) -> float:
    """Seconds to see that a run is finished already."""
    with tempfile.TemporaryDirectory() as folder:
        run, body = _finished()
        records.write(Path(folder), run, body)
        return _median(lambda: records.find(Path(folder), run), repeats)


def writing_seconds(repeats: int = 200) -> float:
    """Seconds to write a record, its fsync left out."""
    run, body = _finished()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(files.os, "fsync"):  # type: ignore[attr-defined]
        return _median(lambda: records.write(Path(folder), run, body), repeats)


def _finished() -> tuple[Run, records.Ending]:
    """A run, and what a record says of it once it is completed."""
    run = plan.expand(recipe.build({**RECIPE, "tasks": ["demo"]}, Path("one_step.yaml"), {}))[0].run
    return run, {
        "status": "completed",
        "parameters": {},
        "training": [{"step": step, "epoch": step / 10, "loss": 0.5} for step in range(200)],
        "evaluations": [],
        "cost": {},
        "environment": {},
        "data": {},
        "error": None,
    }


def _median(action: Any, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]
