"""What a rehearsal leaves out are counts, never widths; the language model is as deep as memory allows."""

import pytest

from namd.ground.errors import UserError
from namd.rehearse import cuts
from namd.study import params
from namd.study.params import Parameters

WIDTHS = ("channels", "dim", "heads", "hidden", "layers", "depth", "mlp", "patch", "rank", "n_sets", "n_tokens", "size")
PAPER = Parameters.part(params.load())


@pytest.mark.parametrize("batch", [0, 2, 16])
def test_no_width_is_cut(batch):
    changed = cuts.cut(PAPER, 2, batch)
    assert not [key for key in changed if key.endswith(WIDTHS)] and changed["vae_steps"] == changed["judge_steps"] == 2
    assert Parameters.part(dict(PAPER) | changed).save_every == 1
    assert [key for key in changed if "batch" in key] == ([] if not batch else [
        key for key in cuts.BATCHES if getattr(PAPER, key) > batch])


def test_a_batch_too_small_for_the_perplexity_takes_the_width_itself():
    assert cuts.cut(PAPER, 2, 8)["align_perplexity"] == 0 and "align_perplexity" not in cuts.cut(PAPER, 2, 0)


def test_a_larger_machine_holds_more_layers_and_a_small_one_is_told():
    p = Parameters.part(dict(PAPER) | cuts.cut(PAPER, 2, 2))
    few, more = (cuts.layers(p, gib * cuts.GIB) for gib in (24, 28))
    assert 1 <= few < more < 34 and cuts.layers(p, 200 * cuts.GIB) == 34
    with pytest.raises(UserError, match="with one layer of the language model stage 3 takes"):
        cuts.layers(p, 16 * cuts.GIB)


def test_a_model_that_is_here_keeps_its_layers():
    assert cuts.layers(Parameters.part(params.load(["params/smoke.yaml"])), 0) == 2
