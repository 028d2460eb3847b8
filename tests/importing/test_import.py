"""The authors' checkpoints, imported: they compute what their own weights do, draw as their code, or are refused."""

import json
import re
import shutil

import pytest
import their_layout as theirs
import torch
from safetensors.torch import load_file
from small_delivery import POINT, write_series
from small_llm import parameters, records

from namd.__main__ import main
from namd.data.authors_report import authors_report
from namd.ground import marks, seeding
from namd.models import llm
from namd.models.authors import AuthorsPipeline, open_pipeline
from namd.models.judge import Judge, load_judge
from namd.models.pipeline import NAMDPipeline
from namd.models.vae import load_vae
from namd.ship.folder import first_changed

SCALE = 0.7
YAML = f"model:\n  base_learning_rate: 2.0e-05\n  params:\n    scale_factor: {SCALE}\n    use_ema: False\n"
NEAR = dict(atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """Folder of a language model as wide as the contexts."""
    path = tmp_path_factory.mktemp("lm") / "gemma"
    llm.build_llm(path, llm.pretraining_texts(records(40)), parameters(llm_hidden=theirs.DIM))
    return path


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder as the authors' training leaves it, under names that tell nothing."""
    folder = tmp_path_factory.mktemp("given")
    unet = {"epoch": 3, "state_dict": theirs.unet_checkpoint(), "optimizer_states": [{"state": {}}]}
    torch.save(unet, folder / "a.ckpt")
    torch.save({"state_dict": theirs.vae_checkpoint()}, folder / "b.ckpt")
    torch.save(theirs.judge_checkpoint(), folder / "c.pth")
    (folder / "d.yaml").write_text(YAML)
    return folder


def imported(folder, out, language, *pairs):
    """Exit status of the command with the sizes of these checkpoints."""
    words = [word for pair in (*theirs.PARAMETERS, f"llm_path={language}", *pairs) for word in ("-p", pair)]
    return main(["import", "--authors", str(folder), "--out", str(out), *words])


@pytest.fixture(scope="module")
def made(given, language, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "authors"
    assert imported(given, out, language) == 0
    return out


@pytest.fixture(scope="module")
def pipe(made):
    return open_pipeline(made)


@pytest.fixture(scope="module")
def baseline():
    return seeding.noise((2, 1, 64, 64), "x1").clamp(-1, 1), records(2, seed=1)


def test_the_vae_says_and_draws_what_its_checkpoint_does(pipe, made, baseline):
    x1, _ = baseline
    weights = theirs.vae_checkpoint()
    mean, std = theirs.posterior_of(weights, x1)
    q = pipe.nodule_vae.posterior(x1)
    assert mean.std() > 0.1 and torch.allclose(q.mean, mean, **NEAR) and torch.allclose(q.std, std, **NEAR)
    z = seeding.noise((2, 4, 8, 8), "z")
    channels = theirs.image_of(weights, z)
    assert channels.std() > 0.1 and torch.allclose(pipe.nodule_vae.decode(z)[:, 0], channels.mean(1), **NEAR)
    assert pipe.vae.config.scaling_factor == SCALE
    probe = load_vae(made / "vae").logit(z)
    assert torch.allclose(probe, z.flatten(1) @ weights["label_head.weight"][0] + weights["label_head.bias"], **NEAR)


@torch.no_grad()
def test_the_unet_says_what_its_checkpoint_does(pipe):
    x = seeding.noise((2, 8, 8, 8), "x")
    context = seeding.noise((2, 2, theirs.DIM), "context")
    by_hand = theirs.noise_of(theirs.unet_checkpoint(), x, 481, context)
    said = pipe.unet(x, torch.tensor([481, 481]), encoder_hidden_states=context).sample
    assert by_hand.std() > 0.1 and torch.allclose(said, by_hand, **NEAR)


def test_the_judge_reads_what_its_checkpoint_does(made, baseline):
    x1, _ = baseline
    judge = load_judge(made / "judge")
    by_hand = theirs.logit_of(theirs.judge_checkpoint(), x1)
    assert (by_hand[0] - by_hand[1]).abs() > 0.01
    assert torch.allclose(judge.logit(judge.features(x1)), by_hand, **NEAR)


@torch.no_grad()
def test_a_follow_up_is_the_one_that_their_code_would_draw(pipe, language, baseline):
    """Two runs by hand: a sampled z1, [<bos>, prompts, words] read at the last, two of three steps, a tanh."""
    x1, ehr = baseline
    unet, vae = theirs.unet_checkpoint(), theirs.vae_checkpoint()
    lm, tokenizer = llm.load_llm(language)
    bar = unet["alphas_cumprod"]
    mean, std = theirs.posterior_of(vae, x1)
    for seed, drawn in zip((642, 115), pipe(x1, ehr, [642, 115], batch_size=3), strict=True):
        for i, name in enumerate(ehr.index):
            ids = tokenizer(authors_report(ehr.iloc[i]), add_special_tokens=False).input_ids
            words = lm.embed_tokens(torch.tensor([tokenizer.bos_token_id, *ids]))
            sets = unet["model.diffusion_model.contexts"]
            context = torch.stack([lm(inputs_embeds=torch.cat([words[:1], s, words[1:]])[None]).last_hidden_state[0, -1]
                                   for s in sets])[None]
            z1 = SCALE * (mean[i] + std[i] * seeding.noise((4, 8, 8), seed, "z1", name))
            z = seeding.noise((4, 8, 8), seed, "sample", name)
            for t, after in ((334, 1), (1, 0)):                 # 667 comes first in a grid of three
                eps = theirs.noise_of(unet, torch.cat([z, z1])[None], t, context)[0]
                z = (z - (1 - bar[t]).sqrt() * eps) / bar[t].sqrt() * bar[after].sqrt() + (1 - bar[after]).sqrt() * eps
            by_hand = theirs.image_of(vae, z[None] / SCALE).mean(1)
            assert by_hand.std() > 0.05 and torch.allclose(drawn[i], by_hand, atol=2e-4, rtol=0)


def test_with_every_switch_as_in_the_paper_it_is_the_papers_pipeline(made, pipe, baseline):
    switches = dict(vae_tanh=False, text_order="prompts_first", text_wording="paper", z1_sampled=False, ddim_skip=0)
    own = NAMDPipeline.from_pretrained(made, llm=pipe.llm)
    same = AuthorsPipeline.from_pretrained(made, llm=pipe.llm, **switches)
    assert torch.equal(same(*baseline, [1, 2]), own(*baseline, [1, 2]))


def test_their_words_are_those_of_figure_4_filled_in_as_they_do():
    row = dict(age=65, gender=1, diagemph=1, famfather=0, fammother=0, fambrother=0, famsister=0, famchild=1,
               sct_pre_att=1, sct_epi_loc=1, sct_long_dia=27, sct_perp_dia=20, sct_margins=1)
    start = "Lung cancer screening with low dose computed tomography performed for this 65 years old "
    assert authors_report(row) == start + (
        "male with prior diagnosis of emphysema and family history of cancer. A soft nodule, with spiculated margin,"
        " 27.0 mm in size is present in the right upper lobe.")
    other = row | dict(gender=2, diagemph=0, sct_pre_att=9, sct_margins=None, sct_epi_loc=8)
    assert authors_report(other) == (start + "female with family history of cancer. A part solid nodule, with poorly"
                                     " defined margin, 27.0 mm in size ")
    silent = row | dict(diagemph=None, famchild=None, sct_pre_att=2, sct_margins=2, sct_epi_loc=5)
    assert authors_report(silent) == start + ("male. A ground glass nodule, with smooth margin, 27.0 mm in size is"
                                              " present in the lingula.")
    assert "of unknown age" in authors_report(row | dict(age=None))


def test_the_folder_is_whole_tells_what_it_is_and_predict_draws_with_it(made, given, tmp_path, capsys):
    assert first_changed(made) is None and marks.changed(made) is None
    manifest = json.loads((made / "MANIFEST.json").read_text())
    assert set(manifest["checkpoints"]) == {"a.ckpt", "b.ckpt", "c.pth"} and manifest["latent_scale"] == SCALE
    for file in made.rglob("*.safetensors"):
        assert {weight.dtype for weight in load_file(file).values()} == {torch.float32}
    card = (made / "README.md").read_text()
    for words in ("license: other", "Stored as float32", "is not recorded", "not the file 42.pth"):
        assert words in card
    assert not any(str(place) in file.read_text() for file in made.rglob("*.json") for place in (given, made.parent))
    write_series(tmp_path / "ct", 900001, 0, 6.0)
    center = ",".join(f"{value:.2f}" for value in POINT)
    (tmp_path / "e.json").write_text(json.dumps(dict(age=65, gender=1, sct_long_dia=12, sct_pre_att=1)))
    assert main(["predict", "--run", str(made), "--series", str(tmp_path / "ct"), "--center", center, "-k", "2",
                 "--ehr", str(tmp_path / "e.json"), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "trained elsewhere" in out and "65 years old male. A soft nodule" in " ".join(out.split())
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert not found["model"]["synthetic_training"] and not any("kernel" in note for note in found["notes"])


def test_the_vae_may_stand_in_the_unets_checkpoint_alone(given, language, made, tmp_path):
    folder = shutil.copytree(given, tmp_path / "given")
    inside = {f"first_stage_model.{name}": weight for name, weight in theirs.vae_checkpoint(probe=False).items()
              if not name.startswith("loss.")}
    torch.save({"state_dict": theirs.unet_checkpoint() | inside}, folder / "a.ckpt")
    (folder / "b.ckpt").unlink()
    assert imported(folder, tmp_path / "out", language) == 0
    assert (tmp_path / "out/vae/diffusion_pytorch_model.safetensors").read_bytes() == (
        made / "vae/diffusion_pytorch_model.safetensors").read_bytes()
    assert not (tmp_path / "out/vae/probe.safetensors").exists()


def test_the_judge_is_imported_alone_where_nothing_else_is_there(given, language, made, tmp_path, capsys):
    (tmp_path / "given").mkdir()
    shutil.copy(given / "c.pth", tmp_path / "given" / "42.pth")
    assert imported(tmp_path / "given", tmp_path / "out", language) == 0
    assert "the judge stands alone" in capsys.readouterr().out
    held = sorted(file.name for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert held == [marks.LIST, "MANIFEST.json", "README.md", "config.json", "model.safetensors"]
    weights = (tmp_path / "out/judge/model.safetensors").read_bytes()
    assert weights == (made / "judge/model.safetensors").read_bytes()


class Code:
    """What runs when a pickle is opened without care."""

    def __reduce__(self):
        return print, ("this ran",)


def edited(file, change):
    """A checkpoint of `given` with its state_dict changed in place by `change`."""
    found = torch.load(file, weights_only=True)
    change(found.get("state_dict", found))
    torch.save(found, file)


UNET, VAE, VIT, TOLD = "a.ckpt", "b.ckpt", "c.pth", "d.yaml"
NET = "model.diffusion_model."
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:9\n"


def without(name):
    return lambda state: state.pop(name)


def beside(name, n=2):
    return lambda state: state.update({name: torch.ones(n)})


def twice(name):
    return lambda state: state.update({name: torch.cat([state[name], state[name]])})


def changed(file):
    """A byte in the middle of the largest array in the file is another one."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


FOLDERS = {     # what is done to the folder, and what is said
    "no folder": (shutil.rmtree, "is no folder"),
    "empty": (lambda d: [file.unlink() for file in d.iterdir()], "holds no checkpoint"),
    "no U-Net": (lambda d: (d / UNET).unlink(), "lacks the U-Net"),
    "no VAE": (lambda d: (d / VAE).unlink(), "lacks the VAE, and a.ckpt holds none"),
    "no judge": (lambda d: (d / VIT).unlink(), "lacks the judge: put their 42.pth beside a.ckpt, b.ckpt"),
    "one twice": (lambda d: shutil.copy(d / VIT, d / "z.pth"), "c.pth and z.pth of"),
    "cut": (lambda d: (d / UNET).write_bytes((d / UNET).read_bytes()[:-200]), "a.ckpt is cut off"),
    "nothing in it": (lambda d: (d / VIT).write_bytes(b""), "c.pth is cut off"),
    "pointer": (lambda d: (d / VIT).write_text(POINTER), "pointer of Git LFS"),
    "code": (lambda d: torch.save({"state_dict": {}, "callbacks": Code()}, d / VIT), "more than numbers (print)"),
    "text": (lambda d: (d / VIT).write_text("hello"), "is no checkpoint of torch"),
    "no weights": (lambda d: torch.save({"state_dict": {"a": 3}}, d / VIT), "holds no state_dict"),
    "numbers for names": (lambda d: torch.save({1: torch.ones(3)}, d / VIT), "holds no state_dict"),
    "a changed byte": (lambda d: changed(d / UNET), "a.ckpt is damaged"),
    "another model": (lambda d: torch.save({"a": torch.ones(3)}, d / VIT), "neither the authors' U-Net nor"),
    "no scale": (lambda d: (d / TOLD).unlink(), "scale_factor: put that of the authors' conditional stage"),
    "placeholder": (lambda d: (d / TOLD).write_text(YAML.replace("0.7", "YOUR_SCALE")), "is 'YOUR_SCALE'"),
    "two scales": (lambda d: (d / "e.yaml").write_text(YAML.replace("0.7", "0.8")), "d.yaml and e.yaml tell different"),
}
STATES = {      # the file, what is done to its state_dict, and what is said
    "unconditional": (UNET, without(f"{NET}contexts"), "U-Net of another stage"),
    "other prompts": (UNET, twice(f"{NET}contexts"), "contexts has shape (4, 8, 32)"),
    "U-Net lacks": (UNET, without(f"{NET}input_blocks.1.0.in_layers.2.weight"),
                    "lacks 1 weights, the first is down_blocks.0.resnets.0.conv1.weight"),
    "U-Net too wide": (UNET, twice(f"{NET}out.0.weight"), "conv_norm_out.weight of the U-Net has shape (64,)"),
    "U-Net left over": (UNET, beside(f"{NET}label_emb.weight"), "label_emb.weight; it is of another model"),
    "beside the U-Net": (UNET, beside("control.weight"), "control.weight"),
    "another schedule": (UNET, lambda state: state["alphas_cumprod"].mul_(0.9), "another noise schedule"),
    "no numbers": (UNET, lambda state: state[f"{NET}out.2.bias"].fill_(torch.nan), "NaN or infinity"),
    "another VAE": (UNET, beside("first_stage_model.quant_conv.bias", 8), "is not the VAE that a.ckpt was"),
    "VAE lacks": (VAE, without("quant_conv.bias"), "lacks 1 weights, the first is quant_conv.bias"),
    "VAE left over": (VAE, beside("encoder.extra.weight"), "encoder.extra.weight"),
    "judge lacks": (VIT, without("cls_token"), "lacks 1 weights, the first is cls"),
    "judge left over": (VIT, beside("transformer.layers.2.0.norm.bias"), "blocks.2.attention.norm.bias"),
    "sparse": (VIT, lambda state: state.update(cls_token=state["cls_token"].to_sparse()), "holds no state_dict"),
    "judge of other sizes": (VIT, twice("pos_embedding"), "position of the judge has shape (2, 65, 24)"),
}


@pytest.mark.parametrize("name", [*FOLDERS, *STATES])
def test_what_cannot_be_imported_is_one_sentence_and_nothing_is_written(name, given, language, tmp_path, capsys):
    folder = shutil.copytree(given, tmp_path / "given")
    if name in FOLDERS:
        spoil, said = FOLDERS[name]
        spoil(folder)
    else:
        file, change, said = STATES[name]
        edited(folder / file, change)
    assert imported(folder, tmp_path / "made" / "authors", language) == 1
    out, err = capsys.readouterr()
    assert not out and re.fullmatch(f"[^\n]*{re.escape(said)}[^\n]*\n", err), err
    assert not [file for file in tmp_path.rglob("made/*")]


def test_a_scale_may_be_given_where_no_file_tells_it(given, language, tmp_path):
    folder = shutil.copytree(given, tmp_path / "given", ignore=shutil.ignore_patterns("*.yaml"))
    assert imported(folder, tmp_path / "out", language, "latent_scale=0.3") == 0
    assert load_vae(tmp_path / "out").scale == 0.3


def test_an_interrupted_import_leaves_nothing_and_a_users_folder_stays(given, language, tmp_path, monkeypatch, capsys):
    def interrupt(judge, folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(Judge, "save", interrupt)           # the last part that is written
    assert imported(given, tmp_path / "out", language) == 130
    assert not list(tmp_path.iterdir())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("a user's")
    assert imported(given, tmp_path / "out", language) == 1
    assert "notes.txt was not written by this program" in capsys.readouterr().err
