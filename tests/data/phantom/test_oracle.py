"""The oracle: reproducible draws that keep the patient's anatomy and follow the law."""

import numpy as np
import pytest
import torch

from namd.data.phantom import law as laws
from namd.data.phantom import oracle
from namd.data.phantom.delivery import draw_cohort, write_delivery
from namd.data.phantom.law import Law
from namd.ground.errors import UserError


@pytest.fixture(scope="module")
def truth_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantom") / "delivery"
    return write_delivery(path, 4, 2, .45, .8, "none", progress=lambda line: None) / "truth"


@pytest.fixture(scope="module")
def ids(truth_dir):
    truth = oracle.read_truth(truth_dir)
    return truth.index[truth["flaw"] == ""].tolist()


def follow_up(truth_dir, ids, seed):
    return oracle.oracle_follow_up(truth_dir, ids, seed, 64, -1000, 400)


def test_a_draw_depends_on_seed_and_patient_only(truth_dir, ids):
    x2 = follow_up(truth_dir, ids, 1)
    assert x2.shape == (4, 1, 64, 64) and x2.dtype == torch.float32 and x2.min() >= -1 and x2.max() <= 1
    assert torch.equal(x2[[2, 0]], follow_up(truth_dir, [ids[2], ids[0]], 1))
    assert not torch.equal(x2, follow_up(truth_dir, ids, 2))


def test_the_anatomy_stays(truth_dir, ids):
    one, two = follow_up(truth_dir, ids, 1).flatten(1), follow_up(truth_dir, ids, 2).flatten(1)
    same = [np.corrcoef(a, b)[0, 1] for a, b in zip(one, two, strict=True)]
    other = [np.corrcoef(a, b)[0, 1] for a, b in zip(one, two.roll(1, 0), strict=True)]
    assert np.mean(same) > np.mean(other) + .15


def test_the_picture_shows_the_fate_of_its_seed(truth_dir, ids, monkeypatch):
    drawn = []
    monkeypatch.setattr(oracle, "_crop", lambda row, *_: drawn.append(row["growth"]) or np.zeros((64, 64)))
    for seed in (1, 2):
        follow_up(truth_dir, ids, seed)
    one, two = np.reshape(drawn, (2, 4))
    assert np.abs(one - two).min() > 1e-6


def test_attributes_follow_the_law():
    """Over 600 subjects the oracle's growth has the truth's mean, and follows risk as the truth does."""
    rows = draw_cohort(600, 9, .45, .8, "none").reset_index().set_index("patient_id")
    drawn = oracle.draw_attributes(rows, Law(), seed=4)
    assert drawn["growth"].mean() == pytest.approx(rows["growth"].mean(), abs=.03)
    assert drawn["label"].mean() == pytest.approx(rows["label"].mean(), abs=.04)
    assert not np.allclose(drawn["growth"], rows["growth"])
    assert np.corrcoef(drawn["growth"], rows["eta"])[0, 1] > .4
    assert (drawn["longest_mm"] == rows["longest_mm"]).all() and (drawn["diagemph"] == rows["diagemph"]).all()


def test_another_seed_is_another_fate_of_the_same_patients():
    rows = draw_cohort(600, 9, .45, .8, "none").reset_index().set_index("patient_id")
    one, two = (oracle.draw_attributes(rows, Law(), seed) for seed in (4, 5))
    for fate in ("u", "growth", "t1_longest_mm"):
        assert (one[fate] != two[fate]).mean() > .95                         # diameters end at the law's limits
    assert .05 < (one["label"] != two["label"]).mean() < .3
    rest = [(drawn["u"] - drawn["eta"])[rows["record_known"]] for drawn in (one, two)]
    assert abs(np.corrcoef(*rest)[0, 1]) < .15                              # what the seed decides shares nothing


def test_an_unknown_record_is_drawn_anew():
    """With the record known a patient's draws of u centre on eta; unknown, they spread as the population does."""
    rows = draw_cohort(1, 9, .45, .8, "none").reset_index().iloc[[0] * 400].assign(diagemph=1, famfather=1)
    rows.index = [str(i) for i in range(400)]
    spread = [oracle.draw_attributes(rows.assign(record_known=known), Law(), seed=4)["u"] for known in (True, False)]
    eta = laws.eta(rows.iloc[:1], Law())[0]
    assert spread[0].mean() == pytest.approx(eta, abs=.08) and spread[0].std() == pytest.approx(.45, abs=.05)
    assert spread[1].mean() < eta - .5 and spread[1].std() > .7


def test_risk_is_marginal_where_the_record_is_unknown():
    rows = draw_cohort(300, 9, .45, .8, "none")
    known = rows["record_known"]
    assert 5 < (~known).sum() < 60
    assert np.allclose(rows.loc[known, "risk"], laws.risk(rows[known], Law()))
    assert np.allclose(rows.loc[~known, "risk"], laws.risk_without_record(rows[~known], Law()))


def test_mistakes_are_named(truth_dir, tmp_path):
    with pytest.raises(UserError, match="phantom data only"):
        oracle.read_truth(tmp_path)
    with pytest.raises(UserError, match="999999"):
        follow_up(truth_dir, ["999999"], 1)
