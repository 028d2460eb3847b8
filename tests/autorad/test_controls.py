"""Rows without words: the majority by hand, regressions that find what is there, and none that looks at a test fold."""

import numpy as np
import pandas as pd
import pytest
from small_arms import problem

from namd.autorad import controls
from namd.data.phantom.readers import class_probabilities


@pytest.fixture(scope="module")
def made():
    return problem()


def accuracy(found, label3):
    return (found.prob.argmax(1) == label3).mean()


def test_the_majority_is_the_shares_of_the_other_folds():
    label3, fold = np.array([0, 1, 1, 2, 1, 1, 0, 0, 2]), np.repeat([0, 1, 2], 3)
    prob = controls.majority(label3, fold).prob
    assert prob[0] == pytest.approx([2 / 6, 2 / 6, 2 / 6]) and prob[3] == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_radiomics_and_probe_find_what_is_there(made):
    label3, _, z, features, fold, _ = made
    found = controls.by_logistic(features, label3, fold)
    assert accuracy(found, label3) > 0.85 and found.prob.sum(1) == pytest.approx(np.ones(len(label3)))
    both = controls.by_logistic(np.concatenate([z, features], 1), label3, fold)
    assert accuracy(both, label3) > 0.8
    assert accuracy(controls.by_logistic(features[:, 3:], label3, fold), label3) < 0.5     # columns of noise


def test_every_control_takes_its_own_numbers(made):
    label3, _, z, features, fold, _ = made
    found = controls.all_of(np.exp(features[:, 0]), features, z, label3, fold)
    assert list(found) == ["majority", "diameter", "logistic", "probe", "probe + radiomics"]
    for name, x in dict(logistic=features, probe=z, both=np.hstack([z, features])).items():
        expected = controls.by_logistic(x, label3, fold).prob
        assert np.array_equal(found["probe + radiomics" if name == "both" else name].prob, expected)


def test_unknown_and_constant_numbers_are_counted(made):
    label3, _, _, features, fold, _ = made
    holed = np.concatenate([features, np.full((len(label3), 1), 4.0)], 1)
    holed[::7, 1] = np.nan
    found = controls.by_logistic(holed, label3, fold)
    assert set(found.chosen.missing) == {22} and set(found.chosen.constant) == {1}
    assert np.isfinite(found.prob).all() and set(found.chosen.chosen) <= set(controls.C)


def test_the_diameter_s_spline_bends():
    """Malignant where large, benign where small or very large: no line through log d can say so."""
    rng = np.random.default_rng(1)
    label3 = np.arange(240) % 3
    log_d = np.array([2.0, 3.0, 2.5])[label3] + 0.1 * rng.normal(size=240)
    log_d[:60:3] += 1.6
    fold = rng.permutation(240) % 4
    found = controls.by_diameter(np.exp(log_d), label3, fold)
    assert accuracy(found, label3) > 0.9 and found.tried.candidate.max() == pytest.approx(1e2)
    area = controls.by_diameter(np.exp(2 * log_d), label3, fold)        # twice the logarithm says the same
    assert area.prob == pytest.approx(found.prob, abs=1e-6)


def test_no_label_of_a_test_fold_is_seen(made):
    label3, _, _, features, fold, _ = made
    other = np.where(fold == 0, (label3 + 1) % 3, label3)
    for row in (lambda label: controls.by_logistic(features, label, fold), lambda c: controls.majority(c, fold)):
        one, two = row(label3).prob, row(other).prob
        assert np.array_equal(one[fold == 0], two[fold == 0]) and not np.allclose(one[fold == 1], two[fold == 1])


def test_the_numbers_of_other_test_nodules_do_not_scale_one_s_own(made):
    label3, _, _, features, fold, _ = made
    one, *others = np.flatnonzero(fold == 0)
    louder = features.copy()
    louder[others] *= 50
    first, second = (controls.by_logistic(x, label3, fold).prob for x in (features, louder))
    assert first[one] == pytest.approx(second[one], abs=1e-9) and not np.allclose(first[others], second[others])


def test_a_class_that_no_training_nodule_has_is_possible_for_none():
    """Of three folds one chooses and one is tested, so a rare class may be in neither of those that train."""
    label3, fold = np.array([0, 1] * 6 + [2, 2, 2]), np.array([0, 0, 1, 1, 2, 2] * 2 + [0, 1, 1])
    x = np.arange(15.0)[:, None]
    for found in (controls.by_logistic(x, label3, fold), controls.by_diameter(1 + x[:, 0], label3, fold)):
        assert found.prob.sum(1) == pytest.approx(np.ones(15)) and found.prob[fold == 2, 2].min() > 0
        assert np.isfinite(found.tried.loss).all()


def test_the_ceiling_knows_how_many_readers_each_nodule_has_and_keeps_the_nodules_order():
    opinions = pd.DataFrame(dict(nodule_id=["a"] * 4 + ["b"] * 3, malignancy=3))
    found = controls.ceiling(pd.Series([0.5, -1.0]), opinions, pd.Series(["b", "a"]))
    assert np.array_equal(found, class_probabilities([0.5, -1.0], [3, 4]))
    assert not np.allclose(found, class_probabilities([0.5, -1.0], [4, 3]))
