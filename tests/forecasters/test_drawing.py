"""K runs on disk: the right seeds, the same images for any number of processes, a long table of probabilities."""

import weakref
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small_disk import largest_file

from namd.evaluation.tables import probabilities
from namd.forecasters import drawing
from namd.forecasters.base import Forecaster
from namd.ground.errors import UserError
from namd.ground.seeding import noise


class Speckle(Forecaster):
    """x1 plus noise keyed by (seed, pair_id)."""

    def fit(self, pairs, params):
        """Nothing to learn."""

    def sample(self, x1, ehr, seeds):
        return torch.stack([x1 + torch.stack([noise(x1.shape[1:], seed, i) for i in ehr.index]) for seed in seeds])


def test_run_seeds_are_the_authors_then_ours():
    assert drawing.run_seeds(3) == [642, 115, 893]
    assert len(set(drawing.run_seeds(40))) == 40
    assert drawing.run_seeds(22)[19:] == [974, 1000, 1001]


class Dies(Speckle):
    """Fails at its call number `calls`, and writes down the pairs of every call."""

    def __init__(self, calls, log):
        self.calls, self.log = calls, log

    def sample(self, x1, ehr, seeds):
        if len(self.log) == self.calls:
            raise InterruptedError
        self.log.append("".join(ehr.index))
        return super().sample(x1, ehr, seeds)


X1, EHR = torch.zeros(5, 1, 4, 4), pd.DataFrame({"age": range(5)}, index=list("abcde"))


def draw(folder, make=Speckle, x1=X1, seeds=(1, 2), batch=4, key=""):
    drawing.draw_rows({"a row": make}, x1, EHR.iloc[:len(x1)], {"a row": list(seeds)}, folder, batch,
                      keys={"a row": key})
    return drawing.load_row(folder, "a row")


def test_the_models_of_a_row_are_gone_when_those_of_the_next_come(tmp_path):
    made = []

    def make():
        assert all(one() is None for one in made)
        model = Speckle()
        model.itself = model                # as networks whose forward pass is replaced by a method of their own
        made.append(weakref.ref(model))
        return model

    drawing.draw_rows({"a": make, "b": make}, X1, EHR, {"a": [1], "b": [1]}, tmp_path, 4)
    assert len(made) == 2


def test_images_are_those_of_one_call_and_do_not_depend_on_the_number_of_processes(tmp_path):
    makers, seeds = {"first": Speckle, "second": Speckle}, {"first": [1, 2], "second": [2]}
    for workers in (1, 2):
        drawing.draw_rows(makers, X1, EHR, seeds, tmp_path / str(workers), 4, threads=1, workers=workers)
    kept = {w: [(tmp_path / str(w) / f"{row}.npy").read_bytes() for row in makers] for w in (1, 2)}
    assert kept[1] == kept[2]
    assert torch.equal(drawing.load_row(tmp_path / "1", "first"), Speckle().sample(X1, EHR, [1, 2]).half().float())
    assert sorted(f.name for f in (tmp_path / "1").glob("[!.]*")) == ["first.npy", "second.npy"]


def test_a_row_is_drawn_again_only_under_another_key(tmp_path):
    grey = torch.zeros(1, 1, 2, 2)
    drawn = [draw(tmp_path, x1=grey + bright, key=key)
             for bright, key in ((0.0, "k1"), (0.5, "k1"), (0.5, "k2"), (0.25, ""))]
    assert torch.equal(drawn[0], drawn[1])
    assert (drawn[2] - drawn[1]).mean().item() == pytest.approx(0.5, abs=1e-3)
    assert (drawn[3] - drawn[1]).mean().item() == pytest.approx(0.25, abs=1e-3)


def test_a_new_row_leaves_the_others_alone(tmp_path):
    log = []
    rows = {name: (lambda: Dies(99, log)) for name in ("old", "new")}
    for names in (["old"], ["old", "new"]):
        drawing.draw_rows({name: rows[name] for name in names}, X1, EHR, dict.fromkeys(names, [1, 2]), tmp_path, 4,
                       keys=dict.fromkeys(names, "k"))
    assert log == 2 * ["ab", "cd", "e"]


def test_the_key_of_a_row_follows_its_arm_and_no_other(tmp_path):
    def part_key(modules, reads, *given):
        return "|".join([*reads, *map(str, given)]), "namd.forecasters.namd" in modules
    run = SimpleNamespace(part_key=part_key)
    assert drawing.row_key(run, "no_text", [1]) == ("cohort|llm|arms/no_text/namd|[1]", True)
    assert drawing.row_key(run, None, "oracle", [1])[0] == "cohort|delivery/truth|oracle|[1]"


