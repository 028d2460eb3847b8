# make study    the whole series, then outputs/<profile>/index.html   (PROFILE=quick CORES=2)
# make test     lint and tests, the smoke series included
# make lab      JupyterLab on the notebooks
# make course   outputs/course/: the notebooks without their solutions
# Each sets up .venv from requirements.lock first; only Python 3.11+, pip and make are needed.

PROFILE ?= quick
CORES ?= 2
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: study test lab course
.DELETE_ON_ERROR:

study: .venv/.ready
	@$(PY) -m snakemake --cores $(CORES) --quiet all --nolock --rerun-incomplete --rerun-triggers mtime \
	  --config params=params/$(PROFILE).yaml

test: .venv/.ready
	@$(PY) -m ruff check .
	@$(PY) -m pytest

lab: .venv/.ready
	@$(PY) -m jupyter lab notebooks

course: .venv/.ready
	@$(PY) -m jupyter nbconvert --log-level WARN --to notebook --output-dir outputs/course \
	  --NotebookExporter.preprocessors=namd.study.course.WithoutSolutions notebooks/*.ipynb
	@echo "The notebooks without solutions are in outputs/course"

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"NAMD needs Python 3.11 or newer, and this is {v[0]}.{v[1]}: make PYTHON=python3.11")'
	@echo "Setting up .venv with the packages of requirements.lock (2 to 5 minutes, 6 GB) ..."
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
	@echo "Set up .venv."
