"""What `check` expects of each notebook of a rehearsal: bytes held and bytes written."""

import torch

from namd.ground.cost import cost, size_bytes
from namd.study.preflight import shapes, stages, systems

PIECE = 64                      # images of a call of `vae.moments`
PYTHON = int(1.1 * 2**30)       # bytes of a notebook's process beside its models; measured .9 to 1.4 GiB in `smoke`


def held(p) -> dict[str, int]:
    """{notebook: bytes that it holds at the worst moment}.

    Where nothing is trained that moment is when the U-Net, the largest, is opened: its file is mapped beside it. 02
    encodes images in pieces of its own, whatever the batch.
    """
    shells = shapes.build(p)
    found = {}
    for stage in [*stages.stages(shells, p, p.phantom_subjects, 1), *systems.stages(p)]:
        number = stage.name[:2]
        beside = 0 if stage.saved else size_bytes(shells.unet_cond)
        if number == "02":
            beside = max(0, _encoding(shells, p) - stage.memory.activations)
        found[number] = max(found.get(number, 0), stage.memory.sum + beside + PYTHON)
    return found


@torch.no_grad()
def _encoding(shells, p) -> int:
    """Bytes of the activations of PIECE images in the encoder."""
    x = stages.meta(PIECE, 1, p.image_size, p.image_size)
    return cost(lambda: shells.vae.posterior(x)).peak


def written(p) -> dict[str, int]:
    """{notebook: bytes of its checkpoints and of the models that it keeps}.

    In 08 the first weights wait in a file while learning rates are tried, and each try leaves a checkpoint that is
    then removed.
    """
    shells = shapes.build(p)
    kept = {"02": [shells.vae], "03": [shells.unet], "04": [shells.unet_cond, shells.vae, shells.prompts],
            "05": [shells.judge]}
    found = {}
    for stage in stages.stages(shells, p, p.phantom_subjects, 1):
        if stage.saved:
            number = stage.name[:2]
            found[number] = stage.written(p.save_every) + sum(map(size_bytes, kept[number]))
    tries = len(p.system_rates)
    found["08"] = sum((tries + 3) * stage.memory.weights for stage in systems.stages(p))
    return found
