"""Three classes by hand, against scikit-learn, and by patient."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from namd.evaluation.stats import three_class
from namd.evaluation.stats.bootstrap import resample_counts, with_itself
from namd.evaluation.stats.three_class import CLASSES, NAMES, confusion, confusion_draws, draws, interval, relative
from namd.ground.errors import UserError

LABEL = np.array([0, 0, 1, 1, 1, 2])
PROB = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.2, 0.7, 0.1], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1],
                 [0.2, 0.3, 0.5]])          # called 0 1 1 1 0 2
ITSELF = np.ones((1, 6), dtype=int)


def nodules(n=60, seed=3):
    """Labels and probabilities with ties from one small random draw."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat([0, 1, 2], [n // 3, n // 2, n - n // 3 - n // 2]))
    prob = rng.dirichlet([1, 1, 1], n) + 0.5 * np.eye(3)[label]
    return label, np.round(prob / prob.sum(1, keepdims=True), 1)


def test_every_statistic_by_hand():
    assert confusion(PROB, LABEL).tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 1]]
    f1 = dict(benign=2 / 4, unsure=4 / 6, malignant=1.0)                # 2 hits / (truly + called)
    by_hand = dict(accuracy=4 / 6, macro_f1=np.mean(list(f1.values())), recall_benign=1 / 2, recall_unsure=2 / 3,
                   recall_malignant=1.0, auc_malignant=1.0)
    by_hand |= {f"f1_{name}": value for name, value in f1.items()}
    by_hand["auc_benign"] = 7 / 8           # .7 above all four, .3 above .2 .1 .2 but not .5
    by_hand["auc_unsure"] = 8 / 9           # .7 and .6 above all three, .4 above .2 and .3 but not .5
    by_hand["macro_auc"] = (7 / 8 + 8 / 9 + 1) / 3
    found = draws(PROB, LABEL, ITSELF)
    assert tuple(found) == NAMES and {name: v[0] for name, v in found.items()} == pytest.approx(by_hand)


def test_every_resample_is_scikit_learns():
    label, prob = nodules()
    counts = with_itself(resample_counts(label, 12, "t"))
    found = draws(prob, label, counts)
    for i, count in enumerate(counts):
        true, p = np.repeat(label, count), np.repeat(prob, count, axis=0)
        said = p.argmax(1)
        expected = dict(accuracy=accuracy_score(true, said), macro_f1=f1_score(true, said, average="macro"))
        for c, name in enumerate(CLASSES):
            expected[f"recall_{name}"] = recall_score(true == c, said == c)
            expected[f"f1_{name}"] = f1_score(true == c, said == c)
            expected[f"auc_{name}"] = roc_auc_score(true == c, p[:, c])
        expected["macro_auc"] = np.mean([expected[f"auc_{name}"] for name in CLASSES])
        assert {name: v[i] for name, v in found.items()} == pytest.approx(expected)


def test_a_class_that_is_never_called_has_f1_0_and_one_always_called_recall_1():
    always = np.tile([0.0, 1.0, 0.0], (6, 1))
    found = {name: v[0] for name, v in draws(always, LABEL, ITSELF).items()}
    assert found["f1_benign"] == found["recall_benign"] == found["f1_malignant"] == 0
    assert found["recall_unsure"] == 1 and found["f1_unsure"] == pytest.approx(6 / 9)
    assert found["macro_f1"] == pytest.approx(2 / 9) and found["auc_unsure"] == 0.5


def test_of_equal_probabilities_the_lower_class_is_called():
    assert three_class.called([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]]).tolist() == [0, 1, 0]


def test_two_nodules_of_one_patient_come_and_go_together():
    label, prob = nodules()
    twice = np.repeat(label, 2), np.repeat(prob, 2, axis=0)
    patient = np.repeat(np.arange(len(label)), 2)
    counts = resample_counts(twice[0], 400, "t", patient=patient)
    assert (counts[:, 0::2] == counts[:, 1::2]).all()
    paired = draws(twice[1], twice[0], counts)
    once = draws(prob, label, resample_counts(label, 400, "t"))
    for name in NAMES:                              # each nodule twice: as many patients, as wide an interval
        assert paired[name] == pytest.approx(once[name])
    apart = draws(twice[1], twice[0], resample_counts(twice[0], 400, "t"))
    assert apart["accuracy"].std() < 0.85 * paired["accuracy"].std()


def test_the_classes_keep_their_sizes_and_a_patient_counts_as_the_highest_of_the_nodules():
    label = np.array([0, 1, 1, 2, 0, 0, 2])
    patient = np.array(["a", "a", "b", "c", "d", "e", "f"])        # a has a benign and an unsure nodule
    counts = resample_counts(label, 50, "t", patient=patient)
    cells = confusion_draws(np.eye(3)[label], label, counts)
    assert (cells.sum(1)[:, 2] == 2).all()
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 0] + counts[:, 2] == 2).all()


def test_a_resample_without_a_class_has_no_recall_of_it():
    found = draws(PROB, LABEL, np.array([[1, 1, 1, 1, 1, 0]]))
    assert np.isnan(found["recall_malignant"][0]) and np.isnan(found["auc_malignant"][0])
    assert found["accuracy"][0] == pytest.approx(3 / 5)


def test_a_cohort_without_a_class_is_refused_in_a_sentence():
    with pytest.raises(UserError, match="of 5 none is malignant; take a larger cohort"):
        draws(PROB[:5], LABEL[:5], ITSELF[:, :5])


def test_a_relative_gain_is_a_ratio_in_each_resample():
    assert relative([0.6, 0.5, 0.2], [0.5, 0.5, 0.0]) == pytest.approx([0.2, 0.0, np.nan], nan_ok=True)


def test_an_interval_leaves_its_first_draw_out_and_what_has_no_value():
    value, low, high = interval(np.array([9.0, 1.0, 2.0, 3.0, np.nan]))
    assert value == 9 and 1 <= low < 1.1 and 2.9 < high <= 3
    assert np.isnan(interval(np.array([np.nan, 1.0]))[1:]).all()
    assert np.isnan(interval(np.array([1.0, np.nan]))[1:]).all()
