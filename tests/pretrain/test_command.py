"""`namd pretrain`: killed and started again it ends in the same manifest; what it writes loads by the usual keys."""

import json
import re
import time

import forked
import pytest
import torch
from safetensors.torch import load_file

from namd.__main__ import main
from namd.ground.paths import REPO
from namd.models import clip
from namd.models.llm import load_llm
from namd.models.unet import load_unet
from namd.models.vae import load_vae
from namd.pretrain import command

SMALL = ["pretrain_subjects=100", "pretrain_reports=100", "vae_channels=[8,8,16]", "vae_steps=12",
         "unet_channels=[16,32]", "unet_heads=2", "uncond_steps=12", "uncond_warmup=2", "llm_hidden=16", "llm_steps=4",
         "system_channels=[8,16]", "system_steps=12", "system_tune_steps=1", "pretrain_encoder_steps=8",
         "pretrain_text_steps=8", "save_every=2", "data_workers=1"]


def start(place):
    words = ["pretrain", "--params", str(REPO / "params/pretrain.yaml"), "--out", str(place / "models")]
    pairs = [word for pair in SMALL for word in ("-p", pair)]
    return forked.start(forked.command, [*words, *pairs], place / "outputs")


def ended(process):
    process.join()
    return process.exitcode


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    forked.warm("namd.pretrain.command")
    assert ended(start(place)) == 0
    return place / "models"


def test_a_killed_one_ends_in_the_same_manifests(whole, tmp_path):
    for stage in ("vae", "flux", "lite0-text"):
        process = start(tmp_path)
        while process.is_alive() and not [*tmp_path.glob(f"outputs/pretrained/checkpoints/{stage}/*/step-*6")]:
            time.sleep(.01)
        forked.kill(process)
    assert ended(start(tmp_path)) == 0
    for name in command.MODELS:
        file = f"{name}/MANIFEST.json"
        assert (tmp_path / "models" / file).read_bytes() == (whole / file).read_bytes()


def test_what_it_writes_is_half_precision_and_loads_by_the_usual_keys(whole):
    stored = load_file(whole / "small-sd" / "vae" / "diffusion_pytorch_model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {torch.float16}
    vae = load_vae(whole / "small-sd")
    assert vae.vae.dtype == torch.float32 and vae.folded and vae.scale != 0.18215
    assert load_unet(whole / "small-sd").config.cross_attention_dim == 768
    assert not clip.beside(whole / "small-sd")
    lm, tokenizer = load_llm(whole / "small-gemma")
    assert lm.dtype == torch.float32 and tokenizer("nodule 12").input_ids


def test_card_and_manifest_say_what_it_is(whole):
    manifest = json.loads((whole / "small-sd" / "MANIFEST.json").read_text())
    card = (whole / "small-sd" / "README.md").read_text()
    assert manifest["phantom_seed"] == 7001 and manifest["parameters"]["vae_steps"] == 12
    assert "80 single phantom images" in card and "(20 more validate)" in card
    assert manifest["sha256"]["vae/diffusion_pytorch_model.safetensors"] in card


def test_what_could_not_be_written_in_the_end_is_said_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "train_llm", lambda *given: pytest.fail("it began"))
    (tmp_path / "models" / "small-sd").mkdir(parents=True)
    (tmp_path / "models" / "small-sd" / "notes.txt").write_text("a user's")
    (tmp_path / "file").touch()
    for out, said in (("models", "notes.txt was not written by this program"), ("file", "choose another --out")):
        assert main(["pretrain", "-p", "llm_steps=1", "--out", str(tmp_path / out)]) == 1
        assert re.fullmatch(f"[^\n]*{said}[^\n]*\n", capsys.readouterr().err)


@pytest.mark.parametrize("given", [["--params", "params/quick.yaml"], ["-p", "vae_steps=1"]])
def test_parameters_of_ones_own_never_replace_the_shipped_models(given, monkeypatch, capsys):
    monkeypatch.setattr(command, "pretrain", lambda *given: pytest.fail("it began"))
    assert main(["pretrain", *given]) == 1
    assert "needs `--out DIR`" in capsys.readouterr().err


def test_without_parameters_it_takes_those_of_pretrain_yaml(monkeypatch):
    seen = []
    monkeypatch.setattr(command, "pretrain",
                        lambda p, out, names: seen.append((p.llm_steps, p.vae_channels, out, names)))
    assert main(["pretrain"]) == main(["pretrain", "small-sd"]) == 0
    assert seen == [(2000, [32, 64, 96], None, []), (2000, [32, 64, 96], None, ["small-sd"])]


def test_a_model_that_does_not_exist_is_refused_with_those_that_do(capsys):
    assert main(["pretrain", "small-clap"]) == 1
    assert re.fullmatch("[^\n]*no small model small-clap; choose among [^\n]*small-clip.\n", capsys.readouterr().err)
