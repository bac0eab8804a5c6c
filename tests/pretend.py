"""A pretend GPU: its tensors say they are on device `gpu`, hold their data on the processor, and refuse to mix with others.

It shows what would break or be slow on a GPU where there is none: tensors on two devices in one operation, a generator of the
wrong device, and by source line kernels, host syncs, copies and memory (`tests/counts.py` says what counts as what).

    def step() -> Counts:
        with pretend.gpu() as device:                 # or gpu(shapes=True): no data, so bert-base takes seconds
            cohort = gather(runs, data, backbone, config, device)
            state = training.begin(cohort)
            with pretend.counting() as counts:
                training.advance(cohort, state)
        return counts()                               # a frozen Counts; may be asked for inside too

    @pretend.needs_pretend
    def test_a_step() -> None:
        counts = run_apart(step)                      # from tests/apart.py: registering a device cannot be undone
        assert counts.kernels.total() <= 1150, described(counts.kernels)

A custom operation (`torch.library.custom_op`) counts as one kernel and runs its processor form, or with shapes its fake form. The
device has no name of its own elsewhere: code that asks `device.type == "cuda"` takes another way here than on a GPU, so ask
`device.type != "cpu"` where the two are alike. Pinned memory is understood.
"""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.counts import SYNCS, VIEWS, Counts, Memory, Tally, source_line

try:
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend as _register
except ImportError:
    _register = None

needs_pretend = pytest.mark.skipif(
    _register is None, reason=f"torch {torch.__version__} has no devices written in Python (2.9 and later do)"
)
NAME = "gpu"
DEVICE = torch.device("privateuseone", 0)  # as torch calls it until the name is registered
REPEATS = 8  # pairs of `repeat_interleave` where there are shapes alone, and so no counts to add up
INDEXED = frozenset({"index", "index_put", "index_put_", "_index_put_impl_"})
# Arguments that are no tensors and hold none.
PLAIN = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format})
# Besides element by element, these take a single number that is on the processor.
TAKES_NUMBERS = frozenset({"fill_", "masked_fill", "masked_fill_", *INDEXED})


class GpuTensor(torch.Tensor):
    """A tensor on the pretend GPU; `held` has its data on the processor, or on the meta device its shape alone."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "GpuTensor":
        tensor: GpuTensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=False,
        )  # fmt: skip
        tensor.held = held
        return tensor

    def __repr__(self, **_: Any) -> str:
        return f"GpuTensor({self.held!r})"

    def tolist(self) -> Any:
        """The numbers, read back; torch's own refuses subclasses."""
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a tensor of the pretend GPU, outside `with pretend.gpu()`")


