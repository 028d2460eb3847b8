"""Two arms that share a stage: the second takes over what the first has trained."""

import shutil

from namd.ground.contents import Contents
from namd.ground.files import replacing, write_json
from namd.ground.reading import read_json


def take_over(plan, job, done):
    """Whether `job` could be finished with copies of its twin's files; its stamp says whose they are.

    Args:
        plan, job: as in execute.run_job; done: of the plan and its run.

    Source: ours, because an arm that differs in the U-Net alone would train the same VAE again, to the same byte.
    """
    twin = plan.twin(job)
    if twin == job or not done.holds(twin):
        return False
    for path in done.record(twin)["made"]:
        with replacing(done.root / _moved(path, twin, job)) as aside:
            shutil.copyfile(done.root / path, aside)
    _write_stamp(plan, job, twin, done.root)
    return True


def _moved(path, twin, job):
    """`path` of the twin, below the run's root, as `job` names it."""
    start = f"{twin.folder.as_posix()}/"
    return f"{job.folder.as_posix()}/{path.removeprefix(start)}" if path.startswith(start) else path


def _write_stamp(plan, job, twin, root):
    """The twin's stamp as that of `job`, whose own files it reads and made."""
    record = read_json(root / twin.folder / "runs" / f"{job.number}.json", job.number, "reads", "made", "data")
    now = Contents()
    reads = [_moved(path, twin, job) for path in record["reads"]]
    own = dict(
        arm=job.arm, job=job.label, parameters=plan.parameters(job), made_by=twin.label,
        reads={path: now.digest(root / path) for path in reads},
        made=[_moved(path, twin, job) for path in record["made"]])
    write_json(root / job.folder / "runs" / f"{job.number}.json", record | own)
