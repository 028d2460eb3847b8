# The order of the notebooks; nothing but order. Each rule ends in a file whose name holds the key of its
# parameters, notebook, modules and forerunners, so only what changed runs again.
#
#   snakemake --cores 2 --config params=params/quick.yaml      (make study does this)
#
# Arms that are trained and up to date stay rows of Table 1, whether or not the files name them.

import logging
import os
import shlex
import sys
from pathlib import Path

from snakemake.logging import logger

sys.path.insert(0, workflow.basedir)

from namd.ground.console import settle
from namd.ground.errors import UserError
from namd.ground.marks import begin
from namd.ground.paths import outputs_root, short
from namd.study.runner.done import DoneFiles, with_trained
from namd.ground.order import LATER
from namd.study.runner.plan import Plan
from namd.ground.surroundings import of_a_job

settle()
try:
    os.environ |= of_a_job(os.environ)
    FILES = [str(Path(f).resolve()) for f in config.get("params", "params/quick.yaml").split(",")]
    PLAN = Plan(FILES, [f"run_name={config['run_name']}"] if "run_name" in config else [])
    ROOT = begin(outputs_root().resolve() / PLAN.values["run_name"])
    PLAN = with_trained(PLAN, ROOT)
    DONE = {job: str(PLAN.done_file(job)) for job in PLAN.jobs()}
    SERIES = [file for job, file in DONE.items() if job.number not in LATER]
    finished, total = DoneFiles(PLAN, ROOT).finished()
    DoneFiles(PLAN, ROOT).set_aside()
except UserError as error:
    sys.exit(str(error))

WORDS = logging.FileHandler(ROOT / "snakemake.log", mode="w", delay=True)
WORDS.setLevel(logging.WARNING)
logger.addHandler(WORDS)
print(f"run {ROOT.name}: {finished} of {total} notebooks are up to date", flush=True)


def command(verb, files):
    words = [sys.executable, "-m", "namd", *verb]
    words += [word for file in files for word in ("--params", str(file))]
    return shlex.join(words + [word for pair in PLAN.pairs for word in ("-p", pair)])


workdir: str(ROOT)


onerror:
    print(f"Stopped; the same command goes on from there. More in {short(ROOT / 'snakemake.log')}", file=sys.stderr)


rule all:
    input: "index.html", SERIES


rule page:
    input: SERIES
    output: update("index.html")        # else Snakemake removes it first, whoever wrote it
    params: command=command(["page"], FILES)
    shell: "{params.command}"


for job in DONE:
    rule:
        name: f"run_{job.number}_{job.arm.replace('-', '__')}" if job.arm else f"run_{job.number}"
        input: [ancient(DONE[parent]) for parent in PLAN.waits_for(job)]
        output: DONE[job]
        priority: PLAN.urgency(job)
        threads: 2 if job.number in ("01", "05", "08") else 1     # these spread over worker processes
        params: command=command(["run", job.number, "--done", DONE[job]], PLAN.files_of(job))
        shell: "{params.command}"