class Gpu(TorchDispatchMode):
    """Carries out every operation that reads, makes or moves tensors of the device."""

    def __init__(self, shapes: bool) -> None:
        super().__init__()
        self.shapes, self.memory = shapes, Memory()
        self.tally: Tally | None = None  # while counting
        self.pinned: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the usual True imports the compiler, which takes seconds in every process

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operation = _OPERATIONS.get(id(func)) or _described(func)
        keywords = dict(kwargs) if kwargs else {}
        device = keywords.get("device")
        here = GpuTensor in types  # the subclasses among the arguments, inside lists too
        to_gpu = here if device is None else torch.device(device).type == NAME
        if not here and not to_gpu:
            return self._on_processor(func, operation.name, args, keywords)
        if operation.name == "copy_":
            return self._copied(func, args, keywords)
        if operation.name == "_to_copy" and (not here or not to_gpu):
            return self._moved(func, args, keywords, to_gpu)
        return self._launched(operation, args, keywords, to_gpu)

    def _on_processor(self, func: Any, operation: str, args: Any, keywords: dict[str, Any]) -> Any:
        """Run an operation that the device has no part in; memory that it pins is noted, since no driver is there to pin it."""
        if operation == "is_pinned":
            return args[0].untyped_storage() in self.pinned
        if operation == "_pin_memory":
            result = args[0].clone()
        elif keywords.pop("pin_memory", None):
            result = func(*args, **keywords)
        else:
            return func(*args, **keywords)
        self.pinned.add(result.untyped_storage())
        return result

    def _moved(self, func: Any, args: Any, keywords: dict[str, Any], to_gpu: bool) -> Tensor:
        """Copy a tensor to the device or to the processor."""
        source, waits = args[0], not keywords.get("non_blocking")
        if to_gpu:
            self._count_copy(source, waits)
            return self._wrapped(func(source, **keywords | {"device": "meta" if self.shapes else "cpu"}))
        self._count_sync("_to_copy" if waits else None)
        if self.shapes:  # there are no values to read
            return torch.zeros(source.shape, dtype=keywords.get("dtype") or source.dtype)
        return func(source.held, **keywords)

    def _copied(self, func: Any, args: Any, keywords: dict[str, Any]) -> Tensor:
        """Write a tensor into another one, on the same device or across."""
        target, source, *rest = args
        waits = not (rest[0] if rest else keywords.get("non_blocking"))
        if not isinstance(target, GpuTensor):
            self._count_sync("copy_" if waits else None)
            return target if self.shapes else func(target, source.held)
        if isinstance(source, GpuTensor):
            self._count_kernel("copy_", [target.held, source.held], [target.held])
            source = source.held
        else:
            self._count_copy(source, waits)
        func(target.held, source.to(target.held.device))
        return target

    def _launched(self, operation: "Operation", args: Any, keywords: dict[str, Any], to_gpu: bool) -> Any:
        """Run an operation on what tensors hold."""
        target = args[0] if args else None
        held = self._held(operation, target, args)
        if self.tally is not None and _waits(operation.name, args, keywords):
            self._count_sync(operation.name)
        if self.shapes and operation.name == "_local_scalar_dense":
            return 1
        if self.shapes and operation.name == "repeat_interleave":
            keywords.setdefault("output_size", REPEATS)
        if keywords:
            if "device" in keywords:
                keywords["device"] = torch.device("meta" if self.shapes and to_gpu else "cpu")
            keywords.pop("pin_memory", None)
            of_keywords = dict(zip(keywords, self._held(operation, target, keywords.values()), strict=True))
            result = operation.run(*held, **of_keywords)
            held += of_keywords.values()
        else:
            result = operation.run(*held)
        if self.tally is not None and operation.launches:
            self._count_kernel(operation.name, _leaves(held), _leaves((result,)))
        if operation.written:
            return _written_arguments(operation, args, keywords)
        if type(result) is Tensor:
            return self._wrapped(result)
        return _mapped(lambda leaf: self._wrapped(leaf) if isinstance(leaf, Tensor) else leaf, result)

    def _held(self, operation: "Operation", target: Any, values: Iterable[Any]) -> list[Any]:
        """Arguments as what tensors hold. By types, and by no call for most of them: every operation comes by here."""
        held: list[Any] = []
        for value in values:
            kind = type(value)
            if kind is GpuTensor:
                held.append(value.held)
            elif kind in PLAIN:
                held.append(value)
            elif kind is list or kind is tuple:
                numbers = bool(value) and type(value[0]) is int  # a shape: then all are
                held.append(value if numbers else kind(self._held(operation, target, value)))
            else:
                held.append(self._admitted(operation, target, value))
        return held

    def _admitted(self, operation: "Operation", target: Any, leaf: Any) -> Any:
        """An argument that is not of the device. Raises RuntimeError where CUDA would: for a tensor or a generator elsewhere."""
        if isinstance(leaf, torch.Generator) and leaf.device.type != NAME:
            raise RuntimeError(
                f"Expected a '{NAME}' device type for generator but found '{leaf.device}': {operation.func}"
            )
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.ndim == 0 and operation.takes_numbers:
            return leaf.to("meta") if self.shapes else leaf
        if operation.name in INDEXED and isinstance(target, GpuTensor) and leaf is not target:
            self._count_copy(leaf, waits=True)  # an index is moved to what it points into
            return leaf.to("meta") if self.shapes else leaf
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and {leaf.device}: "
            f"{operation.func} at {source_line()}"
        )

    def _wrapped(self, held: Tensor) -> GpuTensor:
        if self.tally is not None:
            self.memory.watch(held)
        return GpuTensor(held)

    def _count_kernel(self, operation: str, read: list[Any], written: list[Any]) -> None:
        if self.tally is not None:
            tensors = ([leaf for leaf in leaves if isinstance(leaf, Tensor)] for leaves in (read, written))
            self.tally.kernel(operation, *tensors)

    def _count_sync(self, operation: str | None) -> None:
        if self.tally is not None and operation is not None:
            self.tally.syncs[source_line(), operation] += 1

    def _count_copy(self, source: Tensor, waits: bool) -> None:
        """Count a copy to the device; torch waits for one that is not `non_blocking`."""
        if self.tally is None:
            return
        pinned = source.untyped_storage() in self.pinned
        self.tally.copies[source_line(), "blocking" if waits else "pinned" if pinned else "pageable"] += 1
        if waits:
            self._count_sync("copy")


class Operation(NamedTuple):
    """What is the same at every call of an operation of torch."""

    func: Any
    name: str  # without its library's
    run: Callable[..., Any]  # how it is carried out on the processor
    launches: bool  # a kernel: it reads or writes memory
    takes_numbers: bool  # single numbers that are on the processor
    written: tuple[tuple[int, str], ...]  # position and name of each argument that it writes and returns


_OPERATIONS: dict[int, Operation] = {}  # by identity: torch's own hash of an operation is a call of Python


def _described(func: Any) -> Operation:
    """An operation as it is kept from its first call on."""
    schema = func._schema
    name: str = schema.name.partition("::")[2]
    written: tuple[tuple[int, str], ...] = ()
    if schema.returns and all(result.alias_info is not None for result in schema.returns):
        written = tuple((at, argument.name) for at, argument in enumerate(schema.arguments) if argument.is_write)
    launches = name not in VIEWS and name != "_local_scalar_dense"
    takes_numbers = torch.Tag.pointwise in func.tags or name in TAKES_NUMBERS
    operation = Operation(func, name, FUSED_ATTENTION.get(name, func), launches, takes_numbers, written)
    _OPERATIONS[id(func)] = operation
    return operation


