"""The text tower read from embeddings is CLIP's; both layouts give one function, and what is lacking is refused."""

import json
import shutil

import pytest
import small_text
import torch
from safetensors.torch import load_file, save_file
from small_text import VOCABULARY, OpenClipText, tokenizer, tower, write, write_open_clip
from transformers import CLIPTextModelWithProjection

from namd.autorad import prompts, texts
from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights

SENTENCES = ["a nodule image of malignant .", "benign .", "a large nodule . a small nodule"]


@pytest.fixture(scope="module")
def text():
    return tower()


def ids_of(sentence):
    return [VOCABULARY["<|startoftext|>"], *texts.word_ids(tokenizer(), sentence), VOCABULARY["<|endoftext|>"]]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_real_words_give_what_clip_s_own_class_gives(text, sentence):
    ids = torch.tensor([ids_of(sentence)])
    expected = CLIPTextModelWithProjection.forward(text, input_ids=ids).text_embeds
    embeds = text.get_input_embeddings()(ids)
    found = texts.features(text, embeds, torch.tensor([ids.shape[1] - 1]))
    assert found.shape == (1, 1, 32) and (found[:, 0] - expected).abs().max() < 1e-6 < expected.abs().min()


def test_the_end_is_where_the_prompt_says_and_what_follows_is_not_seen(text):
    ids = ids_of(SENTENCES[0])
    embeds = text.get_input_embeddings()(torch.tensor([ids, ids]))
    longer = torch.cat([embeds, 10 * torch.ones(2, 3, 64)], 1)
    at = torch.tensor([len(ids) - 1])
    one, other = texts.features(text, embeds, at), texts.features(text, longer, at)
    assert (one - other).abs().max() < 1e-6
    assert (texts.features(text, longer, torch.tensor([len(ids) + 2])) - one).abs().max() > 1e-2


def test_mask_and_positions_are_those_that_are_given(text):
    """A sentence whose second half sees only itself, at the positions of a first half, is that half alone."""
    half = text.get_input_embeddings()(torch.tensor([ids_of("benign .")]))
    mask = torch.full((8, 8), -torch.inf)
    mask[:4, :4] = mask[4:, 4:] = texts.causal(4)
    positions = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    both = texts.features(text, torch.cat([half, half], 1), torch.tensor([3, 7]), mask, positions)
    alone = texts.features(text, half, torch.tensor([3]))
    assert (both - alone).abs().max() < 1e-6
    assert (texts.features(text, torch.cat([half, half], 1), torch.tensor([3, 7])) - alone).abs().max() > 1e-2


def test_a_tower_of_transformers_comes_back_frozen_with_its_scale(tmp_path, text):
    text = tower(seed=2)
    text.logit_scale.fill_(3.0)
    write(tmp_path, text)
    made, words = texts.load_text(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(made.parameters(), text.parameters(), strict=True))
    assert made.logit_scale == 3.0 and not any(p.requires_grad for p in made.parameters()) and not made.training
    assert texts.word_ids(words, "malignant.") == [VOCABULARY["malignant"], VOCABULARY["."]]


def test_the_text_half_of_a_whole_clip_is_taken_without_a_word(tmp_path, caplog):
    whole = small_text.whole_clip()
    whole.logit_scale.data.fill_(4.25)
    whole.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    ids = torch.tensor([ids_of(SENTENCES[0])])
    made, _ = texts.load_text(tmp_path)
    assert caplog.text == ""
    expected = whole.get_text_features(input_ids=ids).pooler_output
    assert made.logit_scale == 4.25 and (made(input_ids=ids).text_embeds - expected).abs().max() < 1e-6


@pytest.mark.parametrize("quick", [True, False])
def test_open_clip_s_layout_gives_its_own_function(tmp_path, quick):
    with fresh_weights("open"):
        net = OpenClipText(quick=quick).eval()
    write_open_clip(tmp_path, net)
    made, _ = texts.load_text(tmp_path)
    for sentence in SENTENCES:
        ids = torch.tensor([ids_of(sentence)])
        expected = net(ids).detach()
        found = texts.features(made, made.get_input_embeddings()(ids), torch.tensor([ids.shape[1] - 1]))[:, 0]
        assert (found - expected).abs().max() < 1e-5 < 0.01 * expected.abs().max()
    assert made.logit_scale == net.logit_scale and made.config.projection_dim == 16


