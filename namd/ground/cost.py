"""What a call costs, counted without weights on the meta device: FLOPs, kernels, memory traffic, peak memory."""

import weakref
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Cost:
    """What one call takes.

    Args:
        flops: floating point operations; a multiply-add is two.
        kernels: operations launched; views launch none.
        traffic: bytes read and written by them.
        peak: largest bytes that the call's own tensors occupy at a time; neither parameters nor arguments.
    """

    flops: int = 0
    kernels: int = 0
    traffic: int = 0
    peak: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Both calls, one after the other, each freeing what it took."""
        return Cost(self.flops + other.flops, self.kernels + other.kernels, self.traffic + other.traffic,
                    max(self.peak, other.peak))


def cost(call, *args) -> Cost:
    """All of `Cost` for `call(*args)`; a backward inside `call` counts.

    Args:
        call: anything that works on tensors; on the meta device nothing is computed.

    Source: ours, because FLOPs alone promise a GPU at small latents more than its memory and its launches can give.
    The FLOPs of an operation are those of torch's FlopCounterMode: matrix products, convolutions and attention. Work
    space inside a kernel and the allocator's fragments are not seen.
    """
    with _Ledger() as ledger:
        call(*args)
    return Cost(ledger.flops, ledger.kernels, ledger.traffic, ledger.peak)


def flops(call, *args) -> int:
    """Floating point operations of `call(*args)`, as in `cost`."""
    return cost(call, *args).flops


def parameters(module: nn.Module) -> int:
    """Number of parameters of `module`, frozen ones too."""
    return sum(p.numel() for p in module.parameters())


def size_bytes(module: nn.Module) -> int:
    """Bytes that the parameters of `module` occupy in their own number format."""
    return sum(p.nbytes for p in module.parameters())


class _Ledger(TorchDispatchMode):
    """Watches every operation below autograd and keeps book of storages as they come and go."""

    def __init__(self):
        super().__init__()
        self.flops = self.kernels = self.traffic = self.live = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        before = [*_tensors(args), *_tensors(kwargs.values())]
        for tensor in before:
            self._meet(tensor.untyped_storage(), 0)   # older than the call: a parameter or an argument
        out = operation(*args, **kwargs)
        after = [*_tensors([out])]
        for tensor in after:
            storage = tensor.untyped_storage()
            self._meet(storage, storage.nbytes())
        if after and not operation.is_view:
            self.kernels += 1
            self.traffic += sum(t.nbytes for t in (*before, *after))
            count = flop_registry.get(operation.overloadpacket)
            self.flops += count(*args, **kwargs, out_val=out) if count else 0
        return out

    def _meet(self, storage, size):
        key = id(storage)           # torch keeps one object for a storage as long as that lives
        if key in self.known:
            return
        self.known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._part, key, size)

    def _part(self, key, size):
        self.known.discard(key)
        self.live -= size


def _tensors(values):
    """The tensors among `values` and in lists of them."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
