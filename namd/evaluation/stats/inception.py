"""Features of Inception v3, the space of the FIDs that others report; needs the extra [fidelity] and its weights."""

from importlib.util import find_spec
from pickle import UnpicklingError

import torch
from torchmetrics.image.fid import NoTrainInceptionV3

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.models.hub import UNREADABLE, first_line

URL = ("https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
       "weights-inception-2015-12-05-6726825d.pth")


def lacking(path):
    """What is missing for `load`: [(what, command that provides it)]; empty where nothing is.

    Args:
        path: the weights file, relative to the repository or absolute.
    """
    package = [] if find_spec("torch_fidelity") else [("the package torch-fidelity (eval_inception)",
                                                       'pip install -e ".[fidelity]"')]
    file = [] if (REPO / path).is_file() else [(f"Inception weights {path} (eval_inception)", fetch(path))]
    return package + file


def fetch(path):
    """The command that puts the weights at `path`."""
    return f"curl -L --create-dirs -o {path} {URL}"


def load(path):
    """Frozen Inception v3 of torch-fidelity, as torchmetrics' FID uses it.

    Args:
        path: as in `lacking`.

    Returns:
        module (N, 3, S, S) uint8 -> (N, 2048) float32.

    Raises:
        UserError: package or file is missing, or the file holds something else.

    Source: torchmetrics. The paper names no implementation; others resize by other rules, which moves an FID a little.
    """
    for what, how in lacking(path):
        raise UserError(f"Missing: {what}; get it by `{how}`, or leave eval_inception empty.")
    try:
        torch.load(REPO / path, map_location="cpu", weights_only=True)      # torch-fidelity would run a file's code
        return NoTrainInceptionV3("inception-v3-compat", ["2048"], str(REPO / path)).requires_grad_(False)
    except (*UNREADABLE, UnpicklingError, EOFError, TypeError) as error:
        raise UserError(f"{path} (eval_inception) does not hold torch-fidelity's Inception weights "
                        f"({first_line(error)}); get them by `{fetch(path)}`.") from error


@torch.no_grad()
def features(net, x, batch=50):
    """Inception features of a whole set of images.

    Args:
        net: module of `load`; x: (N, 1, S, S) in [-1, 1]; batch: images per forward pass, changes memory only.

    Returns:
        (N, 2048) float32 tensor on the CPU, dimensionless.

    Source: torchmetrics: the grey image three times, 8 bits a channel, resized to 299 x 299.
    """
    device = next(net.parameters()).device
    grey = (255 * (x.float().clamp(-1, 1) + 1) / 2).byte().expand(-1, 3, -1, -1)
    return torch.cat([net(part.to(device)).cpu() for part in grey.split(batch)])
