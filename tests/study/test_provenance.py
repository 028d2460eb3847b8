"""Whatever changes data, weights or libraries changes the keys; a rebuilt equal cohort does not."""

import ast
import sys

import pytest
from small_home import write_cohort

from namd.ground import keys, paths, provenance
from namd.ground.order import Job
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
NO_NUMBER = {"accelerate", "huggingface_hub", "matplotlib", "pandera", "PIL", "safetensors", "seaborn"}


def test_the_cohort_is_named_by_what_the_notebooks_read(tmp_path):
    assert provenance.cohort_digest(tmp_path) is None
    first = provenance.cohort_digest(write_cohort(tmp_path))
    assert provenance.cohort_digest(write_cohort(tmp_path, refused="more", inputs={"a.csv": "other"})) == first
    others = {provenance.cohort_digest(write_cohort(tmp_path, **what)) for what in ({"crops": "x"}, {"pairs": "x"})}
    write_cohort(tmp_path)
    (tmp_path / "delivery" / "truth").mkdir(parents=True)
    for text in ("law", "other law"):
        (tmp_path / "delivery" / "truth" / "law.json").write_text(text)
        others.add(provenance.cohort_digest(tmp_path))
    assert len(others - {first}) == 4


@pytest.fixture
def models(home, write, tmp_path):
    """Folders and a file of weights, declared by notebook 05."""
    paths = {name: tmp_path / name for name in ("vae_path", "unet_path", "llm_path", "flux_path", "eval_inception")}
    for name, path in paths.items():
        file = path / "deep" / "weights" if name.endswith("_path") else path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"one")
    write("05_judge", parameters="".join(f'{name}: str = "{path}"\n' for name, path in paths.items()))
    return paths


@pytest.mark.parametrize("name", ["vae_path", "unet_path", "llm_path", "flux_path", "eval_inception"])
def test_weights_replaced_in_place_are_other_weights(models, name):
    def key():
        provenance._digest.cache_clear()
        pairs = [f"{name}={path}" for name, path in models.items()]
        values = Plan([SMOKE], pairs).parameters(Job("05", None))
        return Plan([SMOKE], pairs).components(Job("05", None)).key, keys.key(values, {}, {})

    before, file = key(), models[name] / "deep" / "weights" if name.endswith("_path") else models[name]
    file.touch()
    assert key() == before
    file.write_bytes(b"two")
    after = key()
    assert after[0] != before[0] and after[1] != before[1]


def test_a_name_on_the_hub_and_an_empty_path_have_no_bytes_here():
    assert provenance.weights({"llm_path": "google/medgemma-1.5-4b-it@abc", "vae_path": "", "vae_steps": 3}) == {}


def test_another_version_of_a_library_is_another_key(home, monkeypatch):
    before = Plan([SMOKE]).components(Job("01", None))
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "0.1"})
    found = Plan([SMOKE]).components(Job("01", None)).differences(before, "01")
    assert any(line.startswith("library torch: ") and line.endswith("-> '0.1'") for line in found)


def test_every_library_that_decides_a_number_is_in_the_keys():
    names = set()
    for room in ("data", "training", "models", "forecasters", "evaluation"):
        for file in (paths.REPO / "namd" / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    names.add(node.module.split(".")[0])
                elif isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
    libraries = names - set(sys.stdlib_module_names) - NO_NUMBER - {"namd"}
    packages = {"scikit-learn" if name == "sklearn" else name.replace("_", "-") for name in libraries}
    assert packages <= set(provenance.PACKAGES)
