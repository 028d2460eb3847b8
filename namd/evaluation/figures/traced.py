"""The shapes that pass through a network, read while it runs once."""

import torch


@torch.no_grad()
def shapes(network, call) -> dict[str, tuple[int, ...]]:
    """What each part of `network` gave in one call, without the batch: {name of the part: shape}.

    Args:
        network: a torch module; call: function without arguments that runs it. A part that gives several things counts
            by its first, one that gives no tensor not at all.

    Source: ours, because a drawing whose numbers were typed is wrong at the next configuration.
    """
    found = {}
    handles = [part.register_forward_hook(_note(found, name)) for name, part in network.named_modules()]
    try:
        call()
    finally:
        for handle in handles:
            handle.remove()
    return found


def _note(found, name):
    """A hook that writes down one shape."""
    def hook(part, given, result):
        first = result[0] if isinstance(result, tuple | list) else result
        if isinstance(first, torch.Tensor):
            found[name] = tuple(first.shape[1:])
    return hook
