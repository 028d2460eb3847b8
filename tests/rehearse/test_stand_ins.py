"""Stand-ins for downloads: the study's loaders open them, in the shapes that `check` counts, the same each time."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel

from namd.ground.errors import UserError
from namd.models import clip, llm, unet
from namd.rehearse import stand_ins
from namd.study import params
from namd.study.params import Parameters
from namd.study.preflight import shapes

SMALL = SimpleNamespace(image_size=64, unet_channels=[16, 32], unet_layers=1, unet_heads=2)
SILENT = dict(log=lambda line: None)


def test_a_model_is_built_once_from_its_seed(tmp_path):
    settings = unet.small_config(SMALL)
    for folder in ("one", "two"):
        stand_ins.write_one(tmp_path / folder / "unet", UNet2DConditionModel.from_config, settings, 23, **SILENT)
    one, two = (unet.load_unet(tmp_path / folder).state_dict() for folder in ("one", "two"))
    assert not torch.equal(one["conv_in.weight"], two["conv_in.weight"])        # the folder is a part of the name
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "one" / "unet").iterdir()}
    stand_ins.write_one(tmp_path / "one" / "unet", UNet2DConditionModel.from_config, settings, 23, **SILENT)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "one" / "unet").iterdir()} == before


def test_a_multimodal_gemma_opens_as_medgemma_does(tmp_path):
    text = llm.small_config(32, 2, 100).text_config.to_dict()
    stand_ins.write_one(tmp_path / "gemma", stand_ins.gemma, text, 23, **SILENT)
    lm, tokenizer = llm.load_llm(tmp_path / "gemma")
    assert lm.config.hidden_size == 32 and next(lm.parameters()).dtype == torch.float32
    assert llm.eos_states(lm, tokenizer, ["72-year-old male."]).shape == (1, 1, 32)


def test_the_tokenizer_of_clip_has_its_size_and_ids(tmp_path):
    (tmp_path / "tokenizer").mkdir()
    stand_ins.clip_tokenizer(tmp_path / "tokenizer")
    tokenizer = clip.load_tokenizer(tmp_path)
    assert len(tokenizer) == shapes.ARCHITECTURES["timm/resnet50_clip.openai", ""]["vocab_size"]
    assert clip.tokens(tokenizer, ["a lung nodule", ""]).shape == (2, clip.LENGTH)


def test_every_model_is_built_at_its_width_and_the_language_model_is_shallower(monkeypatch, tmp_path):
    asked = {}

    def note(folder, build, settings, seed, log):
        asked[f"{folder.parent.name}/{folder.name}"] = settings

    monkeypatch.setattr(stand_ins, "write_one", note)
    p = Parameters.part(params.load())
    folders = stand_ins.write(tmp_path, p, 3, log=print)
    assert set(folders) == {"vae_path", "unet_path", "flux_path", "llm_path"}
    assert asked["stable-diffusion-v1-5/unet"] == shapes.config_of(p.unet_path, "unet")
    language = next(settings for settings in asked.values() if "num_hidden_layers" in settings and
                    settings.get("vocab_size") == 262208)
    assert language == shapes.config_of(p.llm_path, "") | dict(num_hidden_layers=3)
    assert asked["FLUX.1-dev/transformer"]["num_attention_heads"] * 128 == 3072


def test_a_folder_of_this_machine_is_taken_as_it_is():
    p = Parameters.part(params.load(["params/smoke.yaml"]))
    assert stand_ins.absent(p) == []
    with pytest.raises(UserError, match="architecture of 'nobody/knows' is not known"):
        stand_ins.write("nowhere", Parameters.part(params.load(pairs=["vae_path=nobody/knows"])), 1)
