"""Scaling by hand, the inner choice on a fit that writes down what it sees, and no look at what is tested."""

import numpy as np
import pytest

from namd.autorad.tuning import partner, scaled, tuned


def test_scaling_by_hand():
    train = np.array([True, True, True, False])
    x = np.array([[1.0, np.nan, 7.0, 2e12, np.nan],
                  [3.0, 5.0, 7.0, 4e12, np.nan],
                  [5.0, 9.0, 7.0, np.inf, np.inf],
                  [1e9, 7.0, 8.0, 3e12, 4.0]])
    z, counts = scaled(x, train)
    s = 1.5**0.5
    expected = [[-s, 0, 0, -1, 0], [0, -1, 0, 1, 0], [s, 1, 0, 0, 0], [5, 0, 0, 0, 0]]
    assert z.dtype == np.float32 and z == pytest.approx(np.array(expected))
    assert counts == dict(missing=5, constant=2, clipped=1)


def test_the_rows_that_are_held_out_do_not_scale_the_others():
    rng = np.random.default_rng(0)
    x, train = rng.normal(size=(20, 3)), np.arange(20) < 12
    other = x.copy()
    other[13:] *= 100
    assert np.array_equal(scaled(x, train)[0][:13], scaled(other, train)[0][:13])


def test_partners():
    assert [partner(k, 5) for k in range(5)] == [1, 0, 3, 2, 0]
    assert [partner(k, 4) for k in range(4)] == [1, 0, 3, 2] and [partner(k, 3) for k in range(3)] == [1, 0, 0]


LABEL3 = np.tile([0, 1, 2], 10)
FOLD = np.repeat(np.arange(5), 6)


def sure(candidate, label3):
    """Probabilities that are the surer of the true class the smaller |candidate - 3|."""
    right = 0.9 - 0.1 * abs(candidate - 3)
    return np.where(np.eye(3)[label3] > 0, right, (1 - right) / 2)


def test_the_candidate_that_is_best_on_the_partner_trains_on_the_whole_training_fold():
    calls = []

    def fit(candidate, held):
        calls.append((candidate, held))
        return sure(candidate, LABEL3), dict(clipped=len(held))
    found = tuned(fit, (1, 3, 4), LABEL3, FOLD)
    assert sorted(call for call in calls if len(call[1]) == 2) == sorted(       # what serves two folds is done once
        (candidate, held) for candidate in (1, 3, 4) for held in [(0, 1), (2, 3), (0, 4)])
    assert [call for call in calls if len(call[1]) == 1] == [(3, (k,)) for k in range(5)]
    assert found.chosen.to_dict("list") == dict(fold=[0, 1, 2, 3, 4], chosen=[3] * 5, n_train=[24] * 5, clipped=[1] * 5)
    assert np.array_equal(found.prob, sure(3, LABEL3))
    assert found.tried.loss.tolist() == pytest.approx([-np.log(q) for q in [0.7, 0.9, 0.8]] * 5)
    assert found.tried.candidate.tolist() == [1, 3, 4] * 5


def test_each_fold_chooses_on_its_partner_alone():
    """Candidate 1 is right everywhere but on fold 1, candidate 2 on fold 1 alone: only test fold 0 takes the second."""
    def fit(candidate, held):
        good = (FOLD == 1) == (candidate == 2)
        return np.where(good[:, None], sure(3, LABEL3), 1 / 3), {}
    assert tuned(fit, (1, 2), LABEL3, FOLD).chosen.chosen.tolist() == [2, 1, 1, 1, 1]


def test_a_single_candidate_is_not_tried():
    calls = []

    def fit(candidate, held):
        calls.append(held)
        return sure(candidate, LABEL3), {}
    found = tuned(fit, (7,), LABEL3, FOLD)
    assert calls == [(k,) for k in range(5)] and found.tried.empty
    assert list(found.tried.columns) == ["fold", "candidate", "loss"]
