"""Encoders: AIMv2 and CLIP as transformers reads them, others in a sentence, EfficientNet-Lite0 as in its package."""

import json

import pytest
import small_text
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    Aimv2Config,
    Aimv2VisionConfig,
    Aimv2VisionModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
)

from namd.autorad import encoders, texts
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
    tokens = Aimv2VisionModel.from_pretrained(tmp_path)(seen_by_clip(x)).last_hidden_state
    assert tokens.shape == (3, 16, 16) and encoder.width == 16
    torch.testing.assert_close(encoder.embed(x), tokens.mean(1))
    assert not encoder.embed(x).requires_grad


def seen_by_clip(x):
    """What CLIP's processor makes of x, on three channels, by hand."""
    mean, std = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    return torch.stack([((x[:, 0] + 1) / 2 - m) / s for m, s in zip(mean, std, strict=True)], dim=1)


def test_a_whole_clip_gives_the_image_features_of_its_model_and_both_towers(tmp_path, caplog):
    whole = small_text.whole_clip()
    whole.save_pretrained(tmp_path)
    small_text.tokenizer().save_pretrained(tmp_path)
    encoder = encoders.load_encoder(str(tmp_path))
    assert caplog.text == "" and (encoder.width, encoder.size) == (32, 32)
    x = torch.rand(3, 1, 32, 32) * 2 - 1
    expected = whole.get_image_features(pixel_values=seen_by_clip(x)).pooler_output
    found = encoder.embed(x)
    assert found.shape == (3, 32) and (found - expected).abs().max() < 1e-5 < 0.01 * expected.std(0).min()
    text, words = texts.beside(str(tmp_path), None)
    assert text.config.projection_dim == encoder.width and text.logit_scale == whole.logit_scale
    assert texts.word_ids(words, "unsure.") == [small_text.VOCABULARY["unsure"], small_text.VOCABULARY["."]]


