"""Two arms that share a stage: the second takes over what the first has trained."""

import shutil

from namd.ground.files import replacing, write_json
from namd.ground.reading import read_json

LEFT_OUT = ("checkpoints", "done")      # a finished stage needs no checkpoint; its mark is written by the runner


def written_since(folder, began):
    """Files below `folder` that a notebook has written since `began` (seconds), relative to it, sorted."""
    found = [file for file in folder.rglob("*") if file.is_file() and file.stat().st_mtime >= began]
    names = [file.relative_to(folder) for file in found if not file.name.startswith(".")]
    return sorted(str(name) for name in names if name.parts[0] not in LEFT_OUT)


def take_over(plan, job, done):
    """Whether `job` could be finished with copies of its twin's files; its stamp says whose they are.

    Args:
        plan, job: as in execute.run_job; done: of the plan and its run.

    Source: ours, because an arm that differs in the U-Net alone would train the same VAE again, to the same byte.
    """
    twin, root = plan.twin(job), done.root
    names = done.record(twin).get("files", []) if twin != job and done.holds(twin) else []
    theirs, ours = root / twin.folder, root / job.folder
    if not names or not all((theirs / name).is_file() for name in names):
        return False
    for name in names:
        with replacing(ours / name) as aside:
            shutil.copyfile(theirs / name, aside)
    stamp = f"runs/{job.number}.json"
    record = read_json(theirs / stamp, job.number, "data")
    key = plan.work_key(job, record["data"])
    write_json(ours / stamp, record | dict(
        arm=job.arm, job=job.label, key=key, digest=key[:8], parameters=plan.parameters(job), made_by=twin.label,
        upstream={parent.label: plan.work_key(parent, record["data"]) for parent in plan.parents(job)}))
    return True
