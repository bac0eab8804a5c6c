"""DeBERTa's attention with sums in a fixed order: the stock one's numbers and gradients, and no pass meets a bucket twice."""

from typing import Any

import pytest
import torch
from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention, build_relative_position

from peftcli.engine import disentangled
from tests import backbones

CPU = torch.device("cpu")


def attention(**more: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
    """A stock attention of random weights, and ours with the same ones."""
    from transformers import DebertaV2Config

    sizes = {**backbones.COMMON, **backbones.BERT, **backbones.V3, **more}
    torch.manual_seed(0)
    stock = DisentangledSelfAttention(DebertaV2Config(**sizes)).double().eval()
    ours = DisentangledSelfAttention(DebertaV2Config(**sizes)).double().eval()
    ours.load_state_dict(stock.state_dict())
    disentangled.order_sums(torch.nn.ModuleList([ours]))
    assert type(ours) is disentangled.OrderedAttention
    return stock, ours


@pytest.mark.parametrize(
    "settings",
    [{}, {"share_att_key": False}, {"position_buckets": -1}, {"pos_att_type": ["p2c"]}, {"max_relative_positions": 3}],
)
def test_scores_and_gradients_are_the_stock_model_s(settings: dict[str, Any]) -> None:
    stock, ours = attention(**settings)
    size, span = 11, stock.pos_ebd_size
    source = torch.Generator().manual_seed(1)
    query, key = (torch.randn(6, size, 8, dtype=torch.float64, generator=source).requires_grad_() for _ in range(2))
    embeddings = torch.randn(2 * span, 16, dtype=torch.float64, generator=source).requires_grad_()
    weights = torch.randn(6, size, size, dtype=torch.float64, generator=source)
    buckets, most = stock.position_buckets, stock.max_relative_positions
    relative = build_relative_position(query, key, bucket_size=buckets, max_position=most)
    factor = 1 + len(stock.pos_att_type)
    results = []
    for module in (stock, ours):
        scores = module.disentangled_attention_bias(query, key, relative, embeddings, factor)
        gradients = torch.autograd.grad((scores * weights).sum(), [query, key, embeddings], allow_unused=True)
        results.append([scores, *(gradient for gradient in gradients if gradient is not None)])
    assert len(results[0]) == len(results[1]) >= 3
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("toward", [1, -1])
def test_far_positions_share_a_bucket_and_no_pass_has_it_twice(toward: int) -> None:
    shared = disentangled._buckets(40, 4, 40, 4, toward, CPU)
    assert shared.passes is not None
    assert sorted(torch.cat(shared.passes).tolist()) == list(range(40 * 40))
    for pairs in shared.passes:
        targets = shared.index[pairs].tolist()
        assert len(targets) == len(set(targets))
    # As published: 256 buckets, exact up to a distance of 128. So shorter sequences need one pass.
    assert disentangled._buckets(100, 256, 512, 256, toward, CPU).passes is None
