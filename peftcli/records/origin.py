"""What a run was made from, by the fingerprints in its record, and whether that is what is there now. No torch."""

from collections.abc import Iterable, Mapping
from typing import Any

from peftcli.errors import UserError
from peftcli.experiment.run import canonical
from peftcli.records.body import Body
from peftcli.records.record import Record

# What determines a number besides the run itself -> where a record's `data` says which one it was.
KINDS = {"model": "model_fingerprint", "tokenizer": "tokenizer_fingerprint", "data": "fingerprint"}

Origin = Mapping[str, str]  # kind -> fingerprint; without a kind that is not known


def of(body: Body | Mapping[str, Any]) -> Origin:
    """Return what a record says that its run was made from; a failed run's, or an older record, may not say it all."""
    read: Mapping[str, Any] = body["data"] or {}
    return {kind: str(read[key]) for kind, key in KINDS.items() if read.get(key)}


def names(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what runs have in common that are to be of one model, one tokenizer and one task's data.

    `run` is a record's. The head counts, since it says whether a model's pooler is read, which its fingerprint covers.
    """
    described = canonical(run.get("data")).decode()
    return str(run.get("model")), str(run.get("task")), described, str((run.get("protocol") or {}).get("head"))


def mixed(origins: Iterable[Origin]) -> tuple[str, ...]:
    """Return the kinds of which runs that stand for one number are of several."""
    together = list(origins)
    return tuple(kind for kind in KINDS if len({each[kind] for each in together if kind in each}) > 1)


def differing(one: Origin, other: Origin) -> list[str]:
    """Return the kinds in which two origins are known to differ."""
    return [kind for kind, fingerprint in one.items() if other.get(kind, fingerprint) != fingerprint]


def check(record: Record, current: Origin, names: Mapping[str, str]) -> None:
    """Refuse a record that was made from another model, tokenizer or data than what is there now under the same name.

    `names` says by kind what is there now. Raises UserError.
    """
    recorded = of(record.body)
    for kind in differing(recorded, current):
        raise UserError(
            f"{record.path} was made with another {kind} of the same name: its fingerprint is {recorded[kind]}, "
            f"and that of {names[kind]} is {current[kind]}: use another --output, or move that record and those like it away"
        )
