"""The plan of a run: its jobs, their parameters, parents and keys."""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from namd.ground.errors import UserError
from namd.ground.keys import sha, with_data, work_key
from namd.ground.order import AFTER, PER_ARM, cells, declared, notebook
from namd.ground.paths import ABLATIONS
from namd.study import params


@dataclass(frozen=True)
class Job:
    """One notebook of one run; `arm` is None for the notebooks that all arms share."""

    number: str
    arm: str | None

    @property
    def label(self):
        return f"{notebook(self.number).stem}{f' · {self.arm}' if self.arm else ''}"

    @property
    def folder(self):
        """Where the job writes, below the run's root."""
        return Path("arms", self.arm) if self.arm else Path()


def _is_ablation(file):
    """Whether a parameter file makes an arm of a run, not another run."""
    return Path(file).resolve().parent == ABLATIONS


def _is_seed(stem):
    """Whether an ablation changes nothing but the training seed."""
    return bool(re.fullmatch(r"seed\d+", stem))


class Plan:
    """Every job of a run with its parameters, parents and expected key; nothing is executed.

    An arm is the run's main one under the files of params/ablations/ that its name joins with "-": no_align,
    no_align-seed24. One whose files change nothing here is the main one, and is left out.
    """

    def __init__(self, files=(), pairs=()):
        self.given, self.pairs = tuple(files), tuple(pairs)
        self.files = tuple(f for f in files if not _is_ablation(f))
        main = params.load(self.files, pairs)
        self.main = main["arm"]
        asked = self._name([Path(f).stem for f in files if _is_ablation(f)])
        arms = {arm: self._load(arm) for arm in dict.fromkeys([self.main, *main["compare_arms"], asked])}
        self.by_arm = {arm: values for arm, values in arms.items()
                       if arm in (self.main, asked) or values | {"arm": self.main} != arms[self.main]}
        for values in self.by_arm.values():
            values["compare_arms"] = [arm for arm in main["compare_arms"] if arm in self.by_arm]
        self.values = self.by_arm[asked]

    def _name(self, stems):
        """The arm that ablation files make, seeds last: no_align-seed24; a seed alone follows the main arm's name."""
        stems = sorted(stems, key=_is_seed)
        return "-".join([self.main, *stems] if all(map(_is_seed, stems)) else stems)

    def layers(self, arm):
        """The parameter files that make `arm` from the main one."""
        stems = [] if arm in (None, self.main) else arm.removeprefix(f"{self.main}-").split("-")
        return [ABLATIONS / f"{stem}.yaml" for stem in stems]

    def _load(self, arm):
        return params.load(self.files, self.pairs, self.layers(arm)) | {"arm": arm}

    def comparing(self, arms):
        """This plan with other rows of Table 1."""
        return Plan(self.given, [*self.pairs, f"compare_arms={json.dumps(list(dict.fromkeys(arms)))}"])

    def files_of(self, job):
        """Parameter files that make `job` what it is."""
        return [*self.files, *self.layers(job.arm)]

    def jobs(self):
        """All jobs in an order that respects AFTER."""
        return [Job(n, arm) for n in AFTER for arm in (self.by_arm if n in PER_ARM else [None])]

    def parents(self, job):
        """The jobs whose files `job` reads."""
        return [j for j in self.jobs() if j.number in AFTER[job.number]
                and (job.arm is None or j.arm in (None, job.arm))]

    @cache  # noqa: B019  a plan lives as long as its process
    def twin(self, job):
        """The first job that does for another arm the very work of this one, or `job` itself."""
        def work(other):
            return {**self.parameters(other), "arm": ""}, [self.twin(parent) for parent in self.parents(other)]
        same = (Job(job.number, arm) for arm in self.by_arm if job.arm)
        return next((other for other in same if other == job or work(other) == work(job)), job)

    def waits_for(self, job):
        """The jobs to finish before `job` starts: its parents, and its twin where it has one."""
        return [*self.parents(job), *{self.twin(job)} - {job}]

    def urgency(self, job):
        """Snakemake's priority: arms with most to train first, stage by stage; a long one last would train alone."""
        return 10 * sum(self.twin(link) == link for link in (Job(n, job.arm) for n in PER_ARM)) - int(job.number)

    def parameters(self, job):
        """The declared parameters of `job` with their values in this run."""
        values = self.by_arm[job.arm or self.main]
        unknown = set(declared(job.number)) - set(values)
        if unknown:
            raise UserError(f"{notebook(job.number).name} declares {', '.join(sorted(unknown))},"
                            " which params/paper.yaml does not have; add the line there.")
        return {name: values[name] for name in declared(job.number)}

    @cache  # noqa: B019  a plan lives as long as its process
    def work_key(self, job, data=None):
        """The key of `job` on the cohort of this digest; None where that is not known yet."""
        upstream = {parent.label: self.work_key(parent, data) for parent in self.parents(job)}
        key = work_key(job.number, self.parameters(job), upstream)
        return with_data(key, data) if job.number == "01" else key

    def done_file(self, job):
        """done/NN-<key>.json below the run's root, named before any cohort is known (namd.study.runner.done)."""
        return job.folder / "done" / f"{job.number}-{sha(self.work_key(job), cells(job.number))[:12]}.json"
