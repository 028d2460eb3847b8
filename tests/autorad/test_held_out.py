"""One reader trained on some nodules, choosing on others, reading all: nothing of what it reads teaches it."""

import numpy as np
import pytest
import torch
from small_arms import N, parameters, problem

from namd.autorad.folds import Arm
from namd.autorad.held_out import read_others

TRAIN = np.arange(N) < 90
VAL = (np.arange(N) >= 90) & (np.arange(N) < 120)
OTHERS = ~(TRAIN | VAL)
P = parameters(autorad_epochs=25)
ARM = Arm("whole", "features", (0.1, 0.001))


@pytest.fixture(scope="module")
def made():
    return problem()


@pytest.fixture(scope="module")
def found(made, tmp_path_factory):
    label3, _, z, features, _, text = made
    return read_others(ARM, z, features, label3, TRAIN, VAL, text, P, tmp_path_factory.mktemp("whole"), "k")


def test_two_processes_find_what_one_finds(made, found, tmp_path):
    label3, _, z, features, _, text = made
    two = read_others(ARM, z, features, label3, TRAIN, VAL, text, P, tmp_path, "k", workers=2)
    assert np.array_equal(two.prob, found.prob) and two.tried.equals(found.tried)
    assert np.array_equal(two.delta(), found.delta())


def test_it_reads_nodules_that_taught_it_nothing_at_the_rate_that_validation_chose(made, found):
    label3 = made[0]
    assert found.prob.shape == (N, 3) and found.prob.sum(1) == pytest.approx(1)
    assert (found.prob.argmax(1) == label3)[OTHERS].mean() > 0.55          # chance is 1 / 3
    losses = {line.rate: -np.log(found.prob[VAL, label3[VAL]]).mean() for line in found.tried.itertuples()
              if line.chosen}
    assert list(losses) == [0.1] and found.tried.loss.min() == pytest.approx(losses[0.1])


def test_labels_and_features_of_the_others_change_no_answer(made, found, tmp_path):
    label3, _, z, features, _, text = made
    unknown = np.where(OTHERS, 2 - label3, label3)
    again = read_others(ARM, z, features, unknown, TRAIN, VAL, text, P, tmp_path, "k")
    assert np.array_equal(again.prob, found.prob)
    louder = np.where(OTHERS[:, None], 10 * features, features)
    seen = read_others(ARM, z, louder, label3, TRAIN, VAL, text, P, tmp_path, "k")
    assert np.array_equal(seen.prob[~OTHERS], found.prob[~OTHERS]) and (seen.prob[OTHERS] != found.prob[OTHERS]).any()


def test_delta_moves_with_the_features_it_listens_to_and_not_with_those_left_out(found):
    delta = found.delta()
    noise = np.linalg.norm(delta - found.delta([3, 4]), axis=1).mean()
    signal = np.linalg.norm(delta - found.delta([0, 1, 2]), axis=1).mean()
    assert signal > 2 * noise > 0
    with torch.no_grad():
        silent = found.prompts.meta(torch.zeros(1, 5)).numpy()
    assert np.abs(found.delta(range(5)) - silent).max() < 1e-6          # 0 is the mean of those that trained


def test_two_classes_are_read_by_their_own_words(made, tmp_path):
    label3, _, z, features, _, text = made
    two = read_others(ARM, z, features, (label3 == 2).astype(int), TRAIN, VAL, text, P, tmp_path, "k",
                      ("benign", "malignant"))
    assert two.prob.shape == (N, 2)
    assert ((two.prob[:, 1] > 0.5) == (label3 == 2))[OTHERS].mean() > 0.8


def test_the_history_is_that_of_the_chosen_rate(found):
    rate = found.tried.rate[found.tried.chosen].item()
    assert found.history.lr.max() == pytest.approx(rate, rel=0.05) and np.isfinite(found.history.loss).all()
