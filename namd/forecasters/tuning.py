"""The learning rate of a compared system: each is tried from the first weights, the lowest validation loss wins."""

from pathlib import Path

import torch
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


def tune(stage, rates, loss_at) -> tuple[list[dict], float]:
    """Every rate from the first weights: (rows of tuning.csv, the rate of the lowest validation loss).

    Args:
        stage: TrainingStage, whose modules have their first weights again in the end.
        rates: learning rates; loss_at: rate -> lowest validation loss of a short training at it.
    """
    modules = nn.ModuleDict(stage.trained)
    first = {name: weight.detach().clone() for name, weight in learning(modules).items()}
    losses = {}
    for rate in rates:
        losses[rate] = loss_at(rate)
        with torch.no_grad():
            for name, weight in learning(modules).items():
                weight.copy_(first[name])
    best = min(losses, key=losses.get)
    return [dict(stage=stage.name, lr=rate, val_loss=loss, chosen=rate == best) for rate, loss in losses.items()], best


def learning(modules) -> dict[str, torch.Tensor]:
    """{name: weight} of those that learn."""
    return {name: weight for name, weight in modules.named_parameters() if weight.requires_grad}
