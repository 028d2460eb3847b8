"""Several processes train one stage: who I am, my part of a batch, everyone's gradients (DDP's rule)."""

import torch
import torch.distributed as dist


def world() -> int:
    """Number of processes that train this stage together; 1 without `accelerate launch`."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's place among them, 0 .. world() - 1."""
    return dist.get_rank() if dist.is_initialized() else 0


def mine(*tensors: torch.Tensor):
    """This process's rows of each (B, ...) tensor, B a multiple of world(); all of them when there is one process.

    Every process draws the whole batch from the same generator and keeps its part, so the number of processes
    changes no draw.

    Source: ours, because stateless draws make one process and several train on the same batches.
    """
    parts = [x.tensor_split(world())[rank()] for x in tensors]
    return parts[0] if len(parts) == 1 else parts
