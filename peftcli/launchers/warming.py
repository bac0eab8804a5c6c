"""Filling the caches once, before processes fan out that would all download and tokenise the same."""

from collections.abc import Iterable

import torch

from peftcli.data.loading import prepare
from peftcli.engine import backbone as backbones
from peftcli.experiment.run import Run
from peftcli.models import catalogue
from peftcli.runner.work import SweepSettings


def warm(runs: Iterable[Run], settings: SweepSettings) -> None:
    """Read, check and tokenise what runs need, and fetch their model. Raises UserError, as the runs would."""
    seen = set()
    for run in runs:
        key = (run.task, run.protocol.max_length, run.protocol.overlong)
        if key not in seen:
            prepare(run, settings.model, settings.source(run), settings.allow_other_data)
            seen.add(key)
    if seen and not catalogue.is_local(settings.model):
        backbones.load(settings.model, False, torch.float32, torch.device("cpu"))
        backbones.load.cache_clear()
