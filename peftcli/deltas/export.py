"""A delta written for other programs: a transformers folder, or for lora an adapter of the `peft` package."""

import contextlib
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from peftcli import files
from peftcli.data import tokenizers
from peftcli.deltas import card, padding, restoring, stock
from peftcli.deltas.exported import UNKNOWN_LICENSE, Exported, on_hub
from peftcli.deltas.file import Delta
from peftcli.deltas.recorded import NOTHING, Recorded
from peftcli.deltas.restoring import Restored
from peftcli.engine.backbone import quiet_transformers
from peftcli.engine.dora import row_norms
from peftcli.errors import UserError
from peftcli.models.files import locate
from peftcli.strategies.pretrained import widened
from peftcli.strategies.tuning import Lora

# What `lora` inserts, and what the `peft` package calls it.
PARTS = {"lora_a": "lora_A", "lora_b": "lora_B", "lora_magnitude": "lora_magnitude_vector"}


def write(
    delta: Delta,
    model: str,
    folder: Path,
    form: str,
    recorded: Recorded = NOTHING,
    license: str = UNKNOWN_LICENSE,
) -> None:
    """Write a delta on its base to a new folder, in the format `transformers` or `peft`, with the base's tokenizer.

    Sequence and token classifiers are what `transformers.AutoModelFor…Classification` loads. The folder's model card says
    what the run's records say. Raises UserError: what no stock model can hold, another base, a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not an empty folder")
    restored = restoring.restore(delta, model, device=torch.device("cpu"))  # a GPU's rounding is not wanted in a file
    tuning, network = restored.assembly.tuning, restored.network
    stock.check(delta.run, restored.task, network.config)
    stock.check_insertions(delta.run, tuning.insert.values(), tuning.injected is not None)
    tokenizer = tokenizers.load(locate(model), restored.task.kind)
    restoring.check_tokenizer(delta, model, tokenizers.fingerprint(tokenizer))
    padding_id = padding.settle(tokenizer, network.config)
    model_to_save: Any
    options: dict[str, Any] = {}
    if form == "transformers":
        model_to_save = _classifier(delta, restored, {**network.weights, **_merged(restored)}, padding_id)
    else:
        model_to_save = _adapter(delta, restored, model, padding_id)
        # No embedding moved: the package would ask the hub for the base's vocabulary to find that out.
        options["save_embedding_layers"] = False
    exported = Exported(delta, model, form, folder.resolve().name, recorded, license, padding_id)
    text = card.write(exported)
    with _new(folder) as temporary, quiet_transformers():
        # Before the model: the peft package adds to the card that is there.
        files.write(temporary / card.FILE, text)
        model_to_save.save_pretrained(temporary, **options)
        files.write(
            temporary / card.FILE, card.completed(exported, (temporary / card.FILE).read_text(encoding="utf-8"))
        )
        tokenizer.save_pretrained(temporary)


def _merged(restored: Restored) -> dict[str, Tensor]:
    """What differs from the base, by pre-trained name, thin matrices folded into the weights they stand beside."""
    weights, base, tuning = restored.weights(), restored.network.weights, restored.assembly.tuning
    for module, part in tuning.insert.items():
        assert isinstance(part, Lora)
        # Summed in float64, so that folding adds one rounding alone: W + scaling · B A.
        thin = [weights.pop(f"{module}.{name}").double() for name in ("lora_b", "lora_a")]
        weight = widened(weights.get(f"{module}.weight", base[f"{module}.weight"]))
        transposed = restored.network.anatomy.by_name[f"{module}.weight"].transposed
        turned = (weight.mT if transposed else weight).double() + part.scaling * thin[0] @ thin[1]
        if part.dora:
            turned *= (weights.pop(f"{module}.lora_magnitude").double() / row_norms(turned))[:, None]
        weights[f"{module}.weight"] = (turned.mT if transposed else turned).to(weight)
    return weights


def _classifier(delta: Delta, restored: Restored, weights: Mapping[str, Tensor], padding_id: int | None) -> Any:
    """The stock classifier with these weights; every one of its own is set, and none is left over."""
    classifier = _empty(delta, restored, padding_id)
    config, kind, prefix = restored.network.config, restored.task.kind, str(classifier.base_model_prefix)
    named = {stock.name(name, config, kind, prefix): tensor.float() for name, tensor in weights.items()}
    with torch.no_grad():
        missing, unexpected = classifier.load_state_dict(named, strict=False)
    # Buffers (position ids and the like) are made by the class; parameters must all be there.
    lacking = set(missing) & {name for name, _ in classifier.named_parameters()}
    assert not lacking, sorted(lacking)
    assert not unexpected, unexpected
    return classifier


def _empty(delta: Delta, restored: Restored, padding_id: int | None) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification, AutoModelForTokenClassification

    kind, labels = restored.task.kind, list(delta.labels) or ["score"]
    settings = {key: value for key, value in restored.network.config.items() if not key.startswith("_attn")}
    # What transformers derives from the labels below, or would take from the base's own classifier.
    for key in ("num_labels", "id2label", "label2id", "architectures", "dtype"):
        settings.pop(key, None)
    settings["id2label"] = dict(enumerate(labels))
    settings["label2id"] = {label: at for at, label in enumerate(labels)}
    if padding_id is not None:
        settings["pad_token_id"] = padding_id
    if kind != "token":
        settings["problem_type"] = "regression" if kind == "regression" else "single_label_classification"
    config = CONFIG_MAPPING[settings["model_type"]].from_dict(settings)
    family = AutoModelForTokenClassification if kind == "token" else AutoModelForSequenceClassification
    # Eager attention is what every architecture has. Its random start is overwritten, so it must not move our streams.
    with torch.random.fork_rng(devices=[]):
        return family.from_config(config, attn_implementation="eager").eval()


def _adapter(delta: Delta, restored: Restored, model: str, padding_id: int | None) -> Any:
    """The `peft` package's model of a lora run: its matrices beside the base's weights, the head saved whole."""
    if delta.run.strategy != "lora":
        raise UserError(f"--format peft is for strategy lora, not {delta.run.strategy}: use --format transformers")
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise UserError("--format peft needs the package peft: pip install 'peftcli[peft]'") from None
    weights, network, insert = restored.weights(), restored.network, restored.assembly.tuning.insert
    inner = {name: tensor for name, tensor in weights.items() if name.rpartition(".")[2] not in PARTS}
    classifier = _classifier(delta, restored, {**network.weights, **inner}, padding_id)
    repository, commit = on_hub(model)
    if repository is not None:  # not the place of its files on this machine
        classifier.config._name_or_path = classifier.name_or_path = repository
    part = next(iter(insert.values()))  # rank and alpha are the same in all layers
    assert isinstance(part, Lora)
    kind, prefix = restored.task.kind, str(classifier.base_model_prefix)
    # The head and a fresh pooler are no low-rank matrices: the package stores such modules whole.
    whole = sorted({_module(stock.name(name, network.config, kind, prefix), prefix) for name in inner})
    config = LoraConfig(
        task_type="TOKEN_CLS" if kind == "token" else "SEQ_CLS",
        r=part.rank,
        lora_alpha=part.alpha,
        lora_dropout=part.dropout,
        use_dora=part.dora,
        use_rslora=part.rslora,
        fan_in_fan_out=any(network.anatomy.by_name[f"{module}.weight"].transposed for module in insert),
        target_modules=[f"{prefix}.{module}" for module in insert],
        modules_to_save=whole,
        revision=commit,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that the base has no file to be loaded from
        wrapped = get_peft_model(classifier, config)
    parameters = dict(wrapped.named_parameters())
    with torch.no_grad():
        for module in insert:
            for ours, theirs in PARTS.items():
                if f"{module}.{ours}" in weights:
                    parameters[f"base_model.model.{prefix}.{module}.{theirs}.default.weight"].copy_(
                        weights[f"{module}.{ours}"]
                    )
    return wrapped


def _module(stock_name: str, prefix: str) -> str:
    """The module saved whole that holds a tensor: the head's outermost one, or the backbone's pooler."""
    return stock_name.rpartition(".")[0] if stock_name.startswith(f"{prefix}.") else stock_name.partition(".")[0]


@contextlib.contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """A folder beside the one that is meant, renamed to it once everything is written."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.is_dir():
            folder.rmdir()  # empty, as was checked; what somebody put there since is refused here
        os.replace(temporary, folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
