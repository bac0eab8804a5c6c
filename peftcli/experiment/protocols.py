"""Protocols: how a paper trained, one file per paper, every setting with where its value comes from."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from peftcli import documents
from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.settings import NAMES

Source = Literal["stated", "code", "derived", "assumed"]


class Setting(BaseModel):
    """One value and its source; `note` says where it stands or why it was assumed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    value: Any
    source: Source
    note: str = ""


class Override(BaseModel):
    """Settings and strategy options for some tasks or strategies only; both given, both must fit."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    tasks: list[str] | None = None
    strategies: list[str] | None = None
    training: dict[str, Setting] = {}
    options: dict[str, Setting] = {}

    def fits(self, task: str, strategy: str) -> bool:
        """Say whether this override speaks of a run of that task and strategy."""
        return (self.tasks is None or task in self.tasks) and (self.strategies is None or strategy in self.strategies)


class Variant(BaseModel):
    """What one reading of the paper changes: `described` follows the text, `released` the code."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    training: dict[str, Setting] = {}
    overrides: list[Override] = []


class Protocol(BaseModel):
    """A paper's protocol: settings, overrides, and its readings by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    paper: str
    title: str
    training: dict[str, Setting]
    overrides: list[Override] = []
    variants: dict[str, Variant]

    def layers(
        self, variant: str, task: str, strategy: str
    ) -> list[tuple[str, dict[str, Setting], dict[str, Setting]]]:
        """What applies to a run, weakest first: (where from, training settings, strategy options)."""
        chosen = self.variants[variant]
        named = f"{self.paper}, {variant}"
        layers: list[tuple[str, dict[str, Setting], dict[str, Setting]]]
        layers = [(self.paper, self.training, {}), (named, chosen.training, {})]
        # What is said of some tasks or strategies outranks what is said of all, the variant's over the paper's.
        for where, overrides in ((self.paper, self.overrides), (named, chosen.overrides)):
            layers += [(where, o.training, o.options) for o in overrides if o.fits(task, strategy)]
        return layers


def load(path: Path, variant: str) -> Protocol:
    """Read a protocol file and check that it has the variant.

    Raises UserError for unknown keys or settings, a setting without a source, or a variant that is not there.
    """
    where = f"protocol {path.parent.name}/{path.name}"
    try:
        protocol = Protocol.model_validate(documents.load(path, "protocol"))
    except ValidationError as error:
        raise first_error(error, where, "key", Protocol.model_fields) from None
    # Settings stand in four places; their values are checked once they are laid over each other, their names here.
    variants = protocol.variants.values()
    overrides = [*protocol.overrides, *(override for variant in variants for override in variant.overrides)]
    for block in (protocol.training, *(v.training for v in variants), *(o.training for o in overrides)):
        for name in block:
            if name not in NAMES:
                raise UserError(f"{where}: {unknown('setting', name, NAMES)}")
    if variant not in protocol.variants:
        raise unknown("protocol", variant, protocol.variants)
    return protocol
