"""The model card of what `apply` writes: what it is, how to load it, how good it was, and the same as the hub reads it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from peftcli.data import phrasing
from peftcli.deltas import hub_metadata
from peftcli.deltas.exported import Exported, loading, on_hub
from peftcli.deltas.recorded import Recorded
from peftcli.experiment import parameters
from peftcli.experiment.durations import day
from peftcli.experiment.run import task_of
from peftcli.models import catalogue
from peftcli.report.formats import markdown
from peftcli.report.formats.text_table import clean
from peftcli.report.statistics import describe
from peftcli.tasks import own_files

FILE = "README.md"  # where the hub looks for it
DDOF = 1
COLUMNS = ("", "")  # of a table of facts


def write(exported: Exported) -> str:
    """Return the card: metadata as YAML, then Markdown, in which names and labels show as they are."""
    from huggingface_hub import ModelCard

    run = exported.delta.run
    lines = [
        "---",
        hub_metadata.write(exported),
        "---",
        "",
        f"# {escape(f'{exported.delta.model} on {run.task}: {run.strategy}')}",
        "",
        escape(_summary(exported)),
        "",
        "## How to load it",
        "",
        "From the folder that this one lies in:",
        "",
        "```python",
        *loading(exported),
        "```",
        "",
        *_about(exported),
        "",
        "## Evaluation",
        "",
        *_evaluation(exported),
        "",
        "## Training",
        "",
        *_table(COLUMNS, _settings(exported)),
        "",
        "### Framework versions",
        "",
        *(f"- {escape(name)} {escape(version)}" for name, version in _packages(exported)),
    ]
    return str(ModelCard("\n".join(lines).rstrip() + "\n"))


def completed(exported: Exported, content: str) -> str:
    """Return a card to which the peft package has added what it knows, made whole again.

    It replaces the tags, and calls a base by its place on this machine, which nobody else has.
    """
    from huggingface_hub import ModelCard

    card = ModelCard(content)
    nowhere = on_hub(exported.model)[0] is None
    others = (tag for tag in card.data.get("tags") or () if not (nowhere and tag.startswith("base_model:")))
    card.data["tags"] = list(dict.fromkeys([*hub_metadata.TAGS, *others]))
    if nowhere:
        card.data["base_model"] = None
    return str(card)


def escape(text: str) -> str:
    """Make text show as it is in a line or a table's cell."""
    return markdown.escape(clean(text))


def _summary(exported: Exported) -> str:
    run = exported.delta.run
    what = "An adapter for" if exported.form == "peft" else "A fine-tuned"
    tokenizer = " Its tokenizer lies beside it." if exported.form == "peft" else ""
    return f"{what} {exported.delta.model}, trained by peftcli: {run.describe()}.{tokenizer}"


def _about(exported: Exported) -> list[str]:
    """Write a table of what the model is made from and trained for."""
    delta, run, task = exported.delta, exported.delta.run, task_of(exported.delta.run)
    repository, commit = on_hub(exported.model)
    elsewhere = (
        f" (on the hub {repository}{f' at {commit}' if commit else ''})"
        if repository not in (None, delta.model)
        else ""
    )
    source = "data of one's own" if task.data == own_files.SOURCE else " ".join(filter(None, (task.data, task.subset)))
    labels = [("labels", ", ".join(delta.labels))] if delta.labels else []
    ended = exported.recorded.record and (exported.recorded.record.body["cost"] or {}).get("ended")
    rows = [
        ("base", f"{delta.model}{elsewhere}"),
        ("fingerprint of the base", delta.fingerprint),
        ("fingerprint of the tokenizer", delta.tokenizer or "unknown"),
        ("task", f"{task.name}: {source}"),
        ("kind", task.kind),
        ("reads", _reads(exported)),
        *labels,
        ("fingerprint of the data", delta.data),
        ("strategy", run.variant),
        ("share of the model that it trains", _share(exported)),
        ("record", run.id),
        *([("trained until", day(int(ended)))] if ended else []),
        ("licence", exported.license),
    ]
    return ["## What it is", "", *_table(COLUMNS, rows)]


