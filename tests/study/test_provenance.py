"""Whatever changes data, weights or libraries changes the keys; a rebuilt equal cohort does not."""

import ast
import json
import sys

import pytest
from small_home import write_cohort

from namd.data.nlst.fingerprint import record
from namd.ground import components, keys, paths, provenance
from namd.ground.contents import Contents
from namd.ground.order import Job
from namd.study.params.model import Parameters
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
NO_NUMBER = {"accelerate", "huggingface_hub", "matplotlib", "pandera", "PIL", "pyarrow", "requests", "safetensors",
             "seaborn", "tqdm"}


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
    paths = {name: tmp_path / name for name in (*provenance.WEIGHTS, "judge_path")}
    for name, path in paths.items():
        file = file_of(name, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"one")
    write("05_judge", parameters="".join(f'{name}: str = "{path}"\n' for name, path in paths.items()))
    return paths


def file_of(name, path):
    """The file with the weights: of Inception itself, else one in a folder of the folder."""
    return path if name == "eval_inception" else path / "text" / "weights"


@pytest.mark.parametrize("name", [*provenance.WEIGHTS, "judge_path"])
def test_weights_replaced_in_place_are_other_weights(models, name):
    def key():
        provenance._digest.cache_clear()
        pairs = [f"{name}={path}" for name, path in models.items()]
        values = Plan([SMOKE], pairs).parameters(Job("05", None))
        return Plan([SMOKE], pairs).components(Job("05", None)).key, keys.key(values, {}, {})

    before, file = key(), file_of(name, models[name])
    file.touch()
    assert key() == before
    file.write_bytes(b"two")
    after = key()
    assert after[0] != before[0] and (after[1] != before[1] or name in components.OF_OTHERS)


def test_a_name_on_the_hub_and_an_empty_path_have_no_bytes_here():
    assert provenance.weights({"llm_path": "google/medgemma-1.5-4b-it@abc", "vae_path": "", "vae_steps": 3,
                               "autorad_encoder": "efficientnet_lite0", "autorad_contrastive": "",
                               "autorad_text": "timm/resnet50_clip.openai@abc"}) == {}


def test_every_parameter_that_names_a_file_or_folder_names_weights_or_a_delivery():
    told = Parameters.model_json_schema()["properties"]
    places = {name for name, field in told.items() if field.get("format") == "path"}
    assert places == {*provenance.WEIGHTS, *components.OF_OTHERS, "data_delivery", "lidc_delivery"}


def test_lidcs_cohort_is_named_by_what_notebook_09_reads(tmp_path):
    def digest(**more):
        sums = {name: name for name in ("crops.npy", "crops_mask.npy", "pairs.parquet", "readers.parquet", *more)}
        (tmp_path / "lidc" / "manifest.json").write_text(json.dumps(dict(sha256=sums | more)))
        return Contents().digest(tmp_path / "lidc")

    (tmp_path / "lidc").mkdir()
    first = digest()
    record(tmp_path / "lidc", "a copy of the delivery")
    assert digest(**{"refused.csv": "more"}) == first
    others = {digest(**{name: "x"}) for name in ("crops.npy", "crops_mask.npy", "pairs.parquet", "readers.parquet")}
    assert len(others - {first}) == 4


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
