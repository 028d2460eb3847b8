"""The marks of finished jobs, and why a job is not current: the one answer to "must it run again?"."""

import os
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from namd.data.nlst.fingerprint import unchanged
from namd.ground import contents
from namd.ground.components import Components
from namd.ground.errors import DamagedError
from namd.ground.files import write_json
from namd.ground.order import LATER, PER_ARM, Job, notebook
from namd.ground.paths import REPO
from namd.ground.provenance import git_state
from namd.ground.reading import read_json

UNFINISHED = "it has not finished yet"
DELIVERIES = {      # notebook: its cohort, begin of the parameters that name its delivery, folder of the phantom's own
    "01": ("cohort", "data", "delivery"),
    "09": ("lidc", "lidc", "lidc_delivery"),
}


def with_trained(plan, root):
    """`plan`, comparing every other arm too that is trained below `root` and up to date.

    Source: ours, because a row of Table 1 should not vanish when the next command names fewer arms.
    """
    others = set(plan.values["compare_arms"]) - {plan.main}
    there = [folder.name for folder in root.glob("arms/*") if all(map(Path.is_file, plan.layers(folder.name)))]
    wide = plan.comparing([plan.main, *sorted(others), *there])
    marks = DoneFiles(wide, root)
    ready = {arm for arm in wide.by_arm if marks.trained(arm)}
    return plan.comparing([plan.main, *sorted((others | ready) - {plan.main})])


class DoneFiles:
    """done/NN.json says that a job has finished, and of what: components, what it read, what it made.

    A job is current when all of that is as it was; so content decides, not time. A mark that does not hold stands
    aside as .NN.json, hidden from Snakemake, and comes back when it holds again.
    """

    def __init__(self, plan, root):
        self.plan = plan
        self.root = Path(root)

    def file(self, job):
        """Where the mark of `job` stands."""
        return self.root / job.mark

    def _aside(self, job):
        return self.file(job).with_name(f".{job.number}.json")

    def record(self, job):
        """What the mark of `job` says, in its place or set aside; None without one."""
        for path in (self.file(job), self._aside(job)):
            if path.is_file():
                with suppress(DamagedError):        # it says nothing then
                    return _read(path, job.number, path.stat().st_mtime_ns)
        return None

    def why(self, job):
        """What keeps `job` from being current, a line each; nothing when it is."""
        record = self.record(job)
        if record is None:
            return [UNFINISHED]
        try:
            before = Components.recorded(record)
            reads = record["reads"]
            made = record["made"]
        except KeyError:
            return ["its mark was written by another version of this program"]
        lines = self.plan.components(job).differences(before, job.number)
        now = contents.Contents(self._known())
        for path, digest in reads.items():
            if now.digest(self.root / path) != digest:
                lines.append(f"{path}{self._maker(path)} {self._state(path)}")
        for path, state in made.items():
            if not now.same(self.root / path, state):
                lines.append(f"{path}, which it made, {self._state(path)}")
        if job.number in DELIVERIES and not self._same_delivery(*DELIVERIES[job.number]):
            lines.append("files of the delivery were added, replaced or removed")
        return lines

    def current(self, job):
        """Whether what lies there is what `job` would make; its mark may stand aside."""
        return not self.why(job)

    def holds(self, job):
        """Whether `job` is up to date: current, and its mark in place."""
        return self.file(job).is_file() and self.current(job)

    def trained(self, arm):
        """Whether every notebook that trains `arm` is current."""
        return all(self.current(Job(number, arm)) for number in PER_ARM)

    def finished(self):
        """(finished, all) number of jobs, those of LATER left out."""
        jobs = [job for job in self.plan.jobs() if job.number not in LATER]
        return sum(map(self.current, jobs)), len(jobs)

    def settle(self):
        """Put every mark in its place or aside, for Snakemake sees only whether a file is there.

        What follows a job that must run stands aside too: `restored` finds the marks that still hold then.
        """
        stale = set()
        for job in self.plan.jobs():
            if stale & set(self.plan.waits_for(job)) or not self.current(job):
                stale.add(job)
                self.set_aside(job)
            else:
                self.restored(job)

    def set_aside(self, job):
        """Take the mark of `job` out of Snakemake's sight."""
        if self.file(job).is_file():
            os.replace(self.file(job), self._aside(job))

    def restored(self, job):
        """Whether `job` needs no work after all, because what it reads came out the same; its mark is back then."""
        if not self.current(job):
            return False
        if not self.file(job).is_file():
            os.replace(self._aside(job), self.file(job))
        return True

    def write(self, job, seconds):
        """Mark `job` as finished with what its stamp says that it read and made."""
        stamp = self.root / job.folder / "runs" / f"{job.number}.json"
        found = read_json(stamp, job.number) if stamp.is_file() else {}
        paths = [*found.get("made", []), *self._pages(job)]
        if stamp.is_file():
            paths.append(stamp.relative_to(self.root).as_posix())
        now = contents.Contents()
        made = {path: now.state(self.root / path) for path in paths if (self.root / path).is_file()}
        write_json(self.file(job), dict(
            notebook=job.label, at=datetime.now(UTC).isoformat(timespec="seconds"), seconds=round(seconds, 1),
            commit=git_state()[0], **asdict(self.plan.components(job)), reads=found.get("reads", {}), made=made))
        self._aside(job).unlink(missing_ok=True)

    def _pages(self, job):
        """The executed notebook of `job` and its page, below the root."""
        name = notebook(job.number).stem
        return [(job.folder / "notebooks" / f"{name}{suffix}").as_posix() for suffix in (".ipynb", ".html")]

    def _known(self):
        """States of all that the marks say was made, so that a large file is not read again."""
        found = {}
        for job in self.plan.jobs():
            made = (self.record(job) or {}).get("made", {})
            found |= {self.root / path: state for path, state in made.items() if Path(path).parent.name != "runs"}
        return found

    def _maker(self, path):
        """", which 02_aligned_vae made," for what a job of this plan made."""
        for job in self.plan.jobs():
            made = (self.record(job) or {}).get("made", {})
            if any(name == path or name.startswith(f"{path}/") for name in made):
                return f", which {job.label} made,"
        return ""

    def _state(self, path):
        return "changed" if (self.root / path).exists() else "is gone"

    def _same_delivery(self, cohort, begin, own):
        values = self.plan.by_arm[self.plan.main]
        cohort = self.root / cohort
        if not (cohort / "manifest.json").is_file():
            return True
        delivery = REPO / values[f"{begin}_delivery"]
        if values[f"{begin}_source"] == "phantom":
            delivery = self.root / own
            if not delivery.is_dir():           # the notebook made it; only a user's own may be out of reach
                return False
        return unchanged(cohort, delivery)


@cache
def _read(path, number, written):
    """A mark, read once as long as it is not written again."""
    return read_json(path, number)
