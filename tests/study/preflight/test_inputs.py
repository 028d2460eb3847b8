import json
import shutil
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from small_delivery import tables, write_delivery

from namd.study import params
from namd.study.preflight import inputs

PAPER = params.load()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """A machine without any downloaded weights."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))


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


def test_a_phantom_needs_no_delivery():
    assert inputs.delivery(paper(data_source="phantom")) == []


def test_an_empty_folder_lacks_each_table_the_nodule_list_and_the_images(tmp_path):
    lacking = inputs.delivery(paper(data_delivery=str(tmp_path)))
    assert [what.split(":")[0].split(",")[0] for what in whats(lacking).split(" | ")] == [
        "NLST table `participant`", "NLST table `abnormalities`", "NLST table `comparison`", "NLST table `cancer`",
        "list of nodule centres", "CT series (DICOM) of the listed nodules"]
    assert all("http" in item.how for item in lacking[:5]) and "idc download" in lacking[5].how
    assert "folder" in inputs.delivery(paper(data_delivery=str(tmp_path / "absent")))[0].what
    assert whats(inputs.delivery(paper(data_delivery=""))) == "a delivery: data_delivery is empty"


def test_a_whole_delivery_lacks_nothing_and_a_lost_series_is_named(tmp_path):
    folder = write_delivery(tmp_path / "nlst", tables())
    p = paper(data_delivery=str(folder), data_workers=1)
    assert inputs.delivery(p) == []
    for file in (folder / "images" / "100002_1").iterdir():
        file.unlink()
    assert whats(inputs.delivery(p)) == "1 of 10 CT series, e.g. 1.2.100002.1"
    shutil.copytree(folder / "images" / "100003_0", folder / "backup")
    (lost, twice) = inputs.delivery(p)
    assert twice.what == "1 of 10 CT series lie in several folders, e.g. 1.2.100003.0" and twice.unreadable
    assert str(folder / "backup") in twice.how and not twice.optional


def test_open_tables_are_enough_and_what_they_lack_is_optional(tmp_path):
    made = tables()
    made["people"] = made["people"].drop(columns=["diagemph", "famchild"])
    lacking = inputs.delivery(paper(data_delivery=str(write_delivery(tmp_path / "nlst", made)), data_workers=1))
    assert [item.optional for item in lacking] == [True] and "diagemph, famchild" in lacking[0].what


def test_tables_that_cannot_be_used_are_one_line(tmp_path):
    made = tables()
    made["people"] = made["people"].drop(columns=["scr_days1"])
    lacking = inputs.delivery(paper(data_delivery=str(write_delivery(tmp_path / "nlst", made)), data_workers=1))
    assert len(lacking) == 1 and "E02" in lacking[0].what and "scr_days1" in lacking[0].what
    (tmp_path / "nlst" / "file0.csv").write_bytes(b"\xff\xfe\x00")
    assert "`participant`" in whats(inputs.delivery(paper(data_delivery=str(tmp_path / "nlst"))))


def test_a_model_is_here_only_with_configuration_and_every_shard(tmp_path):
    p = paper(vae_path="", unet_path="", llm_path="org/llm")
    assert "hf download org/llm" in inputs.pretrained(p)[0].how
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    store(tmp_path, "org/llm", {"config.json": "{}", "tokenizer.json": "{}", "tokenizer_config.json": "{}",
                                "model.safetensors.index.json": json.dumps(dict(weight_map=shards)),
                                "model-1.safetensors": ""})
    assert whats(inputs.pretrained(p)).startswith("language model org/llm")
    store(tmp_path, "org/llm", {"model-2.safetensors": ""})
    assert inputs.pretrained(p) == []


def test_a_revision_is_looked_for_by_itself(tmp_path):
    files = {"vae/config.json": "{}", "vae/diffusion_pytorch_model.safetensors": ""}
    store(tmp_path, "org/sd", files)
    p = paper(vae_path="org/sd@" + "f" * 40, unet_path="", llm_path="")
    how = inputs.pretrained(p)[0].how
    assert "--revision " + "f" * 40 in how and '"vae/config.json"' in how
    store(tmp_path, "org/sd", files, "f" * 40)
    assert inputs.pretrained(p) == []


def test_gated_weights_name_the_licence_page_and_the_login():
    lacking = inputs.pretrained(paper())
    assert [item.what.split(" (")[0].split()[0] for item in lacking] == ["VAE", "U-Net", "language"]
    assert "https://huggingface.co/google/medgemma-1.5-4b-it" in lacking[2].how and "hf auth login" in lacking[2].how
    assert "login" not in lacking[0].how and "OpenRAIL" in lacking[0].what


def test_a_directory_must_hold_the_weights_too(tmp_path):
    p = paper(vae_path=str(tmp_path), unet_path="", llm_path="")
    (tmp_path / "config.json").write_text("{}")
    assert "lacks" in whats(inputs.pretrained(p))
    (tmp_path / "diffusion_pytorch_model.safetensors").touch()
    assert inputs.pretrained(p) == []


def test_backbones_are_looked_for_where_torchvision_puts_them(tmp_path):
    assert whats(inputs.backbones(paper())).count("ImageNet weights") == 2
    (tmp_path / "torch" / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth").touch()
    assert whats(inputs.backbones(paper())) == "ImageNet weights of alexnet for LPIPS"
    assert inputs.backbones(paper(lpips_weights="random")) == []


def test_inception_is_looked_for_when_it_is_asked_for(tmp_path, monkeypatch):
    file = tmp_path / "inception.pth"
    monkeypatch.setattr("namd.evaluation.stats.inception.find_spec", lambda name: None)
    package, weights = inputs.fid_features(paper(eval_inception=str(file)))
    assert "torch-fidelity" in package.what and "[fidelity]" in package.how
    assert str(file) in weights.what and weights.how.startswith(f"curl -L --create-dirs -o {file} ")
    monkeypatch.setattr("namd.evaluation.stats.inception.find_spec", lambda name: name)
    file.touch()
    unusable, = inputs.fid_features(paper(eval_inception=str(file)))
    assert unusable.unreadable and "does not hold torch-fidelity's Inception weights" in unusable.what
    assert inputs.fid_features(paper(eval_inception="")) == []
    assert PAPER["eval_inception"] in whats(inputs.fid_features(paper()))


def test_disk_and_gpu(monkeypatch):
    assert inputs.disk(1) == [] and "about 1000000000 GB needed" in whats(inputs.disk(10**18))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "GPU" in whats(inputs.gpu(paper(device="cuda"))) and inputs.gpu(paper(device="auto")) == []


def test_a_table_that_is_there_is_unreadable_and_not_missing(tmp_path):
    made = tables()
    made["cancer"] = made["cancer"].assign(note="caf\u00e9")
    folder = write_delivery(tmp_path / "nlst", made)
    made["cancer"].to_csv(folder / "file3.csv", index=False, encoding="latin-1")
    (folder / "notes.csv").write_bytes(b"PK\x03\x04 a workbook")
    needed, passed_over = inputs.delivery(paper(data_delivery=str(folder), data_workers=1))
    assert "the `cancer` table" in needed.what and "not in the encoding UTF-8" in needed.what
    assert needed.unreadable and not needed.optional
    assert passed_over.what.startswith("notes.csv") and "Excel" in passed_over.what and passed_over.optional
    (folder / "file3.csv").write_bytes(b"PK\x03\x04 a workbook")                # which table it is cannot be told
    assert "NLST table `cancer`: confirmed lung cancers (if it is not file3.csv or notes.csv)" in whats(
        inputs.delivery(paper(data_delivery=str(folder), data_workers=1)))


def test_what_notebook_08_alone_reads_is_optional(tmp_path):
    assert inputs.compared(paper(flux_path="", unet_path="")) == []
    clip, words, flux = inputs.compared(paper())
    assert clip.optional and words.optional and flux.optional
    assert "text_encoder" in clip.how and "vocab.json, merges.txt" in words.what and '--include "vae/*"' in flux.how
    assert "Non-Commercial" in flux.what
    (there,) = inputs.compared(paper(unet_path="", flux_path=str(tmp_path)))
    assert there.what.endswith("lacks transformer and vae") and "huggingface.co" not in there.how
    part = {"config.json": "{}", "diffusion_pytorch_model.safetensors": ""}
    store(tmp_path, PAPER["flux_path"], {f"transformer/{file}": text for file, text in part.items()})
    assert len(inputs.compared(paper())) == 3
    store(tmp_path, PAPER["flux_path"], {f"vae/{file}": text for file, text in part.items()})
    assert inputs.compared(paper(unet_path="")) == []


def test_the_text_path_is_looked_for_in_a_folder_as_in_the_cache(tmp_path):
    files = {name: "{}" for name in ("text_encoder/config.json", "text_encoder/model.safetensors",
                                     "tokenizer/vocab.json", "tokenizer/merges.txt")}
    store(tmp_path, "org/sd", files)
    assert inputs.compared(paper(unet_path="org/sd", flux_path="")) == []
    folder = tmp_path / "hub" / "models--org--sd" / "snapshots" / COMMIT
    assert inputs.compared(paper(unet_path=str(folder), flux_path="")) == []
    (folder / "tokenizer" / "merges.txt").unlink()
    for path in ("org/sd", str(folder)):
        (words,) = inputs.compared(paper(unet_path=path, flux_path=""))
        assert words.what.endswith("(08): merges.txt") and words.optional
