"""Inserted modules: the numbers of the peft package, and the identity at the start."""

import numpy as np
import pytest
import torch

from peftcli.engine.batches import build
from tests import tiny


def logits(cohort, flat):
    batch = build([(cohort.data[0].train, np.arange(8))], cohort.network.first_position, cohort.device)
    return cohort.forward(flat, 0)(batch), batch


def test_lora_equals_the_peft_package():
    from peft import LoraConfig, get_peft_model

    run = tiny.run("lora", options={"rank": 3, "alpha": 6.0, "targets": ["query", "output"]}, dropout=0.0)
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    flat = cohort.assembly.flat.clone()
    generator = torch.Generator().manual_seed(1)
    flat += torch.randn(flat.shape, generator=generator, dtype=flat.dtype) * 0.05
    flat.requires_grad_()
    ours, _ = logits(cohort, flat)
    config = LoraConfig(r=3, lora_alpha=6, target_modules=r".*(query|layer\.\d+\.output\.dense)", lora_dropout=0.0)
    theirs = get_peft_model(tiny.stock("bert"), config).double().eval()
    values = cohort.assembly.values(flat.detach())
    own = dict(theirs.named_parameters())
    for name, value in values.items():
        module, _, part = name.rpartition(".")
        if part in ("lora_a", "lora_b"):
            own[f"base_model.model.{module}.lora_{part[-1].upper()}.default.weight"].data = value[0].clone()
    examples = cohort.data[0].train
    rows = [torch.tensor(examples.ids[examples.starts[i] : examples.starts[i + 1]]) for i in range(8)]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    pooled = theirs(input_ids=ids, attention_mask=mask).pooler_output
    expected = pooled @ values["head.out.weight"][0].T + values["head.out.bias"][0]
    torch.testing.assert_close(ours[0], expected, rtol=0, atol=1e-9)
    ours.square().sum().backward()
    expected.square().sum().backward()
    gradients = cohort.assembly.values(flat.grad)
    for name in values:
        module, _, part = name.rpartition(".")
        if part in ("lora_a", "lora_b"):
            other = own[f"base_model.model.{module}.lora_{part[-1].upper()}.default.weight"].grad
            torch.testing.assert_close(gradients[name][0], other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
@pytest.mark.parametrize("strategy", ["adapter", "lora"])
def test_inserted_modules_start_as_the_identity(strategy, placement):
    options = {"placement": placement, "size": 3} if strategy == "adapter" else {"rank": 2}
    model = tiny.backbone("bert")
    inserted = tiny.cohort(model, [tiny.run(strategy, options=options)])
    plain = tiny.cohort(model, [tiny.run("frozen")])
    assert torch.equal(logits(inserted, inserted.assembly.flat)[0], logits(plain, plain.assembly.flat)[0])
    places = {"houlsby": 2, "pfeiffer": 1}[placement] if strategy == "adapter" else 2
    assert len(inserted.assembly.tuning.insert) == 3 * places
