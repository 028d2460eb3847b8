"""Encoders: AIMv2 as transformers reads it, what is no AIMv2 in a sentence, EfficientNet-Lite0 as in its package."""

import json

import pytest
import torch
from transformers import Aimv2Config, Aimv2VisionConfig, Aimv2VisionModel

from namd.autorad import encoders
from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights
from namd.models import efficientnet

SMALL = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=32,
             patch_size=8)


def write(folder, **changed):
    with fresh_weights(3, "test"):
        Aimv2VisionModel(Aimv2VisionConfig(**SMALL | dict(use_head=False) | changed)).save_pretrained(folder)
    return folder


def told(folder, **changed):
    file = folder / "config.json"
    file.write_text(json.dumps({k: v for k, v in (json.loads(file.read_text()) | changed).items() if v is not None}))
    return folder


def test_an_embedding_is_the_mean_of_the_patch_tokens(tmp_path):
    encoder = encoders.load_encoder(write(tmp_path))
    x = torch.rand(3, 1, 32, 32) * 2 - 1
    mean, std = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))      # of CLIP's processor
    seen = torch.stack([((x[:, 0] + 1) / 2 - m) / s for m, s in zip(mean, std, strict=True)], dim=1)
    tokens = Aimv2VisionModel.from_pretrained(tmp_path)(seen).last_hidden_state
    assert tokens.shape == (3, 16, 16) and encoder.width == 16
    torch.testing.assert_close(encoder.embed(x), tokens.mean(1))
    assert not encoder.embed(x).requires_grad


@pytest.mark.parametrize("side", [16, 32, 61, 128])
def test_any_side_is_brought_to_its_own(tmp_path, side):
    encoder = encoders.load_encoder(write(tmp_path))
    flat = torch.full((2, 1, side, side), .25)
    torch.testing.assert_close(encoder.embed(flat), encoder.embed(torch.full((2, 1, 32, 32), .25)))


def test_many_images_are_read_in_parts(tmp_path):
    encoder = encoders.load_encoder(write(tmp_path))
    x = torch.rand(encoders.BATCH + 3, 1, 32, 32)
    torch.testing.assert_close(encoder.embed(x)[-3:], encoder.embed(x[-3:]))


def test_aimv2_large_has_309_2_million_weights():
    with torch.device("meta"):
        tower = Aimv2VisionModel(Aimv2VisionConfig(use_head=False))
    encoder = encoders.Encoder.of(encoders.Aimv2(tower))
    assert (encoder.width, encoder.size) == (1024, 224)
    assert round(sum(weight.numel() for weight in encoder.net.parameters()) / 1e6, 1) == 309.2


def test_weights_that_are_missing_are_refused(tmp_path):
    told(write(tmp_path), num_hidden_layers=2)
    with pytest.raises(UserError, match=r"^autorad_encoder: .* lacks 9 weights, the first is encoder\.layers\.1"):
        encoders.load_encoder(tmp_path)


@pytest.mark.parametrize("use_head", [True, None])
def test_a_pooling_head_is_refused(tmp_path, use_head):
    told(write(tmp_path), use_head=use_head)
    with pytest.raises(UserError, match=r"^autorad_encoder: [^\n]* averages patch tokens[^\n]* use_head: false\.$"):
        encoders.load_encoder(tmp_path)


def test_the_first_layout_is_refused_with_the_way_out(tmp_path):
    told(write(tmp_path), model_type="aimv2")
    with pytest.raises(UserError, match=r"^autorad_encoder: [^\n]*first layout[^\n]*pin a later revision[^\n]*\.$"):
        encoders.load_encoder(tmp_path)


def test_other_models_and_nothing_are_refused(tmp_path):
    Aimv2Config().save_pretrained(tmp_path)         # with a text tower, as its LiT
    for path, said in ((tmp_path, "type aimv2 and not"), (tmp_path / "none", "nothing can be loaded"),
                       ("someone/nothing@0123", "nothing can be loaded from 'someone/nothing@0123'")):
        with pytest.raises(UserError, match=rf"^autorad_encoder: [^\n]*{said}[^\n]*$"):
            encoders.load_encoder(path)


def test_random_ones_have_the_same_form_and_are_repeatable(tmp_path):
    x = torch.rand(2, 1, 32, 32)
    for path in (write(tmp_path), encoders.LITE0):
        trained = encoders.load_encoder(path)
        random = encoders.random_encoder(path, 5)
        assert random.width == trained.width and random.size == trained.size
        assert torch.equal(random.embed(x), encoders.random_encoder(path, 5).embed(x))
        assert not torch.allclose(random.embed(x), encoders.random_encoder(path, 6).embed(x))
        assert not torch.allclose(random.embed(x), trained.embed(x))


def test_lite0_gives_the_classifiers_features():
    encoder = encoders.load_encoder(encoders.LITE0)
    x = torch.rand(2, 1, 128, 128) * 2 - 1
    assert encoder.width == 1280
    torch.testing.assert_close(encoder.embed(x), efficientnet.imagenet(efficientnet.Whole)(x))
