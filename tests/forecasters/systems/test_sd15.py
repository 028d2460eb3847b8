"""SD1.5 without and with the report: from a local folder with CLIP's two parts, and small."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from small_clip import states, write_clip
from small_systems import P, fitted, write_system_run

from namd.data.report import report_texts
from namd.models import clip, unet


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A pipeline's folder with unet/, text_encoder/ and tokenizer/, as unet_path may name it."""
    folder = tmp_path_factory.mktemp("sd")
    unet.build_unet(folder / "unet", P)
    return folder, write_clip(folder)


@pytest.fixture(scope="module")
def local(published, tmp_path_factory):
    """Both rows, trained from the local folder."""
    root, p = tmp_path_factory.mktemp("local"), SimpleNamespace(**{**vars(P), "unet_path": str(published[0])})
    pairs = write_system_run(root)
    return {name: fitted(name, root, pairs, p) for name in ("sd15", "sd15_report")}


def test_a_local_folder_gives_every_pair_clips_empty_prompt(run, published, local):
    made, ehr = local["sd15"], run[1].ehr
    assert torch.equal(made.context(made.tokens(ehr[:2])), states(published[1], [clip.BEGIN]).expand(2, -1, -1))
    assert made.sample(run[1].images(64, -1000, 400)[0][:2], ehr[:2], [1]).isfinite().all()


def test_a_local_folder_gives_every_pair_the_states_of_its_report(run, published, local):
    made, ehr = local["sd15_report"], run[1].ehr[:3]
    ids = [row[:row.index(clip.END)] for row in made.tokens(ehr).tolist()]
    assert [made.tokenizer.decode(row[1:]).replace(" ", "") for row in ids] == [
        text.lower().replace(" ", "")[:75] for text in report_texts(ehr)]
    by_hand = torch.cat([states(published[1], row) for row in ids])
    assert torch.allclose(made.context(made.tokens(ehr)), by_hand, atol=1e-5)


def test_clip_stays_frozen_and_out_of_the_weights_a_small_encoder_learns(run, published, local):
    small, frozen = fitted("sd15_report", *run), local["sd15_report"]
    learnt, kept = (load_file(made.folder / "model.safetensors") for made in (small, local["sd15"]))
    assert any(name.startswith("text.") for name in learnt) and not any(name.startswith("text.") for name in kept)
    assert all(torch.equal(a, b) for a, b in zip(frozen.text.parameters(), published[1].parameters(), strict=True))
    assert small.text in small.used and frozen.text in frozen.used
    assert len(small.used) == len(set(small.used)) == len(frozen.used) == 3


@pytest.mark.parametrize("small", [True, False])
def test_the_report_reaches_the_draw_with_a_report_alone(run, local, small):
    x1, ehr = run[1].images(64, -1000, 400)[0][:3], run[1].ehr[:3]
    other = ehr[::-1].set_index(ehr.index)
    for name in ("sd15", "sd15_report"):
        made = fitted(name, *run) if small else local[name]
        off = (made.sample(x1, ehr, [1]) - made.sample(x1, other, [1])).abs()
        assert (off[:, [0, 2]].max() > 1e-5) == (name == "sd15_report")
