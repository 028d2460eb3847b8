# The order of the notebooks; nothing but order. A rule runs one notebook of one arm and leaves its mark, done/NN.json.
# Whether a mark still holds is said by content, not by time (namd/study/runner/done.py): one that does not stands aside
# before Snakemake looks, and a job that turns out current says so and ends. The rules without a command name what the
# notebooks make, so that --summary and --report show it and a lost one is made again.
#
#   snakemake --cores 2 --config params=params/quick.yaml      (make study does this)
#   snakemake --executor slurm --jobs 8 --cores 4 --config params=params/full.yaml cores=4 card=a40
#     (make study EXECUTOR=slurm JOBS=8 CORES=4 CARD=a40 does this: params/README.md, "Where it runs")

import logging
import sys

from snakemake.logging import logger

sys.path.insert(0, workflow.basedir)

from namd.ground.console import settle
from namd.ground.errors import UserError
from namd.ground.order import system_mark
from namd.ground.paths import short
from namd.study.runner.steps import Steps

settle()
try:
    STEPS = Steps(config, plans=workflow.is_main_process)
    if workflow.is_main_process:
        print(STEPS.begin(), flush=True)
except UserError as error:
    sys.exit(str(error))

WORDS = logging.FileHandler(STEPS.root / "snakemake.log", mode="w" if workflow.is_main_process else "a", delay=True)
WORDS.setLevel(logging.WARNING)
logger.addHandler(WORDS)


workdir: str(STEPS.root)


envvars:
    "NAMD_OUTPUTS",
    "PYTHONPATH",


onerror:
    print(f"Stopped; the same command goes on from there. More in {short(STEPS.root / 'snakemake.log')}",
          file=sys.stderr)


localrules: page


rule all:
    input: "index.html", STEPS.series()


rule page:
    input: STEPS.series(), STEPS.layout()
    output: update("index.html")        # else Snakemake removes it first, whoever wrote it
    params: command=STEPS.command(["page"], STEPS.files)
    log: "logs/page.log"
    benchmark: "benchmarks/page.tsv"
    conda: "environment.yml"
    shell: "{params.command} > >(tee {log}) 2> >(tee -a {log} >&2)"


rule run_00:
    input: []
    output: mark="done/00.json"
    params: key=STEPS.key("00"), command=STEPS.call("00")
    priority: 40
    threads: STEPS.threads("00", 1)
    resources: **STEPS.resources("00")
    log: "logs/00.log"
    benchmark: "benchmarks/00.tsv"
    conda: "environment.yml"
    shell: "{params.command} > >(tee {log}) 2> >(tee -a {log} >&2)"


rule run_01:
    input: []
    output: mark="done/01.json"
    params: key=STEPS.key("01"), command=STEPS.call("01")
    priority: 30
    threads: STEPS.threads("01", 2)
    resources: **STEPS.resources("01")
    log: "logs/01.log"
    benchmark: "benchmarks/01.tsv"
    conda: "environment.yml"
    shell: "{params.command} > >(tee {log}) 2> >(tee -a {log} >&2)"


rule cohort:
    input: ancient("done/01.json")
    output: manifest="cohort/manifest.json", pairs="cohort/pairs.parquet"


# arms are begun before others are ended: what has most to train would train alone at last
use rule run_01 as run_02 with:
    input:
        marks=ancient(STEPS.follows("02")),
        cohort=ancient("cohort/manifest.json"),
    output: mark="arms/{arm}/done/02.json"
    params: key=STEPS.key("02"), command=STEPS.call("02")
    priority: 30
    threads: STEPS.threads("02", 1)
    resources: **STEPS.resources("02")
    log: "logs/02.{arm}.log"
    benchmark: "benchmarks/02.{arm}.tsv"


rule vae:
    input: ancient("arms/{arm}/done/02.json")
    output: config="arms/{arm}/vae/config.json", latents="arms/{arm}/latents/train.safetensors"


use rule run_02 as run_03 with:
    input:
        marks=ancient(STEPS.follows("03")),
        cohort=ancient("cohort/manifest.json"),
        vae=ancient("arms/{arm}/vae/config.json"),
    output: mark="arms/{arm}/done/03.json"
    params: key=STEPS.key("03"), command=STEPS.call("03")
    priority: 20
    threads: STEPS.threads("03", 1)
    resources: **STEPS.resources("03")
    log: "logs/03.{arm}.log"
    benchmark: "benchmarks/03.{arm}.tsv"


