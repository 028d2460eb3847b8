"""What `check` expects of each notebook of a rehearsal: bytes held and bytes written."""

from namd.ground.cost import size_bytes
from namd.study.preflight import shapes, stages, systems

PYTHON = int(1.1 * 2**30)       # bytes of a notebook's process beside its models; measured .9 to 1.4 GiB in `smoke`


def held(p) -> dict[str, int]:
    """{notebook: bytes that it holds at the worst moment}.

    Where nothing is trained that moment is when the U-Net, the largest, is opened: its file is mapped beside it.
    """
    shells = shapes.build(p)
    found = {}
    for stage in [*stages.stages(shells, p, p.phantom_subjects, 1), *systems.stages(p)]:
        number = stage.name[:2]
        opening = 0 if stage.saved else size_bytes(shells.unet_cond)
        found[number] = max(found.get(number, 0), stage.memory.sum + opening + PYTHON)
    return found


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
