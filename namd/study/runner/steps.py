"""What the Snakefile asks: which jobs there are, what they wait for, how each is called and what it may take."""

import os
import shlex
import sys
from pathlib import Path

from namd.ground.files import write_json
from namd.ground.marks import begin
from namd.ground.order import LATER, PER_ARM, Job
from namd.ground.paths import REPO, outputs_root
from namd.ground.reading import read_json
from namd.ground.surroundings import of_a_job
from namd.study.runner.done import DoneFiles, with_trained
from namd.study.runner.plan import Plan

ARMS = ".arms.json"         # of the run: the arms that the process which plans has found; its helpers read them
GPU = ("02", "03", "04", "05", "06", "07", "08", "09")


class Steps:
    """The jobs of one run as rules of Snakemake; paths are below the run's root.

    Arms that are trained and up to date stay rows of Table 1, whether or not the files name them.

    Args:
        config: Snakemake's, with `params` (parameter files, comma between them) and perhaps `run_name`.
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
        if plans:
            self.plan = with_trained(plan, self.root)
            self._tell_arms(self.plan.values["compare_arms"])
        else:
            self.plan = plan.comparing(read_json(self.root / ARMS, "01", "arms")["arms"])
        self.marks = DoneFiles(self.plan, self.root)

    def _tell_arms(self, arms):
        """Leave the arms for the processes that are started, unless they stand there."""
        file = self.root / ARMS
        if not file.is_file() or read_json(file, "01", "arms")["arms"] != arms:
            write_json(file, dict(arms=arms))

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
        """`path` of every arm that is compared, e.g. "namd/model_index.json"."""
        return [f"arms/{arm}/{path}" for arm in self.plan.by_arm]

    def key(self, number):
        """Function of the wildcards: key of what decides a job before anything has run."""
        return lambda wildcards: self.plan.components(self.job(number, wildcards)).key

    def call(self, number):
        """Function of the wildcards: the command of a job, which is the same on every machine."""
        def words(wildcards):
            job = self.job(number, wildcards)
            key = self.plan.components(job).key
            return self.command(["run", number, "--key", key], self.plan.files_of(job))
        return words

    def command(self, verb, files):
        """`verb` of namd with these parameter files, into the outputs and by the code of this process."""
        ours = of_a_job({})
        words = ["env", *(f"{name}={value}" for name, value in ours.items()), sys.executable, "-m", "namd", *verb]
        for file in files:
            words += ["--params", str(file)]
        for pair in self.plan.pairs:
            words += ["-p", pair]
        return shlex.join(words)

    def gpu(self, number):
        """GPUs that a job asks for: none where the run computes on the CPU."""
        return int(number in GPU and self.plan.values["device"] != "cpu")


def _there(file):
    """A parameter file by its full path: as seen from here, else from the checkout (a job starts elsewhere)."""
    path = Path(file)
    return str(path.resolve() if path.exists() else REPO / path)
