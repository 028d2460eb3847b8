"""float32, TF32 or bfloat16: the arithmetic of VAE and U-Net, settled once for a process."""

from functools import wraps
from types import MethodType

import torch
from accelerate.utils import convert_to_fp32

_settled = "float32"


def settle(precision: str) -> None:
    """Set the arithmetic of this process; call it before models are loaded.

    Args:
        precision: `float32` (strict: no TF32), `tf32` (10 bits of mantissa inside products and convolutions on
            CUDA), or `bfloat16` (networks handed to `adopt` compute in it).

    Source: App. B names no other than float32; the two faster ones are ours, and never bit-equal to it.
    """
    global _settled
    _settled = precision
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def prepare(threads: int, precision: str) -> None:
    """Threads (0 leaves them alone), deterministic algorithms and arithmetic of a helper process, as in its parent."""
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    settle(precision)


def adopt(network: torch.nn.Module) -> torch.nn.Module:
    """`network`, whose forward pass runs in bfloat16 from now on if that was settled; untouched otherwise.

    Weights, gradients, AdamW and everything the network answers stay float32, so losses, samplers and tables
    never see bfloat16. No cast weight outlives the call that made it.

    Source: ours, because autocast over a whole process would round losses and linear algebra too.
    """
    if _settled == "bfloat16":
        network.forward = MethodType(_in_bfloat16(type(network).forward), network)
    return network


def _in_bfloat16(forward):
    @wraps(forward)
    def run(self, *args, **kwargs):
        kind = next(self.parameters()).device.type
        with torch.autocast(kind, torch.bfloat16, cache_enabled=False):
            answer = forward(self, *args, **kwargs)
        return convert_to_fp32(answer)
    return run
