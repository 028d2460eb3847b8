"""What the Snakefile asks: which jobs there are, what they wait for, how each is called and what it may take."""

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from namd.ground.files import write_json
from namd.ground.marks import begin
from namd.ground.order import LATER, PER_ARM, Job, system_mark
from namd.ground.paths import REPO, outputs_root
from namd.ground.reading import read_json
from namd.ground.surroundings import CORES, of_a_job
from namd.study.params import Parameters
from namd.study.runner import card
from namd.study.runner.done import DoneFiles, with_trained
from namd.study.runner.plan import Plan

TOLD = ".arms.json"         # of the run: what the process that plans has found; those that it starts read it


class Steps:
    """The jobs of one run as rules of Snakemake; paths are below the run's root.

    Arms that are trained and up to date stay rows of Table 1, whether or not the files name them.

    Args:
        config: Snakemake's, with `params` (parameter files, comma between them), perhaps `run_name`, and where a
            scheduler of other machines runs the jobs `cores` (of a node that a job may take) and `card` (their GPU).
        plans: True in the process that plans, False in one that it starts, on another machine perhaps.

    Raises:
        UserError: a file or a value cannot be used, or nothing can be written.
    """

    def __init__(self, config, plans):
        os.environ.update(of_a_job(os.environ))
        self.files = [_there(file) for file in config.get("params", "params/quick.yaml").split(",")]
        pairs = [f"run_name={config['run_name']}"] if "run_name" in config else []
        plan = Plan(self.files, pairs)
        self.root = begin(outputs_root().resolve() / plan.values["run_name"])
        self.away = "cores" in config
        if plans:
            self.plan = with_trained(plan, self.root)
            told = dict(arms=self.plan.values["compare_arms"], asked=self._ask(config))
            self._tell(told)
        else:
            told = read_json(self.root / TOLD, "01", "arms", "asked")
            self.plan = plan.comparing(told["arms"])
        self.asked = told["asked"]
        self.marks = DoneFiles(self.plan, self.root)

    def _ask(self, config):
        """{mark: what its job asks for}, of a scheduler or of the card of this machine; nothing where neither is."""
        if not self.away and (self.plan.values["device"] == "cpu" or not card.memory_mb()):
            return {}
        from namd.study.preflight import cards, jobs  # imports torch
        kind = cards.find(str(config["card"])) if "card" in config else None
        found = jobs.count(Parameters.part(self.plan.values), len(self.plan.by_arm))
        asked = jobs.asked(self.plan, found, kind, int(config.get("cores", 1)))
        return {mark: asdict(one) for mark, one in asked.items()}

    def _tell(self, told):
        """Leave `told` for the processes that are started, unless it stands there."""
        file = self.root / TOLD
        if not file.is_file() or read_json(file, "01") != told:
            write_json(file, told)

    def begin(self):
        """Put the marks in order before anything is planned; returns the line that says how much is current."""
        self.marks.settle()
        finished, total = self.marks.finished()
        return f"run {self.root.name}: {finished} of {total} notebooks are up to date"

    def job(self, number, wildcards=None):
        """The job of a rule: its notebook, and its arm where the rule has one."""
        return Job(number, wildcards.arm if number in PER_ARM else None)

    def series(self):
        """The marks of `make study`."""
        return [str(job.mark) for job in self.plan.jobs() if job.number not in LATER]

    def layout(self):
        """What lays out the page of the run."""
        folder = REPO / "namd" / "study"
        return [str(folder / name) for name in ("results/page.html.j2", "results/page.py", "site/look.css")]

    def follows(self, number):
        """Function of the wildcards: the marks that a job waits for."""
        return lambda wildcards: [str(each.mark) for each in self.plan.waits_for(self.job(number, wildcards))]

    def of_arms(self, path):
        """`path` of every arm that is compared, e.g. "namd/model_index.json"; nothing where others' models draw."""
        return [] if self.plan.imported else [f"arms/{arm}/{path}" for arm in self.plan.by_arm]

    def key(self, number):
        """Function of the wildcards: key of what decides a job before anything has run."""
        return lambda wildcards: self.plan.components(self.job(number, wildcards)).key

    def call(self, number):
        """Function of the wildcards and threads: the command of a job, which is the same on every machine."""
        def words(wildcards, threads):
            job = self.job(number, wildcards)
            key = self.plan.components(job).key
            return self.command(["run", number, "--key", key], self.plan.files_of(job), threads)
        return words

    def train(self, wildcards, threads):
        """The command that trains one system of 08."""
        return self.command(["system", wildcards.system], self.files, threads)

    def systems(self):
        """The marks of the systems that 08 finds trained: where a scheduler has other machines for them."""
        return [system_mark(name) for name in self.plan.values["systems"]] if self.away else []

    def command(self, verb, files, threads=1):
        """`verb` of namd with these parameter files, into the outputs and by the code of this process.

        On another machine it keeps to `threads` cores, whatever that machine has.
        """
        ours = of_a_job({CORES: str(threads)} if self.away else {})
        words = ["env", *(f"{name}={value}" for name, value in ours.items()), sys.executable, "-m", "namd", *verb]
        for file in files:
            words += ["--params", str(file)]
        for pair in self.plan.pairs:
            words += ["-p", pair]
        return shlex.join(words)

    def threads(self, number, here):
        """Cores of a job: `here` on this machine, what it asks for elsewhere (function of the wildcards)."""
        return (lambda wildcards: self._of(number, wildcards)["cores"]) if self.away else here

    def resources(self, number):
        """{resource: function of the wildcards and the attempt} of a job; here the memory of the GPU alone counts.

        A second attempt may take twice the memory and the time: it goes on from the checkpoint of the first.
        """
        if not self.asked:
            return {}
        if not self.away:
            return dict(gpu_mb=lambda wildcards: self._of(number, wildcards)["gpu_mb"])
        return dict(mem_mb=lambda wildcards, attempt: attempt * self._of(number, wildcards)["mem_mb"],
                    runtime=lambda wildcards, attempt: attempt * self._of(number, wildcards)["minutes"],
                    gpu=lambda wildcards: self._of(number, wildcards)["gpus"])

    def _of(self, number, wildcards):
        """What a job asks for."""
        name = getattr(wildcards, "system", None)
        return self.asked[system_mark(name) if name else str(self.job(number, wildcards).mark)]


def _there(file):
    """A parameter file by its full path: as seen from here, else from the checkout (a job starts elsewhere)."""
    path = Path(file)
    return str(path.resolve() if path.exists() else REPO / path)
