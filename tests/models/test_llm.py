import hashlib
import shutil

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_llm import parameters, records
from transformers import CLIPTextConfig, CLIPTextModel, Gemma3TextModel

from namd.data.report import report_texts
from namd.ground.errors import UserError
from namd.models import llm


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "llm"
    llm.build_llm(path, llm.pretraining_texts(records(40)), parameters())
    return path, *llm.load_llm(path)


def test_restatement_names_codes_and_says_unknown():
    row = records(1).astype(object).iloc[0].to_dict() | {"age": 68, "sct_long_dia": 8, "sct_margins": None}
    text = llm.restatement(row)
    assert text.startswith("age 68 ") and "sct_margins unknown" in text
    assert text.endswith("family 1 size 12")  # 4 log2 8


def test_tokenizer_has_gemmas_ids_and_splits_digits(small):
    _, _, tokenizer = small
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == ["<pad>", "<eos>", "<bos>"]
    assert tokenizer.tokenize("27 mm") == ["2", "7", "mm"]
    ids = tokenizer(report_texts(records(1, seed=1))[0]).input_ids
    assert ids[0] == 2 and tokenizer.unk_token_id not in ids


def test_files_are_a_multimodal_gemma_and_loading_keeps_every_weight(small):
    path, lm, _ = small
    stored = load_file(path / "model.safetensors")
    assert any("vision_tower" in name for name in stored)
    text = {name.removeprefix("language_model.model."): value
            for name, value in stored.items() if name.startswith("language_model.model.")}
    assert text.keys() == lm.state_dict().keys()
    assert all(torch.equal(value, text[name]) for name, value in lm.state_dict().items())
    assert not any(p.requires_grad for p in lm.parameters()) and not lm.training


def test_a_missing_weight_is_refused(small, tmp_path):
    path, _, _ = small
    for file in path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    stored = load_file(path / "model.safetensors")
    gone = next(name for name in stored if "layers.1.mlp.up_proj" in name)
    save_file({k: v for k, v in stored.items() if k != gone}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="lacks 1 weights"):
        llm.load_llm(tmp_path)


def test_a_text_only_class_finds_nothing_in_the_multimodal_files_and_is_refused(small, tmp_path):
    path, lm, _ = small
    _, info = Gemma3TextModel.from_pretrained(path, config=lm.config, output_loading_info=True)
    assert info["missing_keys"] == set(lm.state_dict())      # every weight would be a random one
    shutil.copytree(path, tmp_path, dirs_exist_ok=True)
    lm.config.save_pretrained(tmp_path)                      # the files now ask for that class
    with pytest.raises(UserError, match=f"lacks {len(lm.state_dict())} weights"):
        llm.load_llm(tmp_path)


def test_weights_that_are_no_numbers_are_refused(small, tmp_path):
    _, lm, tokenizer = small
    broken = Gemma3TextModel(lm.config)
    broken.norm.weight.data[3] = torch.nan
    broken.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="llm_path: .* NaN or infinity in 1 weights, the first is norm.weight"):
        llm.load_llm(tmp_path)


def test_another_kind_of_language_model_is_refused(small, tmp_path):
    CLIPTextModel(CLIPTextConfig(vocab_size=20, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                 num_attention_heads=2)).save_pretrained(tmp_path)
    small[2].save_pretrained(tmp_path)
    with pytest.raises(UserError, match="model of type clip_text_model, where a Gemma 3 is needed"):
        llm.load_llm(tmp_path)


def test_a_text_only_gemma_loads_too(small, tmp_path):
    _, lm, tokenizer = small
    lm.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert torch.equal(llm.load_llm(tmp_path)[0].embed_tokens.weight, lm.embed_tokens.weight)


def test_bad_paths_and_formats_are_user_errors(small, tmp_path):
    with pytest.raises(UserError, match="notebook 01"):
        llm.load_llm(tmp_path / "nothing")
    with pytest.raises(UserError, match="bfloat16"):
        llm.load_llm(small[0], "float16")
    with pytest.raises(UserError, match="llm_hidden is 20"):
        llm.build_llm(tmp_path / "llm", ["a"], parameters(llm_hidden=20))


def test_same_seed_gives_the_same_bytes_and_training_changes_them(tmp_path):
    texts, digests = llm.pretraining_texts(records(40)), []
    for name, steps in (("a", 3), ("b", 3), ("c", 0)):
        llm.build_llm(tmp_path / name / "llm", texts, parameters(llm_steps=steps))
        files = sorted((tmp_path / name / "llm").iterdir())
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1] != digests[2]


def test_pretraining_lowers_the_loss(small, tmp_path):
    path, _, tokenizer = small
    lm = llm.load_llm(path)[0].requires_grad_(True)
    texts = llm.pretraining_texts(records(40))
    history = llm.pretrain(lm, tokenizer, texts, parameters(llm_steps=30), tmp_path, "")
    assert history.loss.iloc[-1] < 0.8 * history.loss.iloc[0]


def test_the_restatement_begins_with_the_state_at_eos_and_sees_no_report(small, tmp_path):
    path, _, tokenizer = small
    lm, calls = llm.load_llm(path)[0].requires_grad_(True), []
    lm.register_forward_hook(lambda module, given, named, out: calls.append((given, named, out.last_hidden_state)),
                             with_kwargs=True)
    llm.pretrain(lm, tokenizer, llm.pretraining_texts(records(40)), parameters(llm_steps=1), tmp_path, "")
    ((report,), _, states), (_, named, _) = calls
    eos = (report == llm.EOS_ID).int().argmax(1)
    memory = named["inputs_embeds"]
    assert torch.equal(memory[:, 0], states[torch.arange(len(report)), eos]) and len(set(eos.tolist())) > 1
    restated = tokenizer(llm.restatement(records(40).to_dict("records")[0]), add_special_tokens=False).input_ids
    assert memory.shape[1] <= len(restated) + 4                     # numbers differ in their digits
    assert ((report == llm.EOS_ID).sum(1) == 1).all()               # nothing follows in the first pass


def test_eos_states_are_those_of_unpadded_reports(small):
    _, lm, tokenizer = small
    texts = [*report_texts(records(3)), ""]
    together = llm.eos_states(lm, tokenizer, texts)
    assert together.shape == (4, 1, 32)
    for text, row in zip(texts, together, strict=True):
        ids = torch.tensor([[2, *tokenizer(text, add_special_tokens=False).input_ids, 1]])
        assert torch.allclose(lm(input_ids=ids).last_hidden_state[0, -1], row[0], atol=1e-5)


def test_null_context_is_the_empty_report(small):
    _, lm, tokenizer = small
    assert torch.equal(llm.null_context(lm, tokenizer), llm.eos_states(lm, tokenizer, [""]))


def test_probe_reads_what_is_there_and_nothing_else():
    ehr = records(200)
    told = torch.tensor(ehr[["age"]].astype(float).to_numpy()).float().repeat(1, 3)
    score = llm.probe_score(told, ehr)
    assert score["age"] > 0.999 and score["log_diameter"] < 0.1
    ehr.loc[ehr.index[:20], "age"] = pd.NA
    assert llm.probe_score(told, ehr)["age"] > 0.999
