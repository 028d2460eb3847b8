"""The learning rate of a compared system: each is tried from the first weights, the lowest validation loss wins."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from namd.ground import files
from namd.ground.reading import read_json


class Tried:
    """The validation loss of one try, in a file.

    Args:
        file: JSON; key: names the try. `loss` is None where the file is of another one or not there.

    Source: ours, because the weights of a try are as large as those of a model, and nobody asks for them again.
    """

    def __init__(self, file: Path, key: str):
        self.file = file
        self.key = key
        self.loss = None
        if file.is_file() and (found := read_json(file, "08", "key", "loss"))["key"] == key:
            self.loss = found["loss"]

    def keep(self, measure) -> None:
        """Keep what `measure()` gives; infinite where the training diverges."""
        try:
            self.loss = float(measure())
        except FloatingPointError:
            self.loss = float("inf")
        files.write_json(self.file, dict(key=self.key, loss=self.loss))


def tune(stage, rates, loss_at, file: Path) -> tuple[list[dict], float]:
    """Every rate from the first weights: (rows of tuning.csv, the rate of the lowest validation loss).

    Args:
        stage: TrainingStage, whose modules have their first weights again in the end.
        rates: learning rates; loss_at: rate -> lowest validation loss of a short training at it.
        file: where the first weights wait, rather than in the memory that the tries need.
    """
    weights = learning(nn.ModuleDict(stage.trained))
    with files.replacing(file) as aside:
        save_file({name: weight.detach().cpu().contiguous() for name, weight in weights.items()}, aside)
    losses = {}
    for rate in rates:
        losses[rate] = loss_at(rate)
        _put_back(weights, file)
    files.discard(file)
    best = min(losses, key=losses.get)
    return [dict(stage=stage.name, lr=rate, val_loss=loss, chosen=rate == best) for rate, loss in losses.items()], best


@torch.no_grad()
def _put_back(weights, file):
    """Copy a file into `weights`, one at a time."""
    with safe_open(file, "pt") as kept:
        for name, weight in weights.items():
            weight.copy_(kept.get_tensor(name))


def learning(modules) -> dict[str, torch.Tensor]:
    """{name: weight} of those that learn."""
    return {name: weight for name, weight in modules.named_parameters() if weight.requires_grad}
