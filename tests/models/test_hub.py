"""Ids, revisions and licences, on a real copy of the hub's cache layout below a temporary folder."""

import hashlib
import re
import shutil
from types import SimpleNamespace

import huggingface_hub.constants
import pytest
import torch
from small_llm import parameters, records

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.models import hub, llm, unet, vae

P = SimpleNamespace(vae_channels=[8, 8, 16, 16], vae_layers=1, unet_channels=[16, 32], unet_layers=1, unet_heads=2,
                    image_size=64)
SD15, MEDGEMMA, *_ = hub.SOURCES
COMMITS = {"v1": "1" * 40, "main": "2" * 40}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Two revisions of both repositories, each drawn from its own seed, as `hf download` lays them out."""
    root = tmp_path_factory.mktemp("hub")
    for seed, (name, commit) in enumerate(COMMITS.items()):
        for id in (SD15, MEDGEMMA):
            repository = root / f"models--{id.replace('/', '--')}"
            (repository / "refs").mkdir(parents=True, exist_ok=True)
            (repository / "refs" / name).write_text(commit)
            folder = repository / "snapshots" / commit
            if id == SD15:
                vae.build_vae(folder / "vae", SimpleNamespace(**vars(P), seed=seed))
                unet.build_unet(folder / "unet", SimpleNamespace(**vars(P), seed=seed))
            else:
                llm.build_llm(folder, llm.pretraining_texts(records(8)), parameters(seed=seed))
    return root


@pytest.fixture
def hub_cache(cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


def test_an_id_may_name_its_revision_and_a_folder_stays_whole(tmp_path):
    assert hub.split("org/name@abc") == ("org/name", "abc")
    assert hub.split("org/name") == ("org/name", None)
    folder = tmp_path / "mine@home"
    assert hub.split(folder)[0] != str(folder)      # not there: it can only be an id
    folder.mkdir()
    assert hub.split(folder) == (str(folder), None)


def weights(name, path):
    """One tensor of the model that the loader called `name` reads from `path`."""
    if name == "vae":
        return vae.load_vae(path).vae.decoder.conv_in.weight
    return unet.load_unet(path).conv_in.weight if name == "unet" else llm.load_llm(path)[0].embed_tokens.weight


@pytest.mark.parametrize(("name", "id"), [("vae", SD15), ("unet", SD15), ("llm", MEDGEMMA)])
def test_every_loader_reads_the_revision_it_is_told(hub_cache, name, id):
    old, new, default = (weights(name, id + revision) for revision in ("@v1", f"@{COMMITS['main']}", ""))
    assert torch.equal(new, default) and not torch.equal(old, new)
    snapshot = hub_cache / f"models--{id.replace('/', '--')}" / "snapshots" / COMMITS["v1"]
    assert torch.equal(weights(name, snapshot), old)


def test_provenance_names_commit_licence_and_configuration(hub_cache):
    found = hub.provenance(f"{SD15}@v1", "unet")
    config = hub_cache / "models--stable-diffusion-v1-5--stable-diffusion-v1-5/snapshots" / ("1" * 40)
    digest = hashlib.sha256((config / "unet" / "config.json").read_bytes()).hexdigest()
    assert found == dict(id=SD15, revision="1" * 40, licence="CreativeML OpenRAIL-M", config_sha256=digest)
    assert hub.provenance(MEDGEMMA)["revision"] == COMMITS["main"]
    assert hub.config_file(SD15, "vae").parent.name == "vae"


def test_provenance_of_a_folder_names_no_place_of_this_machine(cache, tmp_path):
    unet.build_unet(tmp_path / "mine", SimpleNamespace(**vars(P), seed=1))
    found = hub.provenance(tmp_path / "mine", "unet")
    assert (found["id"], found["revision"], found["licence"]) == ("mine", None, None) and found["config_sha256"]
    assert str(tmp_path) not in str(found)


def test_what_is_not_here_is_said_with_its_page_or_command(hub_cache, tmp_path):
    assert hub.config_file(f"{SD15}@unknown", "unet") is None
    assert hub.provenance("some/where@abc") == dict(id="some/where", revision="abc", licence=None, config_sha256=None)
    with pytest.raises(UserError, match=r"https://huggingface.co/google/medgemma-1.5-4b-it.*hf auth login"):
        llm.load_llm(f"{MEDGEMMA}@unknown")
    with pytest.raises(UserError, match=f"hf download {SD15} --revision unknown --include \"vae/"):
        vae.load_vae(f"{SD15}@unknown")
    with pytest.raises(UserError, match="unet_path.*give a complete directory"):
        unet.load_unet(tmp_path / "not" / "there")


def test_a_pipeline_directory_loads_whole_and_in_shards(cache, tmp_path):
    published = cache / f"models--{SD15.replace('/', '--')}" / "snapshots" / COMMITS["v1"]
    whole = {"vae": vae.load_vae(published).vae, "unet": unet.load_unet(published)}
    for part, model in whole.items():
        model.save_pretrained(tmp_path / part, max_shard_size="40KB")
        assert len(list((tmp_path / part).glob("*-of-*.safetensors"))) > 1
    again = {"vae": vae.load_vae(tmp_path).vae, "unet": unet.load_unet(tmp_path)}
    for part, model in whole.items():
        assert all(torch.equal(value, again[part].state_dict()[name]) for name, value in model.state_dict().items())


def test_pickled_weights_are_never_opened(cache, tmp_path):
    published = cache / f"models--{SD15.replace('/', '--')}" / "snapshots" / COMMITS["v1"] / "unet"
    shutil.copy(published / "config.json", tmp_path)
    torch.save(unet.load_unet(published).state_dict(), tmp_path / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        unet.load_unet(tmp_path)


def sources():
    return [*REPO.glob("namd/**/*.py"), *REPO.glob("notebooks/*.py")]


def test_no_code_lets_a_loader_ignore_mismatched_sizes():
    assert not [file.name for file in sources() if "ignore_mismatched" in file.read_text(encoding="utf-8")]


def test_only_the_small_language_model_is_ever_written():
    saves = re.compile(r"\b(model|lm|llm|text_encoder|tokenizer)\.save_pretrained")
    found = {f"{file.parent.name}/{file.name}": saves.findall(file.read_text(encoding="utf-8")) for file in sources()}
    assert {name: calls for name, calls in found.items() if calls} == {
        "models/llm.py": ["model", "tokenizer"], "pretrain/autorad.py": ["tokenizer"],
        "rehearse/stand_ins.py": ["model"]}                                                 # of random weights