def _leaves(values: Iterable[Any]) -> list[Any]:
    """What arguments or results hold, inside lists too. (torch's own trees of arguments take most of the time here.)"""
    leaves: list[Any] = []
    for value in values:  # a tuple of types, which is looked through in half the time of a union
        if isinstance(value, (list, tuple)):
            leaves += _leaves(value)
        else:
            leaves.append(value)
    return leaves


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """The same arguments or results with each leaf changed."""
    if isinstance(value, (list, tuple)):  # most parts are leaves, which another call would take twice the time for
        return type(value)(
            [_mapped(change, part) if isinstance(part, (list, tuple, dict)) else change(part) for part in value]
        )
    if isinstance(value, dict):
        return {name: _mapped(change, part) for name, part in value.items()}
    return change(value)


def _waits(operation: str, args: Any, keywords: dict[str, Any]) -> bool:
    """Whether the host has to wait for an operation on the device: its result, or the result's size, is read back."""
    if operation == "repeat_interleave":
        return keywords.get("output_size") is None
    if operation == "segment_reduce":
        return not keywords.get("unsafe")  # else the lengths are checked
    if operation in INDEXED:
        masks = (torch.bool, torch.uint8)
        return any(leaf.dtype in masks for leaf in _leaves(args[1]) if isinstance(leaf, Tensor))
    return operation in SYNCS


def _written_arguments(operation: Operation, args: Any, keywords: dict[str, Any]) -> Any:
    """The arguments that an operation in place returns."""
    written = [args[at] if at < len(args) else keywords[name] for at, name in operation.written]
    for tensor in written:
        if type(tensor) is GpuTensor and tensor.shape != tensor.held.shape:
            raise NotImplementedError(
                f"{operation.func} changes a tensor's shape in place, which the pretend GPU cannot follow"
            )
    return written[0] if len(written) == 1 else tuple(written)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """torch's `scaled_dot_product_attention` by the one kernel that it leaves to new devices."""
    assert not enable_gqa
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, float("-inf"))
    result: Tensor = torch.ops.aten._scaled_dot_product_fused_attention_overrideable(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale
    )[0]
    return result


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0, causal: bool = False,
    return_mask: bool = False, scale: float | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """That kernel, by the processor's: outputs, log sums of exponentials, and what only other devices need."""
    unused = query.new_empty(0)
    output, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, dropout, causal, attn_mask=mask, scale=scale
    )
    return output, sums, unused, unused, query.shape[2], key.shape[2], unused, unused, unused


def _attention_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, wanted: Any, out: Tensor,
    sums: Tensor, starts: Any, key_starts: Any, longest: int, longest_key: int, dropout: float, causal: bool, *_: Any,
    scale: float | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Its backward kernel: gradients of query, key and value."""
    gradients = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        gradient, query, key, value, out, sums, dropout, causal, attn_mask=mask, scale=scale
    )
    return (*gradients, None)


FUSED_ATTENTION: dict[str, Callable[..., Any]] = {
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_scaled_dot_product_fused_attention_overrideable_backward": _attention_backward,
}
_library = torch.library.Library("aten", "IMPL")  # what it registers lasts as long as it does
_running: list[Gpu] = []


@contextlib.contextmanager
def gpu(shapes: bool = False) -> Iterator[torch.device]:
    """The pretend GPU, while this lasts; `shapes`: without data. Registered on first use, for the rest of the process."""
    assert _register is not None, "tests of the pretend GPU are marked needs_pretend"
    if torch._C._get_privateuse1_backend_name() != NAME:
        _register(NAME)
        _library.impl("scaled_dot_product_attention", _attend, "AutogradPrivateUse1")
        # Known as a kernel of the device, as it is one on a GPU; else torch would hand on the operations that it comes to.
        _library.impl("silu_backward", torch.ops.aten.silu_backward, "PrivateUse1")
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="gpu") is made on the processor and copied
    try:
        # Backward passes run in this thread: those of devices start with the first backward pass, for devices known then.
        with torch.autograd.set_multithreading_enabled(False), Gpu(shapes) as mode:
            _running.append(mode)
            yield torch.device(NAME, 0)
    finally:
        _running.clear()
        torch._C._set_only_lift_cpu_tensors(before)


@contextlib.contextmanager
def counting() -> Iterator[Callable[[], Counts]]:
    """Count what happens on the device; what is given is called for the counts so far, or once it is over for all."""
    (mode,) = _running
    mode.tally = tally = Tally()
    mode.memory.begin(tally, [tensor.held for tensor in gc.get_objects() if type(tensor) is GpuTensor])
    try:
        with torch.autograd.set_detect_anomaly(True, check_nan=False):  # tells whose backward pass an operation is of
            yield lambda: tally.counts(mode.memory)
    finally:
        mode.memory.end()
        mode.tally = None
