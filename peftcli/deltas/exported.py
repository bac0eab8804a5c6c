"""What `apply` writes, for its card: which delta on which base, in which form, and the lines of Python that load it."""

import json
from dataclasses import dataclass

from peftcli.deltas.file import Delta
from peftcli.deltas.recorded import Recorded
from peftcli.experiment.run import task_of
from peftcli.models import catalogue

UNKNOWN_LICENSE = "unknown"  # as the hub spells it


@dataclass(frozen=True)
class Exported:
    """A delta on `model` (alias, hub id or folder), written as `form` to a folder of this name; its records, and its licence.

    `padding_id` is the number of a decoder's padding token.
    """

    delta: Delta
    model: str
    form: str
    folder: str
    recorded: Recorded
    license: str
    padding_id: int | None = None


def on_hub(model: str) -> tuple[str | None, str | None]:
    """Return the hub id of a base and the commit it is pinned to; None for a folder, which the hub does not know."""
    if model == "minilm":
        return catalogue.MINILM_ID, None
    return (None, None) if catalogue.is_local(model) else catalogue.pin(model)


def loading(exported: Exported) -> list[str]:
    """Return the three lines of Python that load what was written, from the folder that its folder lies in."""
    kind = task_of(exported.delta.run).kind
    name = f"AutoModelFor{'Token' if kind == 'token' else 'Sequence'}Classification"
    # With ./ a folder that is not there is an error: without it, it would be a stranger's model of that name on the hub.
    folder = _literal(f"./{exported.folder}")
    if exported.form == "transformers":
        return [
            f"from transformers import {name}, AutoTokenizer",
            f"model = {name}.from_pretrained({folder})",
            f"tokenizer = AutoTokenizer.from_pretrained({folder})",
        ]
    repository, commit = on_hub(exported.model)
    revision = f", revision={_literal(commit)}" if commit else ""
    labels = max(len(exported.delta.labels), 1)
    source = _literal(repository or exported.model)
    padding = "" if exported.padding_id is None else f", pad_token_id={exported.padding_id}"
    return [
        "import peft, transformers",
        f"base = transformers.{name}.from_pretrained({source}{revision}, num_labels={labels}{padding})",
        f"model = peft.PeftModel.from_pretrained(base, {folder})",
    ]


def _literal(text: str) -> str:
    """Write text as Python does, in double quotes."""
    return json.dumps(text, ensure_ascii=False)
