import json
from types import SimpleNamespace

from namd.study import params
from namd.study.preflight import weights

PAPER = params.load()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def paper(**changes):
    return SimpleNamespace(**PAPER | changes)


def whats(lacking):
    return " | ".join(item.what for item in lacking)


def store(tmp_path, repository, files, revision=COMMIT):
    """The files of a repository in the layout of the hub's cache."""
    root = tmp_path / "hub" / ("models--" + repository.replace("/", "--"))
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(COMMIT)
    for name, text in files.items():
        file = root / "snapshots" / revision / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_model_is_here_only_with_configuration_and_every_shard(tmp_path):
    p = paper(vae_path="", unet_path="", llm_path="org/llm")
    assert "hf download org/llm" in weights.pretrained(p)[0].how
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    store(tmp_path, "org/llm", {"config.json": "{}", "tokenizer.json": "{}", "tokenizer_config.json": "{}",
                                "model.safetensors.index.json": json.dumps(dict(weight_map=shards)),
                                "model-1.safetensors": ""})
    assert whats(weights.pretrained(p)).startswith("language model org/llm")
    store(tmp_path, "org/llm", {"model-2.safetensors": ""})
    assert weights.pretrained(p) == []


def test_a_revision_is_looked_for_by_itself(tmp_path):
    files = {"vae/config.json": "{}", "vae/diffusion_pytorch_model.safetensors": ""}
    store(tmp_path, "org/sd", files)
    p = paper(vae_path="org/sd@" + "f" * 40, unet_path="", llm_path="")
    how = weights.pretrained(p)[0].how
    assert "--revision " + "f" * 40 in how and '"vae/config.json"' in how
    store(tmp_path, "org/sd", files, "f" * 40)
    assert weights.pretrained(p) == []


def test_gated_weights_name_the_licence_page_and_the_login():
    lacking = weights.pretrained(paper())
    assert [item.what.split(" (")[0].split()[0] for item in lacking] == ["VAE", "U-Net", "language"]
    assert "https://huggingface.co/google/medgemma-1.5-4b-it" in lacking[2].how and "hf auth login" in lacking[2].how
    assert "login" not in lacking[0].how and "OpenRAIL" in lacking[0].what


def test_a_directory_must_hold_the_weights_too(tmp_path):
    p = paper(vae_path=str(tmp_path), unet_path="", llm_path="")
    (tmp_path / "config.json").write_text("{}")
    assert "lacks" in whats(weights.pretrained(p))
    (tmp_path / "diffusion_pytorch_model.safetensors").touch()
    assert weights.pretrained(p) == []


def test_backbones_are_looked_for_where_torchvision_puts_them(tmp_path):
    assert whats(weights.backbones(paper())).count("ImageNet weights") == 2
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth").touch()
    assert whats(weights.backbones(paper())) == "ImageNet weights of alexnet for LPIPS"
    assert weights.backbones(paper(lpips_weights="random")) == []
    assert weights.backbones(paper(lpips_net="efficientnet_lite0", eval_lpips_net="efficientnet_lite0")) == []


def test_inception_is_looked_for_when_it_is_asked_for(tmp_path, monkeypatch):
    file = tmp_path / "inception.pth"
    monkeypatch.setattr("namd.evaluation.stats.inception.find_spec", lambda name: None)
    package, file_of_weights = weights.fid_features(paper(eval_inception=str(file)))
    assert "torch-fidelity" in package.what and "[fidelity]" in package.how
    assert str(file) in file_of_weights.what and file_of_weights.how.startswith(f"curl -L --create-dirs -o {file} ")
    monkeypatch.setattr("namd.evaluation.stats.inception.find_spec", lambda name: name)
    file.touch()
    unusable, = weights.fid_features(paper(eval_inception=str(file)))
    assert unusable.unreadable and "does not hold torch-fidelity's Inception weights" in unusable.what
    assert weights.fid_features(paper(eval_inception="")) == []
    assert PAPER["eval_inception"] in whats(weights.fid_features(paper()))


def test_what_notebook_08_alone_reads_is_optional(tmp_path):
    assert weights.compared(paper(flux_path="", unet_path="")) == []
    clip, words, flux = weights.compared(paper())
    assert clip.optional and words.optional and flux.optional
    assert "text_encoder" in clip.how and "vocab.json, merges.txt" in words.what and '--include "vae/*"' in flux.how
    assert "Non-Commercial" in flux.what
    (there,) = weights.compared(paper(unet_path="", flux_path=str(tmp_path)))
    assert there.what.endswith("lacks transformer and vae") and "huggingface.co" not in there.how
    part = {"config.json": "{}", "diffusion_pytorch_model.safetensors": ""}
    store(tmp_path, PAPER["flux_path"], {f"transformer/{file}": text for file, text in part.items()})
    assert len(weights.compared(paper())) == 3
    store(tmp_path, PAPER["flux_path"], {f"vae/{file}": text for file, text in part.items()})
    assert weights.compared(paper(unet_path="")) == []


def test_the_text_path_is_looked_for_in_a_folder_as_in_the_cache(tmp_path):
    files = {name: "{}" for name in ("text_encoder/config.json", "text_encoder/model.safetensors",
                                     "tokenizer/vocab.json", "tokenizer/merges.txt")}
    store(tmp_path, "org/sd", files)
    assert weights.compared(paper(unet_path="org/sd", flux_path="")) == []
    folder = tmp_path / "hub" / "models--org--sd" / "snapshots" / COMMIT
    assert weights.compared(paper(unet_path=str(folder), flux_path="")) == []
    (folder / "tokenizer" / "merges.txt").unlink()
    for path in ("org/sd", str(folder)):
        (words,) = weights.compared(paper(unet_path=path, flux_path=""))
        assert words.what.endswith("(08): merges.txt") and words.optional
