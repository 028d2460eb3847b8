"""Whether a notebook is current, in words: one screen."""

from namd.ground.order import before
from namd.ground.paths import outputs_root
from namd.study.runner.done import DoneFiles, with_trained


def explain(plan, job):
    """Lines that say whether `job` is current, what differs when it is not, and what it follows that is not."""
    root = outputs_root() / plan.values["run_name"]
    wide = with_trained(plan, root)
    marks = DoneFiles(wide, root)
    reasons = marks.why(job)
    lines = [f"{job.label} of run {root.name} is not current:", *(f"  {reason}" for reason in reasons)]
    if not reasons:
        record = marks.record(job)
        lines = [f"{job.label} of run {root.name} is current: finished {record['at']}, commit {record['commit']}."]
    stale = [each.label for each in _followed(wide, job) if not marks.current(each)]
    if stale:
        lines.append(f"Not current among those it follows: {', '.join(stale)}.")
    return lines


def _followed(plan, job):
    """The jobs that must have run before `job`."""
    numbers = before(job.number)
    return [each for each in plan.jobs() if each.number in numbers and (job.arm is None or each.arm in (None, job.arm))]
