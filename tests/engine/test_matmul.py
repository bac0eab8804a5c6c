"""Products by oneDNN: the same numbers and gradients as torch's own, and only where they are meant to run."""

import pytest
import torch
from torch.nn import functional as F

from peftcli.engine import matmul as products

needs_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch was built without oneDNN"
)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@needs_onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 130, 192), (3, 41, 192)])
def test_values_and_gradients_are_the_plain_ones(monkeypatch, shape, bias):
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    given = [drawn(*shape), drawn(256, 192), drawn(256) if bias else None]
    used = []
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", _noting(torch.ops.mkldnn._linear_pointwise, used))
    leaves = [None if t is None else t.clone().requires_grad_() for t in given]
    doubles = [None if t is None else t.double().requires_grad_() for t in given]
    found, wanted = products.product(*leaves), F.linear(*doubles)
    weights = drawn(256, *shape[:2]).permute(1, 2, 0)  # a gradient that does not lie in memory as it is read
    (found * weights).sum().backward()
    (wanted * weights.double()).sum().backward()
    assert len(used) == 3, "forward, and the gradients of x and of the weight"
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=1e-4)
    for leaf, double in zip(leaves, doubles, strict=True):
        assert leaf is None or (leaf.grad.double() - double.grad).abs().max() < 5e-4


def _noting(operation, used):
    def noted(*arguments):
        used.append(arguments)
        return operation(*arguments)

    return noted


@needs_onednn
def test_a_frozen_layer_keeps_no_input(monkeypatch):
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    x, weight = drawn(1, 200, 192).requires_grad_(), drawn(256, 192)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        products.product(x, weight, None)
    assert [t.shape for t in kept] == [weight.shape]


@pytest.mark.parametrize(("rows", "dtype"), [(200, torch.float64), (200, torch.bfloat16), (2, torch.float32)])
def test_other_precisions_and_small_products_are_torchs_own(monkeypatch, rows, dtype):
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    x, weight = drawn(1, rows, 192).to(dtype), drawn(256, 192).to(dtype)
    assert torch.equal(products.product(x, weight, None), F.linear(x, weight))
    assert not products._by_onednn(x, weight)


@pytest.mark.parametrize(
    ("processor", "capability", "faster"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_the_library_follows_from_the_processor(monkeypatch, tmp_path, processor, capability, faster):
    described = tmp_path / "cpuinfo"
    described.write_text(f"vendor_id\t: {processor}\n")
    monkeypatch.setattr(products, "Path", lambda _: described)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", object(), raising=False)
    products.onednn_is_faster.cache_clear()
    assert products.onednn_is_faster() is faster
    products.onednn_is_faster.cache_clear()
