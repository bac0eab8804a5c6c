"""Cells of `minilm/modules` on STS-B trained once more by the transformers Trainer, which shares no code with the engine.

`python -m tests.benchmarks.beside_trainer --data-dir DIR STRATEGY=RATE …` trains each with the first seeds of the recipe and
writes what it scored on the official development set into results/minilm/trainer.json, where the page reads it. A run that is
there already is left alone. The rows a seed trains on are ours, as numbers; reading, tokenising, the model, the order of the
examples, dropout, the head's start, the optimizer, the schedule and the metric are theirs.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from peftcli import files
from peftcli.data import splits
from peftcli.experiment import plan, recipe
from peftcli.experiment.run import Run
from peftcli.models import catalogue
from peftcli.runner import environment

FILE = Path(__file__).parents[2] / "results/minilm/trainer.json"
SEEDS = 3
# What moves, by a word that the names of its tensors hold; the head always does.
MOVING = {"layernorm": "encoder.layer.*LayerNorm", "full": "bert."}


class Pairs(torch.utils.data.Dataset[dict[str, Any]]):
    """Sentence pairs with their scores, tokenised by the model's own fast tokenizer; padded by the collator."""

    def __init__(self, rows: pd.DataFrame, tokenizer: Any, longest: int) -> None:
        texts = [rows[column].tolist() for column in ("sentence1", "sentence2")]
        self.encoded = tokenizer(*texts, truncation=True, max_length=longest)
        self.scores = rows["label"].tolist()

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, at: int) -> dict[str, Any]:
        return {**{name: values[at] for name, values in self.encoded.items()}, "labels": float(self.scores[at])}


def moves(strategy: str, name: str) -> bool:
    """Whether a strategy trains the tensor of this name of the stock classifier."""
    first, _, last = MOVING[strategy].partition("*")
    return name.startswith("classifier") or (first in name and last in name)


def spearman(run: Run, data: Path) -> float:
    """Train a run with the Trainer, as its settings say; its rank correlation on the development set, a fraction."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    settings, folder = run.protocol, str(catalogue.minilm_folder())
    frames = {
        split: pd.read_parquet(data / "glue/stsb" / f"{split}-00000-of-00001.parquet")
        for split in ("train", "validation")
    }
    chosen, _ = splits.divide(len(frames["train"]), settings, run.seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    train = Pairs(frames["train"].iloc[chosen], tokenizer, settings.max_length)
    test = Pairs(frames["validation"], tokenizer, settings.max_length)
    set_seed(run.seed)  # of theirs: another start of the head, another order and other dropout than ours
    network = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(moves(run.strategy, name))
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            seed=run.seed,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=64,
            learning_rate=run.learning_rate,
            lr_scheduler_type=settings.schedule,
            warmup_steps=settings.warmup_ratio,  # below 1 it is a fraction of the steps
            adam_beta1=settings.betas[0],
            adam_beta2=settings.betas[1],
            adam_epsilon=settings.epsilon,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm or 0.0,
            report_to=[],
            save_strategy="no",
            logging_steps=10**9,
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(network, arguments, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer))
        trainer.train()
        outputs = np.asarray(trainer.predict(test).predictions).reshape(-1)
    return float(spearmanr(outputs, frames["validation"]["label"]).statistic)


def main() -> None:
    """Train what is missing and write it down, run by run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="+", metavar="STRATEGY=RATE", help=f"cells; strategies: {', '.join(MOVING)}")
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder with glue/stsb")
    arguments = parser.parse_args()
    planned = [each.run for each in plan.expand(recipe.load(recipe.find("minilm/modules")))]
    known = json.loads(FILE.read_text()) if FILE.is_file() else []
    for strategy, _, rate in (cell.partition("=") for cell in arguments.cells):
        cell = [r for r in planned if (r.task, r.strategy, r.learning_rate) == ("stsb", strategy, float(rate))]
        for run in cell[:SEEDS]:
            if any(entry["id"] == run.id for entry in known):
                continue
            start = time.perf_counter()
            score = spearman(run, arguments.data_dir)
            versions = environment.describe(torch.device("cpu"), "float32", False)["packages"]
            entry = {"id": run.id, "strategy": strategy, "learning_rate": run.learning_rate, "seed": run.seed}
            entry |= {"spearman": score, "seconds": round(time.perf_counter() - start, 1)}
            entry |= {"threads": torch.get_num_threads(), "torch": versions["torch"]}
            known.append(entry | {"transformers": versions["transformers"]})
            files.write(FILE, json.dumps(known, indent=1) + "\n")
            print(f"{strategy} {run.learning_rate} seed {run.seed}: {100 * score:.1f}", flush=True)


if __name__ == "__main__":
    main()
