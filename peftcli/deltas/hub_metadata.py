"""What the hub reads of a model card: base, licence, task, and the evaluation, as the YAML at the card's head."""

from collections.abc import Iterator, Mapping
from typing import Any

from peftcli.data.corpora import DEMO, TREEBANK
from peftcli.deltas.exported import Exported, on_hub
from peftcli.experiment.run import task_of
from peftcli.report.table import selection
from peftcli.tasks import own_files
from peftcli.tasks.registry import Task

TAGS = ("peftcli",)
ELSEWHERE = (own_files.SOURCE, DEMO, TREEBANK)  # data that is no repository of the hub
# What the hub calls our metrics: the type, and what tells it from others of that type. Ours without a row keep their names.
HUB_METRICS: Mapping[str, tuple[str, dict[str, str] | None]] = {
    "matthews": ("matthews_correlation", None),
    "spearman": ("spearmanr", None),
    "pearson": ("pearsonr", None),
    "f1_macro": ("f1", {"average": "macro"}),
    "f1_micro": ("f1", {"average": "micro"}),
    "entity_f1": ("f1", None),
}


def write(exported: Exported) -> str:
    """Return the YAML: each metric is this model's own, on the splits that a table reports."""
    from huggingface_hub import ModelCardData

    task = task_of(exported.delta.run)
    published = task.data not in ELSEWHERE
    results = list(_results(exported, task, published))
    data = ModelCardData(
        base_model=on_hub(exported.model)[0],
        datasets=[task.data] if published else None,
        eval_results=results or None,
        library_name=exported.form,
        license=exported.license,
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=exported.folder if results else None,
        pipeline_tag=_pipeline(task),
        tags=list(TAGS),
    )
    return str(data.to_yaml())


def _results(exported: Exported, task: Task, published: bool) -> Iterator[Any]:
    """Yield the hub's results: of the splits that a table reports, by the data set's own names for them."""
    from huggingface_hub import EvalResult

    run, recorded = exported.delta.run, exported.recorded
    for split in task.evaluation:
        of_split = recorded.by_seed.get(run.seed, {}).get(selection.reported_split(split, run.protocol), {})
        for metric in task.metrics:
            value = of_split.get(metric)
            if not isinstance(value, float):
                continue
            kind, arguments = HUB_METRICS.get(metric, (metric, None))
            yield EvalResult(
                task_type=_pipeline(task),
                dataset_type=task.data if published else task.name,
                dataset_name=task.name,
                dataset_config=task.subset if published else None,
                dataset_split=split,
                metric_type=kind,
                metric_name=metric,
                metric_value=value,
                metric_args=arguments,
            )


def _pipeline(task: Task) -> str:
    return "token-classification" if task.kind == "token" else "text-classification"