def same_words(made, expected):
    """Whether a loaded tower says of the sentences what `expected` says of their ids."""
    found = [texts.features(made, made.get_input_embeddings()(ids), torch.tensor([ids.shape[1] - 1]))[:, 0]
             for ids in (torch.tensor([ids_of(sentence)]) for sentence in SENTENCES)]
    said = [expected(torch.tensor([ids_of(sentence)])) for sentence in SENTENCES]
    return all((one - other).abs().max() < 1e-5 < 0.01 * other.abs().max()
               for one, other in zip(found, said, strict=True))


def test_open_clip_s_files_are_read_beside_the_image_tower_s_config(tmp_path):
    """As in timm's repositories: config.json and model.safetensors are of the image tower."""
    with fresh_weights("open"):
        net = OpenClipText().eval()
    write_open_clip(tmp_path, net)
    (tmp_path / "config.json").write_text(json.dumps(dict(architecture="resnet50_clip", num_classes=1024,
                                                          pretrained_cfg=dict(tag="openai"))))
    save_file({"conv1.weight": torch.ones(2)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    made, words = texts.load_text(tmp_path)
    assert same_words(made, lambda ids: net(ids).detach()) and made.logit_scale == net.logit_scale
    assert texts.word_ids(words, "malignant.") == [VOCABULARY["malignant"], VOCABULARY["."]]


def test_a_clip_of_transformers_is_taken_before_open_clip_s_files(tmp_path, text):
    """As in LAION's repositories, which hold the model in both layouts; and as in a hub's copy of either."""
    with fresh_weights("open"):
        write_open_clip(tmp_path, OpenClipText())
    write(tmp_path, text)
    made, _ = texts.load_text(tmp_path)
    assert same_words(made, lambda ids: CLIPTextModelWithProjection.forward(text, input_ids=ids).text_embeds)


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
def test_a_tower_that_learnt_no_scale_is_read_without_a_word_and_asks_for_one(tmp_path, caplog, layout):
    if layout == "transformers":
        with fresh_weights("alone"):
            CLIPTextModelWithProjection(tower().config).save_pretrained(tmp_path)
        tokenizer().save_pretrained(tmp_path)
    else:
        with fresh_weights("open"):
            write_open_clip(tmp_path, OpenClipText())
        file = tmp_path / "open_clip_model.safetensors"
        save_file({name: weight for name, weight in load_file(file).items() if name != "logit_scale"}, file)
    made, words = texts.load_text(tmp_path)
    assert caplog.text == "" and made.logit_scale.isnan() and made.text_projection.weight.isfinite().all()
    width = made.config.projection_dim
    with pytest.raises(UserError, match=r"^autorad_scale is 0, [^\n]* set autorad_scale, e\.g\. to 100") as refusal:
        prompts.Prompts(made, words, 2, width)
    assert "\n" not in str(refusal.value)
    ours = prompts.Prompts(made, words, 2, width, scale=20.0)
    assert ours.scale == 20 and ours(made, torch.ones(3, width)).isfinite().all()


def test_a_whole_clip_is_its_own_text_tower_and_a_folder_text_goes_before(tmp_path):
    whole = small_text.whole_clip()
    whole.save_pretrained(tmp_path / "clip")
    tokenizer().save_pretrained(tmp_path / "clip")
    made, _ = texts.beside(tmp_path / "clip", None)
    assert same_words(made, lambda ids: whole.get_text_features(input_ids=ids).pooler_output.detach())
    other = tower(seed=9)
    write(tmp_path / "clip" / "text", other)
    made, _ = texts.beside(str(tmp_path / "clip"), None)
    assert same_words(made, lambda ids: CLIPTextModelWithProjection.forward(other, input_ids=ids).text_embeds)
    whole.vision_model.save_pretrained(tmp_path / "eye")
    for path in (tmp_path / "eye", tmp_path / "none", "no-one/has-this", "efficientnet_lite0"):
        assert texts.beside(path, "given") == "given" and texts.own(path) is None


def change(folder, name, value):
    """Another number in the configuration of a text tower, of either layout."""
    ours = dict(heads="num_attention_heads", layers="num_hidden_layers")
    file = folder / "open_clip_config.json"
    if file.is_file():
        config = json.loads(file.read_text())
        config["model_cfg"]["text_cfg"][name] = value
    else:
        file = folder / "config.json"
        config = json.loads(file.read_text()) | {ours[name]: value}
    file.write_text(json.dumps(config))


def broken(folder, what):
    """A copy of a sound repository in one of the two layouts, and what is wrong with it."""
    if what.startswith("open"):
        with fresh_weights("open"):
            write_open_clip(folder, OpenClipText())
    else:
        write(folder, tower())
    weights = folder / ("open_clip_model.safetensors" if what.startswith("open") else "model.safetensors")
    if "lacks" in what:
        left = load_file(weights)
        del left["ln_final.bias" if what.startswith("open") else "text_model.final_layer_norm.bias"]
        save_file(left, weights, metadata={"format": "pt"})
    if "nan" in what or "scale" in what:
        name = "logit_scale" if "scale" in what else ("ln_final.bias" if "open" in what else
                                                      "text_model.final_layer_norm.bias")
        left = load_file(weights)
        left[name] = torch.full_like(left[name], float(what.split()[-1]))
        save_file(left, weights, metadata={"format": "pt"})
    changed = dict(heads=("heads", 3), fewer=("layers", 1), negative=("heads", -4)).get(what.split()[-1])
    if changed:
        change(folder, *changed)
    if what == "listed":
        (folder / "config.json").write_text("[1]")
    if what == "nothing":
        (folder / "config.json").unlink()
    if what.endswith("torn"):
        weights.write_bytes(weights.read_bytes()[:1000])
    if what == "open quick":
        config = json.loads((folder / "open_clip_config.json").read_text())
        del config["model_cfg"]["quick_gelu"]
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    if what == "open narrow":
        config = json.loads((folder / "open_clip_config.json").read_text())
        config["model_cfg"]["text_cfg"]["width"] = 16
        (folder / "open_clip_config.json").write_text(json.dumps(config))
    if what == "tokenizer":
        for file in folder.glob("token*"):
            file.unlink()


@pytest.mark.parametrize("what, said", [
    ("open lacks", "lacks 1 weights, the first is text_model.final_layer_norm.bias"),
    ("open torn", "not readable as an open_clip repository"),
    ("open quick", "quick_gelu"),
    ("open narrow", "not readable as an open_clip repository"),
    ("lacks", "lacks 1 weights, the first is text_model.final_layer_norm.bias"),
    ("torn", "nothing can be loaded"),
    ("heads", "multiple of the number of attention heads"),
    ("open heads", "multiple of the number of attention heads"),
    ("negative", "num_attention_heads: -4"),
    ("listed", "is JSON without names"),
    ("nothing", "the folder holds no config.json"),
    ("fewer", "16 weights for which its configuration has no place, the first is text_model.encoder.layers.1"),
    ("open fewer", "16 weights for which its configuration has no place, the first is text_model.encoder.layers.1"),
    ("nan", "NaN or infinity in 1 weights, the first is text_model.final_layer_norm.bias"),
    ("open nan", "NaN or infinity in 1 weights, the first is text_model.final_layer_norm.bias"),
    ("scale 200", "a scale of cosines of inf"),
    ("open scale -200", "a scale of cosines of 0"),
    ("scale nan", "NaN or infinity in 1 weights, the first is logit_scale"),
    ("tokenizer", "tokenizer"),
])
def test_what_is_lacking_is_one_sentence(tmp_path, what, said):
    broken(tmp_path, what)
    with pytest.raises(UserError, match=said) as refusal:
        texts.load_text(tmp_path)
    assert "autorad_text" in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("path", ["nowhere", "no-one/has-this", "timm/resnet50_clip.openai@abc"])
def test_a_place_without_a_tower_is_refused(path):
    with pytest.raises(UserError, match="autorad_text: nothing can be loaded"):
        texts.load_text(path)


def test_the_tokenizer_of_another_tower_is_refused(tmp_path):
    write(tmp_path / "sound", tower())
    small = tower()
    small.config.vocab_size = 5
    small.text_model.embeddings.token_embedding = torch.nn.Embedding(5, 64)
    small.save_pretrained(tmp_path / "small")
    for file in (tmp_path / "sound").glob("token*"):
        shutil.copy(file, tmp_path / "small")
    with pytest.raises(UserError, match="does not belong to its text tower"):
        texts.load_text(tmp_path / "small")


def test_a_word_that_the_tower_has_not_read_is_refused():
    with pytest.raises(UserError, match='does not know all of "cancerous"'):
        texts.word_ids(tokenizer(), "cancerous")