def test_clip_s_image_tower_alone_is_read_with_its_projection_or_refused_without(tmp_path):
    config = CLIPVisionConfig(hidden_size=24, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
                              image_size=32, patch_size=8, projection_dim=20)
    with fresh_weights(5, "alone"):
        tower = CLIPVisionModelWithProjection(config).eval()
        CLIPVisionModel(config).save_pretrained(tmp_path / "unprojected")
    tower.save_pretrained(tmp_path)
    x = torch.rand(2, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(encoders.load_encoder(tmp_path).embed(x), tower(seen_by_clip(x)).image_embeds)
    said = r"^autorad_encoder: [^\n]* lacks 1 weights, the first is visual_projection\.weight[^\n]*$"
    with pytest.raises(UserError, match=said):
        encoders.load_encoder(tmp_path / "unprojected")
    told(tmp_path, num_hidden_layers=2)
    with pytest.raises(UserError, match=r"^autorad_encoder: [^\n]* lacks 16 weights[^\n]*$"):
        encoders.load_encoder(tmp_path)


@pytest.mark.parametrize("side", [16, 32, 61, 128])
def test_any_side_is_brought_to_its_own(tmp_path, side):
    encoder = encoders.load_encoder(write(tmp_path))
    flat = torch.full((2, 1, side, side), .25)
    torch.testing.assert_close(encoder.embed(flat), encoder.embed(torch.full((2, 1, 32, 32), .25)))


def test_a_larger_image_is_smoothed_before_it_is_sampled():
    noise = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert encoders.resized(noise, 32).std() < 0.25 < 0.5 < noise.std()


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


@pytest.mark.parametrize("changed, said", [
    (dict(num_attention_heads=0), "num_attention_heads: 0|modulo by zero"),
    (dict(num_attention_heads=-2), "says num_attention_heads: -2"),
    (dict(num_attention_heads=3), "divisible by num_heads|multiple of the number of attention heads"),
    (dict(patch_size=0), "says patch_size: 0"),
    (dict(image_size=0), "says image_size: 0"),
    (dict(image_size="big"), "describes no model that can be made .*'image_size'"),
    (dict(image_size=7), "image_size: 7 and patch_size: 8"),
    (dict(num_channels=1), "says num_channels: 1"),
    (dict(hidden_size=32), "do not have the shapes that its config.json tells"),
])
@pytest.mark.parametrize("kind", ["aimv2", "clip"])
def test_sizes_of_no_network_are_one_sentence(tmp_path, caplog, kind, changed, said):
    if kind == "aimv2":
        write(tmp_path)
    else:
        CLIPVisionModelWithProjection(CLIPVisionConfig(**SMALL, projection_dim=20)).save_pretrained(tmp_path)
    told(tmp_path, **changed)
    with pytest.raises(UserError, match=rf"^autorad_encoder: [^\n]*({said})[^\n]*\.$"):
        encoders.load_encoder(tmp_path)
    assert caplog.text == ""


@pytest.mark.parametrize("text, said", [("[1]", "is JSON without names"), ("null", "is JSON without names"),
                                        ("{", "is not JSON"), (None, "the folder holds no config.json")])
def test_a_config_json_that_is_none_is_one_sentence(tmp_path, text, said):
    write(tmp_path)
    (tmp_path / "config.json").unlink()
    if text:
        (tmp_path / "config.json").write_text(text)
    for load in (encoders.load_encoder, lambda path: encoders.random_encoder(path, 1)):
        with pytest.raises(UserError, match=rf"^autorad_encoder: [^\n]*{said}[^\n]*\.$"):
            load(tmp_path)


@pytest.mark.parametrize("kind", ["aimv2", "clip"])
def test_weights_without_a_place_and_weights_that_are_no_numbers_are_refused(tmp_path, caplog, kind):
    if kind == "aimv2":
        write(tmp_path, num_hidden_layers=2)
        config = {}
    else:
        small_text.whole_clip().save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())["vision_config"]
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    sound = encoders.load_encoder(tmp_path).embed(torch.zeros(1, 1, 32, 32))
    places = "vision_model.embeddings.position_ids" if kind == "clip" else "embeddings.position_ids"
    save_file(weights | {places: torch.arange(17)[None]}, file, {"format": "pt"})      # in older files
    assert torch.equal(encoders.load_encoder(tmp_path).embed(torch.zeros(1, 1, 32, 32)), sound)
    name = next(name for name in weights if name.endswith("encoder.layers.1.mlp.fc1.weight" if kind == "clip" else
                                                          "encoder.layers.1.ffn.up_proj.weight")
                and "text" not in name)
    for value in (torch.nan, torch.inf):
        save_file(weights | {name: torch.full_like(weights[name], value)}, file, {"format": "pt"})
        with pytest.raises(UserError, match=rf"^autorad_encoder: [^\n]*NaN or infinity in 1 weights[^\n]*{name}"):
            encoders.load_encoder(tmp_path)
    save_file(weights, file, {"format": "pt"})
    fewer = dict(num_hidden_layers=1)
    told(tmp_path, **(dict(vision_config=config | fewer) if config else fewer))
    with pytest.raises(UserError, match=r"^autorad_encoder: [^\n]* holds \d+ weights for which its configuration has no"
                                        r" place, the first is \S*encoder\.layers\.1\.[^\n]*\.$"):
        encoders.load_encoder(tmp_path)
    assert caplog.text == ""


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
    small_text.whole_clip().save_pretrained(tmp_path / "clip")
    for path in (write(tmp_path / "aimv2"), tmp_path / "clip", encoders.LITE0):
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


def test_only_repositories_of_apple_and_openai_are_aimv2_and_clip_as_published(tmp_path):
    aimv2, clip = "apple/aimv2-large-patch14-224@fcb5", "openai/clip-vit-large-patch14"
    assert encoders.unpublished(aimv2, clip) == ""
    (tmp_path / "small").mkdir()
    assert encoders.unpublished(aimv2, str(tmp_path / "small")) == (
        "autorad_contrastive is small and not openai/clip-...@<revision>")
    both = encoders.unpublished(clip, "")
    assert both.startswith("autorad_autoregressive is openai/clip-vit-large-patch14 and not apple/aimv2-")
    assert both.endswith(", autorad_contrastive is empty and not openai/clip-...@<revision>")
