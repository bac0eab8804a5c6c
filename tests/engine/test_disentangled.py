"""DeBERTa's attention with sums in a fixed order: the stock one's numbers and gradients, and no pass meets a bucket twice."""

from typing import Any

import pytest
import torch
from transformers.models.deberta_v2.modeling_deberta_v2 import DisentangledSelfAttention, build_relative_position

from peftcli.engine import disentangled, relative
from peftcli.engine.disentangled import Distances, Kind
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
    relative.run_on_streams(torch.nn.ModuleList([ours]))
    relative.run_on_grids(torch.nn.ModuleList([ours]))
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
    positions = build_relative_position(query, key, bucket_size=buckets, max_position=most)
    factor = 1 + len(stock.pos_att_type)
    results = []
    for module in (stock, ours):
        scores = module.disentangled_attention_bias(query, key, positions, embeddings, factor)
        gradients = torch.autograd.grad((scores * weights).sum(), [query, key, embeddings], allow_unused=True)
        results.append([scores, *(gradient for gradient in gradients if gradient is not None)])
    assert len(results[0]) == len(results[1]) >= 3
    for theirs, mine in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["c2p", "p2c"])
def test_far_positions_share_a_bucket_and_no_pass_has_it_twice(kind: Kind) -> None:
    distances = Distances(buckets=4, most=40, span=4)
    assert distances.within(40) == range(1, 8)
    assert distances.within(2) == range(3, 6)
    shared = disentangled.buckets(kind, 40, distances, CPU)
    assert shared.passes is not None
    assert sorted(torch.cat(shared.passes).tolist()) == list(range(40 * 40))
    position = torch.arange(40)
    targets = ((position[:, None] if kind == "c2p" else position) * 7 + shared.numbers).flatten()
    for pairs in shared.passes:
        assert len(targets[pairs].unique()) == len(pairs)
    # As published: 256 buckets, exact up to a distance of 128. So shorter sequences need one pass, and few rows.
    published = Distances(buckets=256, most=512, span=256)
    assert disentangled.buckets(kind, 100, published, CPU).passes is None
    assert published.within(100) == range(157, 356)
    assert published.within(512).stop == 512
