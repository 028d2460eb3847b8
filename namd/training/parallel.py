"""Several processes train one stage: my part of a batch, everyone's rows, everyone's gradients (DDP's rule).

With one process every function here is the identity and torch.distributed is never started.
"""

from contextvars import ContextVar
from functools import wraps

import torch
import torch.distributed as dist

BUCKET = 2**25     # gradient values that travel in one message
BY_ITSELF = ContextVar("by itself", default=False)      # rank 0 inside `alone`


def world() -> int:
    """Number of processes that train this stage together; 1 without `accelerate launch`, and inside `alone`."""
    return dist.get_world_size() if dist.is_initialized() and not BY_ITSELF.get() else 1


def rank() -> int:
    """This process's place among them, 0 .. world() - 1."""
    return dist.get_rank() if world() > 1 else 0


def mine(*tensors: torch.Tensor):
    """This process's rows of each (B, ...) tensor, B a multiple of world(); all of them when there is one process.

    Every process draws the whole batch from the same generator and keeps every world()-th row, so the number of
    processes changes no draw, and the first rows of all parts are the first rows of the batch.

    Source: ours, because stateless draws make one process and several train on the same batches.
    """
    parts = [x[rank()::world()] for x in tensors]
    return parts[0] if len(parts) == 1 else parts


def gather(*tensors: torch.Tensor):
    """The whole batch again, (B, ...), from the rows (B / world(), ...) of each process; gradients flow back to them.

    A loss over gathered rows has the same value in every process. Backward adds up what all of them ask of a row,
    and `average` divides by their number: the gradient is that of one process.

    Source: ours, because Eq. 3 compares each nodule with all others of the batch.
    """
    whole = [x if world() == 1 else _Gather.apply(x) for x in tensors]
    return whole[0] if len(whole) == 1 else whole


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x.contiguous())
        return torch.stack(parts, 1).flatten(0, 1)      # row i of the batch lies with rank i mod world()

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad[rank()::world()]


def average(params) -> None:
    """Replace each gradient by its mean over the processes, in flat buckets; parameters without one are left out.

    Source: the rule of DistributedDataParallel (Li et al. 2020) without its wrapper, because our objectives are
    closures over several modules, and DDP wraps the forward pass of one.
    """
    if world() == 1:
        return
    bucket = []
    for grad in [p.grad for p in params if p.grad is not None]:
        if bucket and _size(bucket) + grad.numel() > BUCKET:
            _average(bucket)
            bucket = []
        bucket.append(grad)
    if bucket:
        _average(bucket)


def _size(grads):
    """Number of values of all of them."""
    return sum(grad.numel() for grad in grads)


def _average(grads):
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    means = flat.div_(world()).split([g.numel() for g in grads])
    for g, mean in zip(grads, means, strict=True):
        g.copy_(mean.view_as(g))


def means(scalars: dict[str, float]) -> dict[str, float]:
    """Each scalar's mean over the processes."""
    if world() == 1:
        return scalars
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    values = torch.tensor(list(scalars.values()), dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(scalars, (values / world()).tolist(), strict=True))


def alone(call, *args):
    """What `call(*args)` returns in rank 0, given to all; rank 0 makes it as if it were the only process.

    For what must happen once (a checkpoint, a file) or needs no company (validation). The others wait.
    """
    if world() == 1:
        return call(*args)
    box = [None]
    if rank() == 0:
        token = BY_ITSELF.set(True)
        try:
            box = [call(*args)]
        finally:
            BY_ITSELF.reset(token)
    dist.broadcast_object_list(box)
    return box[0]


def once(build):
    """Decorator of a function that writes files: rank 0 alone calls it, the others wait and get its answer."""
    @wraps(build)
    def run(*args):
        return alone(build, *args)
    return run
