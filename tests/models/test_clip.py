"""The text path of SD1.5 by folder, hub id and revision; what is lacking there is one sentence."""

import shutil

import huggingface_hub.constants
import pytest
import torch
from small_clip import states as by_hand
from small_clip import write_clip

from namd.ground.errors import UserError
from namd.models import clip

COMMIT = "1" * 40


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A pipeline's folders, and the same as `hf download` lays them out."""
    root = tmp_path_factory.mktemp("clip")
    encoder = write_clip(root / "here", width=8)
    repository = root / "hub" / "models--org--sd"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    shutil.copytree(root / "here", repository / "snapshots" / COMMIT)
    return root, encoder


@pytest.fixture(params=["folder", "hub id", "hub id at a revision", "in shards", "in half precision"])
def path(request, published, tmp_path, monkeypatch):
    root, encoder = published
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(root / "hub"))
    made = {"hub id": "org/sd", "hub id at a revision": f"org/sd@{COMMIT}"}.get(request.param, tmp_path)
    if made == tmp_path:
        shutil.copytree(root / "here", tmp_path, dirs_exist_ok=True)
    if request.param == "in shards":
        (tmp_path / "text_encoder" / "model.safetensors").unlink()
        encoder.save_pretrained(tmp_path / "text_encoder", max_shard_size="500KB")
        assert len(list((tmp_path / "text_encoder").glob("*-of-*.safetensors"))) > 1
    if request.param == "in half precision":
        clip.load_encoder(tmp_path).half().save_pretrained(tmp_path / "text_encoder")
    return made


def test_every_way_to_name_it_gives_the_same_states_in_float32(request, path, published):
    _, encoder = published
    assert clip.empty_prompt(path).dtype == torch.float32
    off = (clip.empty_prompt(path) - by_hand(encoder, [clip.BEGIN])).abs().max()
    assert off <= (1e-2 if "half" in request.node.callspec.id else 0)
    ids = clip.tokens(clip.load_tokenizer(path), ["a b", ""])
    assert ids[0, :4].tolist() == [clip.BEGIN, 38, 39, clip.END] and ids[1].tolist() == [clip.BEGIN] + [clip.END] * 76


def test_the_encoder_alone_may_be_the_directory_and_names_no_place(published):
    root, encoder = published
    made = clip.load_encoder(root / "here" / "text_encoder")
    assert torch.equal(by_hand(made, [clip.BEGIN, 3]), by_hand(encoder, [clip.BEGIN, 3]))
    assert made.config.name_or_path == "text_encoder" and str(root) not in str(made.config.to_dict())
    assert not any(weight.requires_grad for weight in made.parameters())


def lose(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def cut(name, content=b"{"):
    return lambda folder: (folder / name).write_bytes(content)


def fp16_alone(folder):
    weights = folder / "text_encoder" / "model.safetensors"
    weights.rename(weights.with_name("model.fp16.safetensors"))


ENCODER = {"no folder": lambda folder: shutil.rmtree(folder / "text_encoder"), "fp16 alone": fp16_alone,
           "no configuration": lose("text_encoder/config.json"), "no weights": lose("text_encoder/model.safetensors"),
           "cut weights": cut("text_encoder/model.safetensors", b"1234"), "cut config": cut("text_encoder/config.json")}
TOKENIZER = {"no folder": lambda folder: shutil.rmtree(folder / "tokenizer"),
             "empty folder": lose(*(f"tokenizer/{name}" for name in ("vocab.json", "merges.txt",
                                                                     "tokenizer_config.json"))),
             "no vocabulary": lose("tokenizer/vocab.json"), "no merges": lose("tokenizer/merges.txt"),
             "cut vocabulary": cut("tokenizer/vocab.json"), "another's": cut("tokenizer/vocab.json", b'{"a": 0}')}


@pytest.mark.parametrize(("load", "spoil"), [
    *(pytest.param(clip.load_encoder, spoil, id=f"encoder, {name}") for name, spoil in ENCODER.items()),
    *(pytest.param(clip.load_tokenizer, spoil, id=f"tokenizer, {name}") for name, spoil in TOKENIZER.items())])
def test_what_is_lacking_or_damaged_is_one_sentence(published, tmp_path, load, spoil):
    shutil.copytree(published[0] / "here", tmp_path, dirs_exist_ok=True)
    spoil(tmp_path)
    with pytest.raises(UserError, match="^unet_path: .*give a complete directory") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unreachable_tokenizer_is_not_an_empty_one():
    with pytest.raises(UserError, match="unet_path: .*tokenizer"):
        clip.load_tokenizer("some/where")


def test_a_long_text_is_cut_and_a_small_encoder_reads_its_own_words():
    encoder, tokenizer = clip.build(["a nodule of 12 mm", "a nodule of 7 mm"], 8)
    ids = clip.tokens(tokenizer, ["a nodule of 12 mm", "nodule " * 100])
    assert ids.shape == (2, clip.LENGTH) and tokenizer.unk_token_id not in ids
    assert ids[0, 0] == tokenizer.bos_token_id and (ids[0, 7:] == tokenizer.eos_token_id).all()
    assert encoder(ids).last_hidden_state.shape == (2, clip.LENGTH, 8)
