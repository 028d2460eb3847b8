# make study    the whole series, then outputs/<profile>/index.html   (PROFILE=quick CORES=2)
# make ablations, make seeds    the same run with more arms: one factor at a time, or three training seeds
# make alignment    for a GPU: what the alignment loss is worth, 24 arms
# make dial     the study on easier and harder phantoms, side by side, and on both nulls: figures/dial.png
# make table1   the compared systems after the study: every row of Table 1, then the page again
# make autorad  the second system after the study: AutoRad-Lung, the second judge, then the page again
# make cohorts  the study on three other cohorts that no setting was chosen on: figures/cohorts.png
# make test     lint and tests, the smoke series included
# make fetch    open NLST for PROFILE=open_quick or open  (FETCH=--dry-run, FETCH="--subjects 60")
# make test-quick    the quick study, then: does it say what outputs/reference/quick/ says, within bounds?
# make pretrained    train the small models of outputs/reference/models/ again (an hour)
# make reading  the executed notebooks of the run as an offline site: outputs/<profile>/reading/index.html
#
# Where they run (params/README.md, "Where it runs"); EXECUTOR names any executor plugin of Snakemake:
#   make study CORES=8                                    here, 8 notebooks side by side
#   make study EXECUTOR=slurm JOBS=20 CORES=4 CARD=a40    there, 20 jobs at a time, of up to 4 cores and with such a GPU
#   ... SUBMIT="--default-resources slurm_partition=gpu"  further words for Snakemake
#
# make lab      JupyterLab on a working copy of the notebooks, outputs/<profile>/lab/  (PROFILE=smoke, ARM=no_align)
# make course   outputs/course/: a bundle for students, without answers, and one for teachers, each as a folder and a zip
# Each sets up .venv from requirements.lock first; only Python 3.11+, pip and make are needed.

PROFILE ?= quick
CORES ?= 2
JOBS ?= 8
PYTHON ?= python3
PY := .venv/bin/python

# this checkout's namd, whatever path the environment remembers; .venv knows its own place, and a copy is mended
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
PLACE := $(shell sed -n 's/^command = .* -m venv //p' .venv/pyvenv.cfg 2>/dev/null)
LINK := $(shell readlink .venv)
export JUPYTER_PATH :=
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: study fetch table1 autorad pretrained ablations seeds alignment dial cohorts test test-quick lab reading course moved
.DELETE_ON_ERROR:

# the flag without a value stands last, so that a target may follow
SNAKEMAKE = $(PY) -m namd.study.runner.workflow --quiet all --rerun-triggers mtime $(AWAY) --nolock --rerun-incomplete
ONE = --cores 1
SIDE = $(CORES)
ifdef EXECUTOR
# a lost job is begun anew and finds its checkpoints, the others go on; files take time to be seen on another machine
AWAY = --executor $(EXECUTOR) --jobs $(JOBS) --retries 2 --keep-going --latency-wait 120 $(SUBMIT)
ONE = --cores $(CORES)
SIDE = $(JOBS)
ASKED = $(empty) cores=$(CORES)$(CARD:%= card=%)
PLUGIN = $(if $(filter slurm,$(EXECUTOR)),.venv/.slurm)
endif
POINTS := $(basename $(notdir $(wildcard params/dial/*.yaml)))
COHORTS := $(basename $(notdir $(wildcard params/cohorts/*.yaml)))

study ablations seeds alignment: .venv/.ready $(PLUGIN)
	@$(SNAKEMAKE) --cores $(CORES) --config params=params/$(PROFILE).yaml$(LAYER)$(ASKED)

ablations: LAYER = ,params/ablations.yaml
seeds: LAYER = ,params/seeds.yaml
alignment: LAYER = ,params/alignment.yaml
table1: NOTEBOOK = run_08
autorad: NOTEBOOK = run_09

fetch: .venv/.ready
	@$(PY) -m pip install --quiet --disable-pip-version-check idc-index-data==25.0.5
	@$(PY) -m namd fetch --params params/$(PROFILE).yaml $(FETCH)

dial: study
	@$(MAKE) --no-print-directory --jobs $(SIDE) $(POINTS:%=dial/%)
	@$(PY) -m namd dial --params params/$(PROFILE).yaml
	@$(SNAKEMAKE) page --forcerun page --cores 1 --config params=params/$(PROFILE).yaml

table1 autorad: study
	@$(SNAKEMAKE) $(NOTEBOOK) --cores $(CORES) --config params=params/$(PROFILE).yaml$(ASKED)
	@$(SNAKEMAKE) page --forcerun page --cores 1 --config params=params/$(PROFILE).yaml

cohorts: .venv/.ready $(PLUGIN)
	@$(MAKE) --no-print-directory --jobs $(SIDE) $(COHORTS:%=cohorts/%)
	@$(PY) -m namd cohorts --params params/$(PROFILE).yaml

dial/% cohorts/%: .venv/.ready $(PLUGIN)
	@$(SNAKEMAKE) run_05 $(ONE) --config params=params/$(PROFILE).yaml,params/$@.yaml run_name=$(PROFILE)_$(@F)$(ASKED)

test: .venv/.ready
	@$(PY) -m ruff check .
	@$(PY) -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

test-quick: PROFILE = quick
test-quick: study
	@$(PY) -m pytest -m quick tests/quick

pretrained: .venv/.ready
	@$(PY) -m namd pretrain

lab: .venv/.ready
	@$(PY) -m namd lab --params params/$(PROFILE).yaml $(ARM:%=--params params/ablations/%.yaml)

reading: .venv/.ready
	@$(PY) -m namd reading --params params/$(PROFILE).yaml

course: .venv/.ready
	@$(PY) -m namd course --params params/$(PROFILE).yaml

ifneq ($(LINK),)
.venv/.ready:
	@echo "The environment that .venv links to was not set up by make; remove the link .venv, and make sets one up." >&2
	@exit 1
else
ifneq ($(PLACE),)
ifneq ($(PLACE),$(CURDIR)/.venv)
.venv/.ready: moved
endif
endif
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"NAMD needs Python 3.11 or newer, and this is {v[0]}.{v[1]}: make PYTHON=python3.11")'
	@echo "Setting up .venv with the packages of requirements.lock (2 to 5 minutes, 6 GB) ..."
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Set up .venv."
endif

# EXECUTOR=slurm alone needs it
.venv/.slurm: requirements.slurm.lock .venv/.ready
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.slurm.lock
	@touch $@

# the programs in .venv/bin begin with the path of their interpreter
moved:
	@echo "This .venv was set up as $(PLACE); it is made this checkout's own."
	@OLD='$(PLACE)' $(PYTHON) -c "$$MOVE"

define MOVE
import os, pathlib
old, new = os.environ["OLD"].encode(), os.path.abspath(".venv").encode()
for file in pathlib.Path(".venv/bin").iterdir():
    if file.is_file() and not file.is_symlink() and old in (text := file.read_bytes()):
        file.write_bytes(text.replace(old, new))
endef
export MOVE
