"""What can be refused within a second, before anything heavy is imported: a model or a data set that cannot be had."""

from collections.abc import Iterable
from pathlib import Path

from peftcli.data import corpora, loading
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.models import catalogue, hub
from peftcli.models.files import WEIGHTS
from peftcli.tasks import registry as tasks


def check(model: str, runs: Iterable[Run], data_dir: Path | None, allow_other_data: bool) -> None:
    """Check that a model's weights can be had, and read the runs' data from its folder. Raises UserError."""
    check_model(model)
    folder = corpora.data_folder(data_dir)
    for run in {run.task: run for run in runs}.values():  # one of each task
        if run.data is None:  # the user's own data were read when the recipe was expanded
            loading.read(tasks.get(run.task), folder, allow_other_data)


def check_model(model: str) -> None:
    """Check that a model is a folder with weights, packaged, in the local hub cache, or that the hub can be asked."""
    if model == "minilm":
        catalogue.minilm_folder()
        return
    folder = Path(model).expanduser()
    if folder.is_dir() or catalogue.looks_like_path(model):
        catalogue.config(model)
        if not any((folder / name).is_file() for name in WEIGHTS):
            raise UserError(f"model folder {model!r} holds no weights: one of {', '.join(WEIGHTS)}")
        return
    # The cache first: asking the hub takes a second or, where packets are dropped, several.
    unpinned, commit = catalogue.pin(model)
    cached = any(hub.cached_file(unpinned, name, commit) for name in WEIGHTS)
    if not cached and not hub.reachable():
        raise UserError(
            f"model {model!r} is not in the local hub cache, and the hub cannot be reached: {catalogue.OFFLINE_HELP}"
        )
