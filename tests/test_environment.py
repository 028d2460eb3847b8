"""The lock is plain, complete and what is installed; environment.yml points at it."""

import ast
import importlib.metadata
import re
import sys
import tomllib

import yaml

from namd.ground.paths import REPO

LOCK = [line for line in (REPO / "requirements.lock").read_text().splitlines() if line]
OPTIONAL = {"torch_fidelity"}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    return {canonical(line.split("==")[0]): line.split("==")[1] for line in LOCK}


def test_every_line_is_a_plain_pin_without_host_suffix_or_path():
    odd = [line for line in LOCK if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)]
    assert not odd, odd
    assert len(pins()) == len(LOCK)


def test_no_line_pins_what_torch_brings_itself():
    assert not [name for name in pins() if name.startswith(("nvidia", "cuda", "triton"))]


def test_the_lock_is_what_is_installed():
    different = {name: (pin, importlib.metadata.version(name)) for name, pin in pins().items()
                 if importlib.metadata.version(name).split("+")[0] != pin}
    assert not different, different


def test_every_dependency_of_the_package_is_pinned():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dicom"], *extras["test"]]
    missing = {canonical(re.match(r"[\w.-]+", line).group()) for line in wanted} - pins().keys()
    assert not missing, missing


def test_every_import_of_the_package_belongs_to_a_pin():
    owners = importlib.metadata.packages_distributions()
    missing = {}
    for file in [*(REPO / "namd").rglob("*.py"), *(REPO / "notebooks").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = ([alias.name for alias in node.names] if isinstance(node, ast.Import)
                       else [node.module] if isinstance(node, ast.ImportFrom) and node.module else [])
            for top in {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"namd"} - OPTIONAL:
                if not {canonical(owner) for owner in owners.get(top, [])} & pins().keys():
                    missing.setdefault(top, file.name)
    assert not missing, missing


def test_torch_and_torchvision_are_the_pair_that_belongs_together():
    assert (pins()["torch"], pins()["torchvision"]) == ("2.14.0", "0.29.0")


def test_conda_takes_the_same_pins():
    wanted = yaml.safe_load((REPO / "environment.yml").read_text())["dependencies"]
    conda, pip = [w for w in wanted if isinstance(w, str)], wanted[-1]["pip"]
    assert "python=3.11" in conda and pip == ["-r requirements.lock", "-e ."]
