"""float32, TF32 or bfloat16: the arithmetic of VAE and U-Net; judge, losses and tables stay float32."""

from contextlib import contextmanager
from functools import wraps
from types import MethodType

import torch
from accelerate.utils import convert_to_fp32


def set_arithmetic(precision: str) -> None:
    """Allow this process TF32, or forbid it; what `strict` runs has none of it.

    Args:
        precision: `float32` (strict: no TF32), `tf32` (10 bits of mantissa inside products and convolutions on
            CUDA), or `bfloat16` (networks handed to `adopt` compute in it; TF32 stays off).

    Source: App. B names no other than float32; the two faster ones are ours, and never bit-equal to it.
    """
    _allow_tf32(precision == "tf32", precision == "tf32")


@contextmanager
def strict():
    """Inside, products and convolutions are float32 to the letter, whatever was set; a decorator too.

    Source: ours, because rows of Table 1 are compared with each other and read by one judge.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _allow_tf32(False, False)
    try:
        yield
    finally:
        _allow_tf32(*before)


def _allow_tf32(products: bool, convolutions: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions


def prepare(threads: int, precision: str) -> None:
    """Threads (0 leaves them alone), deterministic algorithms and arithmetic of a helper process, as in its parent."""
    if threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    set_arithmetic(precision)


def adopt(network: torch.nn.Module, precision: str) -> torch.nn.Module:
    """`network`, whose forward pass runs in bfloat16 from now on if that is `precision`; untouched otherwise.

    Weights, gradients, AdamW and everything the network answers stay float32, so losses, samplers and tables
    never see bfloat16. No cast weight outlives the call that made it.

    Source: ours, because autocast over a whole process would round losses and linear algebra too.
    """
    if precision == "bfloat16":
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
