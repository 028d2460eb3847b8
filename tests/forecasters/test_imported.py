"""A row that others' models draw: with the parameters' switches, under a name of its own, and nothing else changed."""

from types import SimpleNamespace

import pytest
import torch
from small_llm import records
from tiny_run import P, write_arm

from namd.forecasters import imported
from namd.forecasters.namd import NAMD
from namd.ground import keys, provenance, seeding
from namd.ground.errors import UserError
from namd.models.authors import AuthorsPipeline

PAPER = dict(vae_tanh=False, text_order="prompts_first", text_wording="paper", z1_sampled=False, ddim_skip=0)
AUTHORS = dict(vae_tanh=False, text_order="bos_first", text_wording="authors", z1_sampled=True, ddim_skip=1)


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    return write_arm(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def baseline():
    return seeding.noise((2, 1, 64, 64), "x1").clamp(-1, 1), records(2, seed=1)


def run(arm, switches, pipeline_path=None):
    """As notebook 05's, as far as the row asks."""
    path = str(arm / "namd") if pipeline_path is None else pipeline_path
    p = SimpleNamespace(**vars(P) | switches | {"pipeline_path": path})
    return SimpleNamespace(p=p, root=arm.parents[1], need=lambda path, made_by: arm.parents[1] / path)


def test_with_the_papers_switches_it_draws_as_an_arm_of_the_run(arm, baseline):
    own = imported.maker(run(arm, PAPER, ""), "namd")()
    others = imported.maker(run(arm, PAPER), "namd")()
    assert type(own) is NAMD and isinstance(others, imported.Imported)
    assert torch.equal(own.sample(*baseline, [1, 2]), others.sample(*baseline, [1, 2]))


def test_with_the_authors_it_draws_as_the_pipeline_of_these_switches(arm, baseline):
    others = imported.maker(run(arm, AUTHORS), "namd")()
    pipe = AuthorsPipeline.from_pretrained(arm / "namd", **AUTHORS)
    assert torch.equal(others.sample(*baseline, [1, 2]), pipe(*baseline, [1, 2]))
    for name, value in AUTHORS.items():
        if value != PAPER[name]:
            less = imported.maker(run(arm, AUTHORS | {name: PAPER[name]}), "namd")()
            assert not torch.equal(less.sample(*baseline, [1, 2]), others.sample(*baseline, [1, 2])), name


def test_its_name_holds_the_weights_and_the_switches_and_an_own_arms_is_as_it_was(arm):
    def name(*given):
        provenance._digest.cache_clear()
        return keys.sha(imported.decides(run(arm, *given)))

    assert imported.decides(run(arm, PAPER, "")) == () and imported.unknown(run(arm, PAPER, "")) == ""
    before = name(AUTHORS)
    assert name(AUTHORS) == before and name(AUTHORS | {"ddim_skip": 0}) != before
    assert "trained elsewhere" in imported.unknown(run(arm, AUTHORS))
    (arm / "namd" / "unet" / "added").write_text("another")
    assert name(AUTHORS) != before
    (arm / "namd" / "unet" / "added").unlink()


def test_a_folder_without_models_is_one_sentence(arm, tmp_path):
    with pytest.raises(UserError, match="holds no models: make it with `python -m namd import --authors DIR`"):
        imported.maker(run(arm, AUTHORS, str(tmp_path)), "namd")()