rule prior:
    input: ancient("arms/{arm}/done/03.json")
    output: config="arms/{arm}/unet_uncond/config.json"


use rule run_02 as run_04 with:
    input:
        marks=ancient(STEPS.follows("04")),
        cohort=ancient("cohort/manifest.json"),
        vae=ancient("arms/{arm}/vae/config.json"),
        prior=ancient("arms/{arm}/unet_uncond/config.json"),
    output: mark="arms/{arm}/done/04.json"
    params: key=STEPS.key("04"), command=STEPS.call("04")
    priority: 10
    threads: STEPS.threads("04", 1)
    resources: **STEPS.resources("04")
    log: "logs/04.{arm}.log"
    benchmark: "benchmarks/04.{arm}.tsv"


rule namd:
    input: ancient("arms/{arm}/done/04.json")
    output: index="arms/{arm}/namd/model_index.json"


use rule run_01 as run_05 with:
    input:
        marks=ancient(STEPS.follows("05")),
        cohort=ancient("cohort/manifest.json"),
        arms=ancient(STEPS.of_arms("namd/model_index.json")),
    output: mark="done/05.json"
    params: key=STEPS.key("05"), command=STEPS.call("05")
    priority: 0
    threads: STEPS.threads("05", 2)
    resources: **STEPS.resources("05")
    log: "logs/05.log"
    benchmark: "benchmarks/05.tsv"


rule evaluation:
    input: ancient("done/05.json")
    output: table="metrics/table1.csv", probabilities="metrics/probabilities.parquet"


use rule run_05 as run_06 with:
    input:
        marks=ancient(STEPS.follows("06")),
        probabilities=ancient("metrics/probabilities.parquet"),
    output: mark="done/06.json"
    params: key=STEPS.key("06"), command=STEPS.call("06")
    priority: 0
    threads: STEPS.threads("06", 1)
    resources: **STEPS.resources("06")
    log: "logs/06.log"
    benchmark: "benchmarks/06.tsv"


rule variance:
    input: ancient("done/06.json")
    output: claims="metrics/claims_variance.csv"


use rule run_06 as run_07 with:
    input:
        marks=ancient(STEPS.follows("07")),
        table=ancient("metrics/table1.csv"),
    output: mark="done/07.json"
    params: key=STEPS.key("07"), command=STEPS.call("07")
    priority: 0
    threads: STEPS.threads("07", 1)
    resources: **STEPS.resources("07")
    log: "logs/07.log"
    benchmark: "benchmarks/07.tsv"


rule ablations:
    input: ancient("done/07.json")
    output: effects="metrics/effects.csv"


# where a scheduler has other machines, each system of 08 is a job of its own; 08 itself finds it trained
use rule run_05 as train_system with:
    input:
        marks=ancient(STEPS.follows("08")),
    output: mark=temp(touch(system_mark("{system}")))
    params: command=STEPS.train
    priority: 0
    threads: STEPS.threads("08", 2)
    resources: **STEPS.resources("08")
    log: "logs/08.{system}.log"
    benchmark: "benchmarks/08.{system}.tsv"


use rule run_05 as run_08 with:
    input:
        marks=ancient(STEPS.follows("08")),
        table=ancient("metrics/table1.csv"),
        trained=ancient(STEPS.systems()),
    output: mark="done/08.json"
    params: key=STEPS.key("08"), command=STEPS.call("08")
    priority: 0
    threads: STEPS.threads("08", 2)
    resources: **STEPS.resources("08")
    log: "logs/08.log"
    benchmark: "benchmarks/08.tsv"


rule comparators:
    input: ancient("done/08.json")
    output: table="metrics/comparators.csv"


use rule run_08 as run_09 with:
    input:
        marks=ancient(STEPS.follows("09")),
        table=ancient("metrics/table1.csv"),
    output: mark="done/09.json"
    params: key=STEPS.key("09"), command=STEPS.call("09")
    threads: STEPS.threads("09", 2)
    resources: **STEPS.resources("09")
    log: "logs/09.log"
    benchmark: "benchmarks/09.tsv"


rule autorad:
    input: ancient("done/09.json")
    output: table="metrics/autorad.csv"
