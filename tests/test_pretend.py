"""The pretend GPU refuses what a GPU refuses, computes what the processor computes, and counts what would cost time there."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from peftcli import noise
from peftcli.engine.dropout import drop
from tests import pretend
from tests.apart import needs_fork, run_apart
from tests.counts import Counts, by_line, by_operation, described

pytestmark = [pretend.needs_pretend, needs_fork]


def refused(operation: Callable[[torch.device, torch.Tensor], Any]) -> str | None:
    """What the device says to an operation on a tensor of it, None where it does it."""
    with pretend.gpu() as device:
        try:
            operation(device, torch.arange(6.0, device=device).view(2, 3))
        except RuntimeError as error:
            return str(error)
        return None


CPU = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (lambda device, x: x + CPU, "two devices, gpu:0 and cpu"),
        (lambda device, x: torch.cat([x, CPU]), "two devices"),
        (lambda device, x: x.gather(1, torch.zeros(2, 1, dtype=torch.int64)), "two devices"),
        (lambda device, x: x.index_select(0, torch.tensor(1)), "two devices"),
        (lambda device, x: x.mul_(CPU), "two devices"),
        (lambda device, x: CPU[x[0].long()], "two devices"),
        (lambda device, x: x.uniform_(generator=torch.Generator()), "device type for generator"),
        (lambda device, x: x.unsqueeze_(0), "shape in place"),
    ],
)
def test_what_a_gpu_would_refuse(operation: Any, words: str) -> None:
    said = run_apart(refused, operation)
    assert said is not None
    assert words in said


def test_single_numbers_and_indices_of_the_processor_are_taken() -> None:
    def operation(device: torch.device, x: torch.Tensor) -> None:
        assert (x * torch.tensor(2.0) + 1).cpu().tolist() == [[1, 3, 5], [7, 9, 11]]
        assert x.masked_fill(x > 2, torch.tensor(-1.0)).sum() == 0
        assert x[torch.tensor([1])].tolist() == [[3, 4, 5]]
        x[[0]] = torch.tensor(7.0)
        assert x.tolist() == [[7, 7, 7], [3, 4, 5]]

    assert run_apart(refused, operation) is None


def test_a_tensor_outside_the_device_s_time_cannot_be_used() -> None:
    def after() -> str:
        with pretend.gpu() as device:
            x = torch.ones(2, device=device)
        with pytest.raises(RuntimeError, match="outside") as raised:
            x + 1
        return str(raised.value)

    assert "add" in run_apart(after)


def counted(action: Callable[[torch.device], Any], shapes: bool = False) -> Counts:
    """The counts of an action that makes its tensors itself."""
    with pretend.gpu(shapes) as device:
        with pretend.counting() as counts:
            action(device)
        return counts()


@pytest.mark.parametrize(
    ("operation", "waits"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense"),
        (lambda x: bool((x > 1).any()), "_local_scalar_dense"),
        (lambda x: int(x.max()), "_local_scalar_dense"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: x[x > 1], "index"),
        (lambda x: x.masked_select(x > 1), "masked_select"),
        (lambda x: torch.repeat_interleave(x.long()), "repeat_interleave"),
        (lambda x: x.unique(), "_unique2"),
        (lambda x: x.long().bincount(), "bincount"),
        (lambda x: x.cpu(), "_to_copy"),
        (lambda x: torch.zeros(4).copy_(x), "copy_"),
        (lambda x: x.tolist(), "_to_copy"),
        (lambda x: torch.tensor([1, 2], device=x.device), "copy"),
        (lambda x: x[torch.tensor([0, 1])], "copy"),
        (lambda x: x.copy_(torch.zeros(4)), "copy"),
    ],
)
def test_what_makes_the_host_wait(operation: Any, waits: str) -> None:
    counts = run_apart(counted, lambda device: operation(torch.arange(4.0, device=device)))
    assert by_operation(counts.syncs) == {waits: 1}


def test_what_does_not() -> None:
    def action(device: torch.device) -> None:
        x = torch.arange(4.0, device=device)
        lengths = x.long()
        torch.repeat_interleave(lengths, output_size=6)
        torch.where(x > 1, x, 0).masked_fill_(x > 2, 1).index_select(0, lengths).cumsum(0)
        torch.zeros(3).to(device, non_blocking=True)
        assert x.device == device
        assert x.shape == (4,)

    counts = run_apart(counted, action)
    assert counts.syncs == Counter(), described(counts.syncs)


def test_copies_are_told_apart() -> None:
    def action(device: torch.device) -> None:
        torch.zeros(3).to(device)
        torch.zeros(3).to(device, non_blocking=True)
        buffer = torch.empty(8, pin_memory=True)
        assert buffer.is_pinned()
        assert torch.zeros(3).pin_memory().is_pinned()
        assert not torch.zeros(3).is_pinned()
        buffer[2:5].to(device, non_blocking=True)
        torch.empty(8, device=device).copy_(buffer, non_blocking=True)

    counts = run_apart(counted, action)
    assert by_operation(counts.copies) == {"blocking": 1, "pageable": 1, "pinned": 2}
    assert counts.syncs.total() == 1


def test_views_launch_nothing_and_operations_one_kernel_each() -> None:
    def action(device: torch.device) -> None:
        x = torch.empty(4, 6, device=device)
        for view in (x.view(6, 4), x.T, x[1:], x[:, None].expand(-1, 3, -1), x.flatten(), *x.split([2, 4], 1)):
            assert view.device == device
        x.add_(1).sum()
        torch.addmm(x[0], x, x.T @ x)
        x.T.contiguous()

    counts = run_apart(counted, action)
    assert by_operation(counts.kernels) == {"add_": 1, "sum": 1, "mm": 1, "addmm": 1, "clone": 1}


def test_lines_are_the_package_s_innermost_ones() -> None:
    def action() -> tuple[Counts, torch.Tensor, torch.Tensor]:
        with pretend.gpu() as device:
            x = torch.ones(50, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
            rows = torch.arange(50, dtype=torch.int32, device=device)
            with pretend.counting() as counts:
                drop(x, rows, 0.1).backward(torch.ones(50, 64, device=device, dtype=torch.bfloat16))
            assert x.grad is not None
            return counts(), x.grad.cpu()

    counts, gradient = run_apart(action)
    files = {line.partition(":")[0] for line in by_line(counts.kernels)}
    assert {"noise.py", "engine/fused.py"} <= files
    rows = torch.arange(50, dtype=torch.int32)
    x = torch.ones(50, 64, dtype=torch.bfloat16)
    assert torch.equal(gradient, drop(x, rows, 0.1))
    assert noise.odd(3, 1, torch.device("cpu")).device.type == "cpu"


def test_backward_passes_of_torch_s_functions_have_the_lines_they_belong_to() -> None:
    from peftcli.engine.evaluation import example_losses

    def action(device: torch.device) -> None:
        logits = torch.zeros(2, 3, 4, device=device, requires_grad=True)
        example_losses(logits, torch.zeros(2, 3, dtype=torch.int64, device=device), "pair").sum().backward()

    counts = run_apart(counted, action)
    lines = [line for (line, operation) in counts.kernels if operation == "nll_loss_backward"]
    assert len(lines) == 1
    assert lines[0].startswith("engine/evaluation.py:")
    assert lines[0].endswith(" backward")


def test_bytes_of_operations() -> None:
    """In float32: an addition reads two and writes one, a broadcast operand counts once, an index what it meets."""

    def action(device: torch.device) -> None:
        x, row = torch.empty(100, 8, device=device), torch.empty(8, device=device)
        index = torch.zeros(10, dtype=torch.int64, device=device)
        x + row
        x.mul_(2)
        x.fill_(1)
        x.index_select(0, index)
        x.to(torch.bfloat16)
        torch.empty(100, 8, device=device).copy_(x)

    traffic = by_operation(run_apart(counted, action).traffic)
    whole = 100 * 8 * 4
    assert traffic == {
        "add": 2 * whole + 32,
        "mul_": 2 * whole,
        "fill_": whole,
        "index_select": 2 * 10 * 8 * 4 + 10 * 8,
        "_to_copy": whole + whole // 2,
        "copy_": 2 * whole,
        "zeros": 10 * 8,
    }


@pytest.mark.parametrize("shapes", [False, True])
def test_bytes_that_live(shapes: bool) -> None:
    def action() -> Counts:
        with pretend.gpu(shapes) as device:
            lives = torch.zeros(256, 4, device=device)  # 4 KiB
            with pretend.counting() as counts:
                doubled = lives * 2
                half = doubled[:128]  # a view holds all of it
                del doubled
                torch.zeros(3, device=device)  # rounded up to 512 bytes, and gone at once
                tripled = half * 3
                del half, tripled
                kept = lives[:1] + 1
            assert kept.device == device
            return counts()

    counts = run_apart(action)
    assert counts.held_before == 4096
    assert counts.peak == 4096 + 4096 + 2048
    assert counts.held_after == 4096 + 512
    assert counts.peak_by_line["before"] == 4096
    assert counts.peak_by_line.total() == counts.peak


def test_shapes_alone_launch_the_same() -> None:
    def action(device: torch.device) -> None:
        x = torch.ones(4, 6, device=device, requires_grad=True)
        weight = torch.tensor([[1.0] * 6], device=device)
        y = torch.nn.functional.layer_norm(x @ weight.T, (1,)).sum()
        y.backward()
        assert x.grad is not None
        assert x.grad.shape == (4, 6)
        assert y.detach().cpu().shape == ()
        torch.repeat_interleave(weight.long().flatten())

    real, shapes = (run_apart(counted, action, shapes) for shapes in (False, True))
    assert real.kernels == shapes.kernels
    assert real.syncs == shapes.syncs
    assert real.copies == shapes.copies


def test_a_custom_operation_is_one_kernel_and_runs() -> None:
    @torch.library.custom_op("peftcli_tests::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return (x + x).clone()

    twice.register_fake(torch.empty_like)
    twice.register_autograd(lambda context, gradient: twice(gradient))

    def action(shapes: bool) -> tuple[Counts, torch.Tensor]:
        with pretend.gpu(shapes) as device:
            x = torch.arange(3.0, device=device, requires_grad=True)
            with pretend.counting() as counts:
                y = twice(x)
                y.backward(y)
            assert x.grad is not None
            return counts(), x.grad.cpu()

    counts, gradient = run_apart(action, False)
    assert by_operation(counts.kernels) == {"twice": 2}
    assert gradient.tolist() == [0, 4, 8]
    assert by_operation(run_apart(action, True)[0].kernels) == {"twice": 2}


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_one_kernel_each_way(masked: bool) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4) for _ in range(3))
    mask = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    mask[1, ..., 3:] = False

    def attend(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        leaves = [x.to(device).requires_grad_() for x in (query, key, value)]
        attended = torch.nn.functional.scaled_dot_product_attention(*leaves, mask.to(device) if masked else None)
        attended.sum().backward()
        assert leaves[1].grad is not None
        return attended.detach().cpu(), leaves[1].grad.cpu()

    def on_gpu() -> tuple[Counts, Any]:
        with pretend.gpu() as device, pretend.counting() as counts:
            result = attend(device)
        return counts(), result

    counts, result = run_apart(on_gpu)
    kernels = by_operation(counts.kernels)
    assert {name: n for name, n in kernels.items() if "attention" in name} == {
        "_scaled_dot_product_fused_attention_overrideable": 1,
        "_scaled_dot_product_fused_attention_overrideable_backward": 1,
    }
    for here, there in zip(attend(torch.device("cpu")), result, strict=True):
        assert torch.equal(here, there)


def test_apart_tells_what_went_wrong_there() -> None:
    def fails() -> None:
        raise ValueError("seven")

    with pytest.raises(AssertionError, match="ValueError: seven"):
        run_apart(fails)
    with pytest.raises(pytest.skip.Exception, match="not here"):
        run_apart(pytest.skip, "not here")
    with pytest.raises(AssertionError, match="exit code 3"):
        run_apart(__import__("os")._exit, 3)
