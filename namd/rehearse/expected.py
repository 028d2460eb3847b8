"""What `check` expects of each notebook of a rehearsal: bytes held and bytes written."""

from namd.ground.cost import size_bytes
from namd.study.preflight import shapes, stages


def held(p) -> dict[str, int]:
    """{notebook: bytes that its models need at the worst moment}, without the process around them."""
    found = {}
    for stage in stages.stages(shapes.build(p), p, p.phantom_subjects, 1):
        number = stage.name[:2]
        found[number] = max(found.get(number, 0), stage.memory.sum)
    return found


def written(p) -> dict[str, int]:
    """{notebook: bytes of its checkpoints and of the models that it keeps}."""
    shells = shapes.build(p)
    kept = {"02": [shells.vae], "03": [shells.unet], "04": [shells.unet_cond, shells.vae, shells.prompts],
            "05": [shells.judge]}
    found = {}
    for stage in stages.stages(shells, p, p.phantom_subjects, 1):
        if stage.saved:
            number = stage.name[:2]
            found[number] = stage.written(p.save_every) + sum(map(size_bytes, kept[number]))
    return found
