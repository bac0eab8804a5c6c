"""Any method of the `peft` package as a strategy: its configuration, what it trains, and how it enters a model.

Counting needs the package, and with it torch; both are imported where they compute.
"""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from peftcli.errors import UserError, first_line, unknown
from peftcli.models.anatomy import Anatomy
from peftcli.strategies.registry import strategy
from peftcli.strategies.tuning import Injection, Tuning

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

Type = Annotated[str, AfterValidator(lambda name: name.upper().replace("-", "_"))]
# Fields of the package's configurations that say where a model is from, and are not a researcher's to set.
OURS = (
    "task_type",
    "inference_mode",
    "peft_type",
    "auto_mapping",
    "peft_version",
    "base_model_name_or_path",
    "revision",
)
# Methods that the engine cannot carry out, with the reason as the error says it.
REFUSED = {
    "ADALORA": "it moves its ranks about while it trains",
    "OSF": "it projects gradients before every update",
    "POLY": "it needs several tasks at once",
    "MULTITASK_PROMPT_TUNING": "it needs several tasks at once",
    "XLORA": "it needs adapters that are trained already",
}


@strategy
def peft(model: Anatomy, type: Type, **settings: Any) -> Tuning:
    """Any method of the `peft` package, by its type (IA3, LORA, VERA, PREFIX_TUNING, …); runs padded.

    Further options are those of the package's configuration of that type, checked against it.
    """
    return Tuning(injected=injection(model.config, type, settings))


def injection(config: Mapping[str, Any], kind: str, settings: Mapping[str, Any]) -> Injection:
    """What a method of the `peft` package (`LORA`, `IA3`, …) puts into a model with this config.

    Shapes come from a model without weights. Raises UserError: no such method or setting, or not for this model.
    """
    # JSON, so that the shapes of one configuration are worked out once: a cache needs keys that hash.
    shapes = _shapes(json.dumps(dict(config), sort_keys=True, default=str), kind, json.dumps(settings, sort_keys=True))
    return Injection(f"peft type {kind} with {dict(settings)}", shapes, partial(_wrap, kind, dict(settings)))


def configure(kind: str, settings: Mapping[str, Any]) -> PeftConfig:
    """Make the package's configuration of a method. Raises UserError naming what is not legal and what is."""
    try:
        from peft import PEFT_TYPE_TO_CONFIG_MAPPING
    except ImportError:
        raise UserError("strategy peft needs the package peft: pip install 'peftcli[peft]'") from None
    classes = {str(name.value): config for name, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if kind not in classes:
        raise unknown("peft type", kind, sorted(set(classes) - set(REFUSED)))
    if kind in REFUSED:
        raise UserError(f"peft type {kind!r} cannot run here: {REFUSED[kind]}")
    fields = {field.name: str(field.type) for field in dataclasses.fields(classes[kind]) if field.name not in OURS}
    for name in settings:
        if name not in fields:
            raise unknown(f"option of peft type {kind}", name, sorted(fields))
    arguments = {name: _listed(value, fields[name]) for name, value in settings.items()}
    try:
        return classes[kind](task_type="FEATURE_EXTRACTION", **arguments)
    except (ValueError, TypeError, KeyError) as error:
        raise _error(kind, error) from None


def _listed(value: Any, annotation: str) -> Any:
    """Read `query+value` as a list, where a setting is one: on the command line a comma begins the next option.

    One name alone is a list of one. The package would take it for a regular expression of whole paths, which a module's
    name never is; an expression such as `.*query`, and the package's word `all-linear`, stay as they are.
    """
    if not isinstance(value, str) or not re.search(r"list|set\[", annotation.lower()):
        return value
    if not re.fullmatch(r"[\w.]+(\+[\w.]+)*", value):
        return value
    return [int(part) if "int" in annotation and part.isdigit() else part for part in value.split("+")]


@lru_cache(maxsize=64)
def _shapes(config: str, kind: str, settings: str) -> dict[str, tuple[int, ...]]:
    import torch
    from transformers import CONFIG_MAPPING, AutoModel

    document = json.loads(config)
    model_config = CONFIG_MAPPING[document["model_type"]].from_dict(document)
    try:
        with torch.device("meta"):
            wrapped = _wrap(kind, json.loads(settings), AutoModel.from_config(model_config))
    except RuntimeError:  # a method that works something out of the weights cannot start without any
        try:
            wrapped = _wrap(kind, json.loads(settings), AutoModel.from_config(model_config))
        except RuntimeError as error:
            raise _error(kind, error) from None
    return {name: tuple(p.shape) for name, p in wrapped.named_parameters() if p.requires_grad}


def _wrap(kind: str, settings: Mapping[str, Any], backbone: nn.Module, seed: int = 0) -> nn.Module:
    """Put a method's modules into a model, in place, its random numbers drawn from a seed."""
    import torch
    from peft import get_peft_model

    # Head and pooler are ours; the package sees the backbone alone.
    backbone._modules["pooler"] = None
    backbone.requires_grad_(False)
    # The package draws from the global stream: seeded for this run, and put back for all others.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        try:
            wrapped: nn.Module = get_peft_model(backbone, configure(kind, settings))
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
            raise _error(kind, error) from None
    if not any(p.requires_grad for p in wrapped.parameters()):
        raise UserError(f"peft type {kind} with {dict(settings)} selects nothing to train")
    return wrapped.eval()


def _error(kind: str, error: Exception) -> UserError:
    return UserError(f"peft type {kind}: {first_line(error, 300)}")
