"""The done files of a run, and whether they still hold for the data that lie there."""

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from namd.data.nlst.fingerprint import unchanged
from namd.ground.errors import DamagedError
from namd.ground.files import write_json
from namd.ground.order import LATER, PER_ARM
from namd.ground.paths import REPO
from namd.ground.provenance import cohort_digest, git_state
from namd.ground.reading import read_json
from namd.study.runner.plan import Job

FIRST = Job("01", None)


def with_trained(plan, root):
    """`plan`, comparing every other arm too that is trained below `root` and up to date.

    Source: ours, because a row of Table 1 should not vanish when the next command names fewer arms.
    """
    first, *others = plan.values["compare_arms"]
    there = [folder.name for folder in root.glob("arms/*") if all(map(Path.is_file, plan.layers(folder.name)))]
    wide = plan.comparing([first, *others, *there])
    made = DoneFiles(wide, root).made
    ready = {arm for arm in wide.by_arm if all(made(Job(number, arm)) for number in PER_ARM)}
    return plan.comparing([first, *sorted({*others, *ready} - {first})])


class DoneFiles:
    """done/NN-<key>.json says that a job of a plan has finished; what it holds says on which data.

    Source: ours, because the plan knows every key before notebook 01 has run, and no cohort.
    """

    def __init__(self, plan, root):
        self.plan, self.root = plan, root

    def file(self, job):
        """Where the mark of `job` stands."""
        return self.root / self.plan.done_file(job)

    def _aside(self, job):
        return self.file(job).with_name(f".{self.file(job).name}")

    def record(self, job):
        """What the mark of `job` says, in its place or set aside; None without one."""
        found = [path for path in (self.file(job), self._aside(job)) if path.is_file()]
        with suppress(DamagedError):        # it says nothing then
            return read_json(found[0], job.number) if found else None

    def made(self, job):
        """Whether what lies there is of `job`, finished on the cohort that lies there; its mark may stand aside."""
        record = self.record(job)
        return record is not None and (record.get("data"), record.get("stamp")) == self._there(job)

    def _there(self, job):
        """(digest of the cohort, key in the stamp of `job`): another one after a notebook was run by hand."""
        stamp = self.root / job.folder / "runs" / f"{job.number}.json"
        key = read_json(stamp, job.number, "key")["key"] if stamp.is_file() else None
        return cohort_digest(self.root), key

    def holds(self, job):
        """Whether `job` is up to date: made, its mark in place, and for 01 the delivery as it was."""
        return self.file(job).is_file() and self.made(job) and (job != FIRST or self._same_delivery())

    def _same_delivery(self):
        values = self.plan.by_arm[self.plan.main]
        delivery = self.root / "delivery" if values["data_source"] == "phantom" else REPO / values["data_delivery"]
        return cohort_digest(self.root) is None or unchanged(self.root / "cohort", delivery)

    def finished(self):
        """(finished, all) number of jobs, those of LATER left out."""
        jobs = [job for job in self.plan.jobs() if job.number not in LATER]
        return sum(map(self.holds, jobs)), len(jobs)

    def set_aside(self):
        """Hide the marks that do not hold from Snakemake, which sees only whether a file is there.

        Where 01 must run again, so do the marks of all that follows it: `restored` finds those that still hold.
        """
        known = self.holds(FIRST)
        for job in self.plan.jobs():
            if self.file(job).is_file() and not (known and self.holds(job)):
                os.replace(self.file(job), self._aside(job))

    def restored(self, job):
        """Whether `job` needs no work after all, because 01 built the same cohort again; its mark is back then."""
        if job == FIRST or not self._aside(job).is_file() or not self.made(job):
            return False
        os.replace(self._aside(job), self.file(job))
        return True

    def withdraw(self, job):
        """Delete every mark of this notebook and arm, before it is executed."""
        for stale in self.file(job).parent.glob("*.json"):
            if re.fullmatch(rf"\.?{job.number}-[0-9a-f]{{12}}", stale.stem):
                stale.unlink()

    def write(self, job, seconds, files):
        """Mark `job` as finished on the cohort that lies there; `files` are those it wrote."""
        data, stamp = self._there(job)
        write_json(self.file(job), dict(
            notebook=job.label, key=self.plan.work_key(job, data), data=data, stamp=stamp, seconds=round(seconds, 1),
            commit=git_state()[0], at=datetime.now(UTC).isoformat(timespec="seconds"), files=files))
