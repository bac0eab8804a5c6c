"""What a run costs beside its steps: a sweep of one-step runs against fresh processes of the Trainer, records, skipping."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peftcli import files, plan, recipe, records

RUNS = 100
RECIPE: dict[str, Any] = {
    "title": "one-step runs",
    "model": "minilm",
    "tasks": ["demo"],
    "strategies": ["layernorm"],
    "learning_rates": [1e-4 * k for k in range(1, 11)],
    "seeds": 10,
    "training": {"steps": 1},
}
FRESH = """
import sys, tempfile
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments)
from datasets import Dataset
from peftcli import models
from peftcli.data import demo
folder = str(models.minilm_folder())
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
for name, parameter in model.named_parameters():
    parameter.requires_grad_("classifier" in name or ("LayerNorm" in name and "encoder" in name))
def read(split):
    rows = Dataset.from_list(demo.rows(split))
    return rows.map(lambda r: tokenizer(r["sentence1"], r["sentence2"], padding="max_length", max_length=128), batched=True)
with tempfile.TemporaryDirectory() as out:
    arguments = TrainingArguments(out, per_device_train_batch_size=16, max_steps=1, report_to=[], save_strategy="no",
                                  use_cpu=True, disable_tqdm=True)
    trainer = Trainer(model, arguments, train_dataset=read("train"), eval_dataset=read("validation"))
    trainer.train()
    trainer.evaluate()
"""


def sweep_seconds() -> float:
    """Seconds a run of a sweep of 100 one-step runs with their evaluation, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one_step.yaml"
        file.write_text(_yaml())
        start = time.perf_counter()
        command = [sys.executable, "-m", "peftcli", "sweep", str(file), "--output", folder]
        subprocess.run(command, check=True, capture_output=True)
        return (time.perf_counter() - start) / RUNS


def fresh_seconds() -> float:
    """Seconds of one step and its evaluation in a fresh process of the Trainer, padding to 128."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", FRESH], check=True, capture_output=True)
    return time.perf_counter() - start


def record_seconds(repeats: int = 200) -> tuple[float, float]:
    """Seconds to skip a finished run and to write a record, its fsync left out."""
    run = plan.expand(recipe.build(dict(RECIPE), Path("one_step.yaml"), {}))[0].run
    body: dict[str, Any] = dict.fromkeys(records.KEYS[4:])
    training = [{"step": step, "epoch": step / 10, "loss": 0.5} for step in range(200)]
    body |= {"status": "completed", "training": training, "evaluations": []}
    body |= {"parameters": {}, "cost": {}, "environment": {}, "data": {}, "error": None}
    with tempfile.TemporaryDirectory() as folder:
        records.write(Path(folder), run, body)
        skipping = _median(lambda: records.find(Path(folder), run), repeats)
        sync, files.os.fsync = files.os.fsync, lambda descriptor: None  # type: ignore[attr-defined, assignment]
        try:
            writing = _median(lambda: records.write(Path(folder), run, body), repeats)
        finally:
            files.os.fsync = sync  # type: ignore[attr-defined]
    return skipping, writing


def _median(action: Any, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]


def _yaml() -> str:
    import yaml

    return yaml.safe_dump(RECIPE)
