"""What people use now: the transformers Trainer as run_glue.py sets it up, timed step by step from inside."""

import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import cycle, pairwise
from typing import Any

import torch
from torch import nn

from peftcli.models import catalogue, published
from peftcli.strategies import registry
from tests.benchmarks.workload import BATCH, Step, backbone, examples


@contextlib.contextmanager
def as_torch_comes() -> Iterator[None]:
    """Torch's own settings while this lasts, in the place of those that make equal runs of ours equal to the bit.

    Those are for the whole process and cost the other side time that nobody else pays. (CUBLAS_WORKSPACE_CONFIG stays: it is
    read once.)
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    precision, fixed = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    # The precision of products decides some of these, so it comes first.
    before = cudnn.allow_tf32, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction = True, False, True
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        cudnn.allow_tf32, cudnn.deterministic, matmul.allow_bf16_reduced_precision_reduction = before
        torch.use_deterministic_algorithms(fixed, warn_only=warns)


class _Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """A task's examples as run_glue tokenises them: padded to 128 in advance, or left to the collator."""

    def __init__(self, task: str, padded: bool) -> None:
        self.examples, self.padded = examples(task), padded

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, at: int) -> dict[str, Any]:
        own = self.examples
        ids = own.ids[own.starts[at] : own.starts[at + 1]].tolist()
        fill = 128 - len(ids) if self.padded else 0
        return {
            "input_ids": ids + [0] * fill,
            "token_type_ids": [0] * (len(ids) + fill),
            "attention_mask": [1] * len(ids) + [0] * fill,
            "labels": own.labels[at].item(),
        }


def _pad(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    names = ("input_ids", "token_type_ids", "attention_mask")
    batch = {n: torch.tensor([r[n] + [0] * (longest - len(r[n])) for r in rows]) for n in names}
    return {**batch, "labels": torch.tensor([row["labels"] for row in rows])}


def classifier(model: str, task: str, strategy: str, device: torch.device, **options: Any) -> nn.Module:
    """The stock sequence classifier, training what the strategy trains (lora: through the peft package)."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    labels = 1 if task == "stsb" else 2
    if model == "minilm":
        network = AutoModelForSequenceClassification.from_pretrained(str(catalogue.minilm_folder()), num_labels=labels)
    else:
        config = AutoConfig.for_model(**published.PUBLISHED_SIZES[model], num_labels=labels)
        network = AutoModelForSequenceClassification.from_config(config)
    if strategy == "lora":
        from peft import LoraConfig, get_peft_model

        return get_peft_model(network, LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], **options))
    from peftcli.engine.network import Network

    anatomy = Network(backbone(model, device), "pair", labels, "stock").anatomy
    trained = {f"bert.{name}" for name in registry.get(strategy).tune(anatomy, options).mask}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trained or name.startswith("classifier"))
    return network


def stock_step(model: str, task: str, strategy: str, device: torch.device, **options: Any) -> Step:
    """One training step of the stock classifier in a plain loop, as fast as torch's own parts make it.

    Padded to the batch's longest sequence, under autocast to bfloat16 on a GPU, with fused AdamW.
    """
    network = classifier(model, task, strategy, device, **options).to(device).train()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=True)
    rows = _Rows(task, padded=False)
    order = cycle(range(len(rows)))

    def step() -> None:
        batch = {name: tensor.to(device) for name, tensor in _pad([rows[next(order)] for _ in range(BATCH)]).items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = network(**batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def seconds(network: nn.Module, task: str, padded: bool, steps: int, device: torch.device) -> list[float]:
    """Train for some steps and give the seconds of each, the first two left out."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            max_steps=steps + 2,
            learning_rate=1e-4,
            report_to=[],
            save_strategy="no",
            logging_steps=10**9,
            disable_tqdm=True,
            use_cpu=device.type == "cpu",
            bf16=device.type == "cuda",
            dataloader_pin_memory=device.type == "cuda",
        )
        trainer = Trainer(
            network, arguments, train_dataset=_Rows(task, padded), data_collator=_pad, callbacks=[Clock()]
        )
        trainer.remove_callback(_printer(trainer))
        trainer.train()
    return [after - before for before, after in pairwise(times[1:])]


def _printer(trainer: Any) -> type:
    """The callback that prints; there is one in either of its forms."""
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    kinds = [type(own) for own in trainer.callback_handler.callbacks]
    return PrinterCallback if PrinterCallback in kinds else ProgressCallback