def test_a_deleted_row_is_drawn_again_and_one_of_another_key_comes_back(tmp_path):
    log = []

    def drawn(key, x1=X1):
        before = len(log)
        images = draw(tmp_path, lambda: Dies(99, log), x1=x1, key=key)
        return images, len(log) - before
    first, calls = drawn("k")
    assert calls == 3
    drawing.row_file(tmp_path, "a row").unlink()
    again, calls = drawn("k")
    assert calls == 3 and torch.equal(again, first)
    edited, calls = drawn("other", X1 + 0.5)
    assert calls == 3 and not torch.equal(edited, first)
    back, calls = drawn("k")
    assert calls == 0 and torch.equal(back, first)


def test_an_interrupted_row_goes_on_with_its_next_piece(tmp_path):
    log = []
    with pytest.raises(InterruptedError):
        draw(tmp_path, lambda: Dies(1, log), key="k")
    assert log == ["ab"] and not drawing.row_file(tmp_path, "a row").exists()
    assert sorted(f.name for f in (tmp_path / "a_row.parts").glob("[!.]*")) == ["0000.npy"]
    assert torch.equal(draw(tmp_path, lambda: Dies(9, log), key="k"), draw(tmp_path / "whole"))
    assert log == ["ab", "cd", "e"]
    assert sorted(f.name for f in tmp_path.glob("[!.]*") if f.is_file()) == ["a_row.npy", "a_row.npy.key"]


def test_pieces_of_another_key_are_thrown_away(tmp_path):
    log = []
    with pytest.raises(InterruptedError):
        draw(tmp_path, lambda: Dies(2, log), x1=X1 + 1, key="before")
    assert torch.equal(draw(tmp_path, lambda: Dies(9, log), key="now"), draw(tmp_path / "whole"))
    assert log[2:] == ["ab", "cd", "e"]


def test_a_full_disk_keeps_the_pieces_and_the_row_is_whole_after_more_room(tmp_path):
    log = []
    with largest_file(260), pytest.raises(UserError, match="full or over its quota, so a_row.npy was not written"):
        draw(tmp_path, lambda: Dies(9, log), key="k")          # a piece is 256 bytes, the row 448
    assert torch.equal(draw(tmp_path, lambda: Dies(3, log), key="k"), draw(tmp_path / "whole"))
    assert log == ["ab", "cd", "e"]


def test_a_batch_smaller_than_k_draws_one_subject_at_a_time(tmp_path):
    log = []
    images = draw(tmp_path, lambda: Dies(9, log), seeds=(1, 2, 3), batch=2)
    assert log == list("abcde") and torch.equal(images, Speckle().sample(X1, EHR, [1, 2, 3]).half().float())


def test_probability_table_is_long_and_keeps_the_order():
    prob = {"namd": np.array([[0.1, 0.2], [0.3, 0.4]]), "direct": np.array([[0.5, 0.6]])}
    table = probabilities.probability_table(prob, ["a", "b"], ["one", "one"])
    assert len(table) == 6 and list(table.columns) == ["row", "run", "seed", "pair_id", "patient_id", "prob"]
    assert set(table["patient_id"]) == {"one"}
    assert table.query("row == 'namd' and run == 1 and pair_id == 'b'")["prob"].item() == 0.4
    assert table.query("run == 1")["seed"].unique() == [115]


def test_training_seeds_are_stacked_with_their_runs_and_patients():
    rows = {"namd": 0.1, "namd-seed25": 0.3, "namd-seed24": 0.2, "namd_else": 0.9, "no_align": 0.8}
    prob = {row: base + np.array([[0.0, 0.01], [0.02, 0.03]]) for row, base in rows.items()}
    table = probabilities.probability_table(prob, ["a", "b"], ["one", "two"])
    found = probabilities.training_seeds(table["row"], "namd")
    assert found == ["namd", "namd-seed24", "namd-seed25"]
    assert probabilities.training_seeds(rows, "no_align") == ["no_align"]
    p = probabilities.stack(table.sample(frac=1, random_state=0), found, ["b", "a"])
    assert p.shape == (3, 2, 2)
    assert np.allclose(p[:, 0, 1], [0.1, 0.2, 0.3]) and np.allclose(p[1], [[0.21, 0.2], [0.23, 0.22]])