def _reads(exported: Exported) -> str:
    """Say what a sequence is made from, where a tokenizer alone would make it otherwise."""
    task = task_of(exported.delta.run)
    phrased = phrasing.of(catalogue.config(exported.model), exported.delta.run.protocol)
    texts = " and ".join(task.text)
    if task.joins_texts and phrased.template is not None:
        return f"{texts}, joined to one text as {json.dumps(phrased.template.join('{first}', '{second}'))}"
    return f"{texts}, a word at its {phrased.word} word piece" if task.kind == "token" else texts


def _share(exported: Exported) -> str:
    """Say how many elements were trained: by the record, or where there is none counted from the model's sizes."""
    delta, record = exported.delta, exported.recorded.record
    if record is not None and record.body["parameters"] is not None:
        counts: Mapping[str, Any] = record.body["parameters"]
    else:
        counts = vars(parameters.run_count(exported.model, delta.run, len(delta.labels) or None))
    head = f", and {counts['head']:,} of the head" if counts["head"] else ", and none of the head"
    return f"{counts['trainable_percent']:.4g} %: {counts['trainable']:,} of {counts['total']:,} parameters{head}"


def _evaluation(exported: Exported) -> Iterator[str]:
    """Write every metric on every split: this model's, and mean and deviation over the seeds at hand."""
    recorded, run = exported.recorded, exported.delta.run
    if recorded.record is None:
        yield escape(f"Not known: {recorded.why_not}.")
        return
    seeds, scores = list(recorded.by_seed), recorded.by_seed[run.seed]
    over = f"mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else "over seeds"
    # Loss and metrics stand side by side in a record: the task says which are metrics.
    rows = [
        (_split(split, exported), metric, f"{scores[split][metric]:.4f}", _over_seeds(recorded, split, metric))
        for split in scores
        for metric in task_of(run).metrics
        if isinstance(scores[split].get(metric), float)
    ]
    yield from _table(("split", "metric", "this model", over), rows)
    yield ""
    alone = "One seed alone is at hand, which has no deviation." if len(seeds) == 1 else ""
    of_seeds = (
        f"Seeds {', '.join(map(str, seeds))}; this model is seed {run.seed}; divisor n - {DDOF}." if not alone else ""
    )
    yield f"Metrics are fractions. {alone or of_seeds}"
    for split in (split for split in scores if scores[split].get("collapsed")):
        yield f"On {escape(split)} every example got the same answer."


def _split(split: str, exported: Exported) -> str:
    """Name a split as records do, and say where its examples are from."""
    if not exported.delta.run.protocol.validation_share:
        return split
    if split.startswith("test"):
        return f"{split} (the official development set)"
    return f"{split} (held out of the training set)" if split.startswith("validation") else split


def _over_seeds(recorded: Recorded, split: str, metric: str) -> str:
    values = [scores.get(split, {}).get(metric) for scores in recorded.by_seed.values()]
    mean, std = describe.mean(values), describe.std(values, DDOF)
    lost = len(values) - len(describe.finite(values))
    few = f" (n = {len(values) - lost})" if lost else ""
    return "-" if mean is None or std is None else f"{mean:.4f} ± {std:.4f}{few}"


def _settings(exported: Exported) -> list[tuple[str, str]]:
    run = exported.delta.run
    settings = {"learning_rate": f"{run.learning_rate:g}", "seed": run.seed} | run.protocol.model_dump()
    return [(name, "none" if value is None else str(value)) for name, value in settings.items()]


def _packages(exported: Exported) -> list[tuple[str, str]]:
    """Return the versions that the run was trained with, as its record has them."""
    record = exported.recorded.record
    environment = (record.body["environment"] or {}) if record else {}
    packages = {name: version for name, version in environment.get("packages", {}).items() if version}
    return list(packages.items()) or [("unknown:", exported.recorded.why_not or "the record does not say it")]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' :-- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(escape, row))} |"
