"""Folds by patient; arms that learn what their guide holds, see no test label, and are resumed to the last byte."""

import pickle

import numpy as np
import pytest
import torch
from small_arms import parameters, problem

from namd.autorad import folds as module
from namd.autorad.folds import Arm, cross_validate, cross_validate_all, folds, warm_cosine
from namd.autorad.prompts import Prompts
from namd.ground.errors import UserError
from namd.ground.seeding import numpy_rng
from namd.training import checkpoint

QUICK = dict(autorad_epochs=2)
GUIDED = Arm("guided", "features", (0.1, 0.3))
ONE_RATE = Arm("guided", "features", (0.3,))


@pytest.fixture(scope="module")
def made():
    return problem()


def test_nobody_is_in_two_folds_and_each_has_its_share_of_every_class():
    rng = numpy_rng("patients")
    patient = np.sort(rng.integers(0, 300, 500))
    label3 = rng.choice(3, 500, p=[0.25, 0.55, 0.2])
    fold = folds(label3, patient, 5, seed=1)
    assert all(len(set(fold[patient == one])) == 1 for one in set(patient)) and set(fold) == set(range(5))
    shares = np.array([[(label3[fold == k] == c).mean() for c in range(3)] for k in range(5)])
    assert np.ptp(shares, axis=0).max() < 0.04 and np.ptp(np.bincount(fold)) < 15
    assert np.array_equal(fold, folds(label3, patient, 5, seed=1))
    assert not np.array_equal(fold, folds(label3, patient, 5, seed=2))


@pytest.mark.parametrize("k, said", [(2, "autorad_folds is 2; set it to 3 or more"),
                                     (4, "autorad_folds: 3 patients have a malignant nodule, too few for 4 folds")])
def test_too_few_of_anything_is_one_sentence(k, said):
    with pytest.raises(UserError, match=said):
        folds([0] * 5 + [1] * 5 + [2] * 4, [*range(5), *range(5, 10), 10, 11, 12, 12], k, seed=1)


def test_the_rate_by_hand():
    at = warm_cosine(0.4, 5, 25)
    assert [at(0), at(4)] == [1e-5, 1e-5]
    assert [at(5), at(15), at(25)] == pytest.approx([0.4, 0.2, 0])


def accuracy(found, label3):
    return (found.prob.argmax(1) == label3).mean()


def test_guided_prompts_learn_what_the_features_hold_and_permuted_ones_are_no_better_than_static(made, tmp_path):
    label3, _, z, features, fold, text = made
    p = parameters(autorad_epochs=25)
    permuted = features[numpy_rng("permuted").permutation(len(features))]
    score = {}
    for name, guide, given in (("static", "nothing", None), ("guided", "features", features),
                               ("permuted", "features", permuted)):
        found = cross_validate(Arm(name, guide, (0.1,)), z, given, label3, fold, text, p, tmp_path, "k")
        score[name] = accuracy(found, label3)
    assert score["guided"] > score["static"] + 0.15 and score["permuted"] < score["static"] + 0.05


def test_probabilities_rates_and_counts(made, tmp_path):
    label3, _, z, features, fold, text = made
    holed = features.copy()
    holed[3, 0] = np.nan
    found = cross_validate(GUIDED, z, holed, label3, fold, text, parameters(**QUICK), tmp_path, "k")
    assert found.prob.shape == (150, 3) and found.prob.sum(1) == pytest.approx(np.ones(150))
    assert found.chosen.fold.tolist() == [0, 1, 2] and set(found.chosen.chosen) <= set(GUIDED.rates)
    assert set(found.chosen.missing) == {1} and len(found.tried) == 6
    best = found.tried.loc[found.tried.groupby("fold").loss.idxmin()]
    assert best.candidate.tolist() == found.chosen.chosen.tolist()


@pytest.mark.parametrize("guide", ["nothing", "features", "image"])
def test_no_test_nodule_tells_of_another(made, tmp_path, guide):
    """Labels of fold 0, and the numbers of all its nodules but one, may change: that one's answer stays."""
    label3, _, z, features, fold, text = made
    one, *others = np.flatnonzero(fold == 0)
    label3_b, z_b, features_b = label3.copy(), z.copy(), features.copy()
    label3_b[fold == 0] = (label3[fold == 0] + 1) % 3
    z_b[others] += 1
    features_b[others] *= -2
    arm = Arm(guide, guide, (0.1, 0.3))
    a = cross_validate(arm, z, features, label3, fold, text, parameters(**QUICK), tmp_path / "a", "k").prob
    b = cross_validate(arm, z_b, features_b, label3_b, fold, text, parameters(**QUICK), tmp_path / "b", "k").prob
    assert np.array_equal(a[one], b[one]) and not np.allclose(a[fold == 1], b[fold == 1])


def finished(folder):
    """{fold: bytes of the weights that its model ended with}."""
    found = folder.glob("guided/without ?/rate 0.3/*")
    return {place.parts[-3]: (checkpoint.complete(place)[-1] / "weights.safetensors").read_bytes() for place in found}


def counted(monkeypatch, stop_at=-1):
    """The number of steps so far, as a list that grows; step `stop_at` is interrupted."""
    steps = []
    entropy = module.F.cross_entropy

    def watched(logits, label):
        steps.append(len(steps))
        if len(steps) == stop_at:
            raise KeyboardInterrupt
        return entropy(logits, label)
    monkeypatch.setattr(module.F, "cross_entropy", watched)
    return steps


def test_a_killed_arm_is_resumed_to_the_last_byte(made, tmp_path, monkeypatch):
    label3, _, z, features, fold, text = made
    job = (ONE_RATE, z, features, label3, fold, text, parameters(autorad_epochs=4, save_every=5))
    whole = cross_validate(*job, tmp_path / "whole", "k")
    steps = counted(monkeypatch, stop_at=16 + 13)           # in the second fold, after its checkpoint of step 10
    with pytest.raises(KeyboardInterrupt):
        cross_validate(*job, tmp_path / "killed", "k")
    steps.clear()
    again = cross_validate(*job, tmp_path / "killed", "k")
    assert len(steps) == 16 - 10 + 12                       # nothing of the first fold, the third one has 99 nodules
    assert np.array_equal(again.prob, whole.prob)
    assert finished(tmp_path / "killed") == finished(tmp_path / "whole") and len(finished(tmp_path / "whole")) == 3


def test_what_is_finished_is_not_trained_again_and_another_key_is(made, tmp_path, monkeypatch):
    label3, _, z, features, fold, text = made
    job = (ONE_RATE, z, features, label3, fold, text, parameters(**QUICK), tmp_path)
    first = cross_validate(*job, "one")
    steps = counted(monkeypatch)
    assert np.array_equal(cross_validate(*job, "one").prob, first.prob) and not steps
    assert np.array_equal(cross_validate(*job, "two").prob, first.prob) and len(steps) == 2 * (4 + 4 + 3)


def test_symmetries_are_drawn_in_training_and_the_crop_itself_is_read(made, tmp_path):
    label3, _, z, _, fold, text = made
    eight = np.stack([z] + [z + 0.05 * numpy_rng("turn", k).normal(size=z.shape) for k in range(7)])
    same = np.stack([z] * 8)
    arm = Arm("image", "image", (0.3,))
    plain = cross_validate(arm, z, None, label3, fold, text, parameters(**QUICK), tmp_path / "plain", "k").prob
    turned = cross_validate(arm, eight, None, label3, fold, text, parameters(**QUICK), tmp_path / "turned", "k").prob
    equal = cross_validate(arm, same, None, label3, fold, text, parameters(**QUICK), tmp_path / "same", "k").prob
    assert np.array_equal(plain, equal) and not np.array_equal(plain, turned)
    assert np.abs(plain - turned).max() < 0.2


def test_cocoop_s_guide_is_the_same_symmetry_of_the_image_at_length_one(made, tmp_path, monkeypatch):
    label3, _, z, _, fold, text = made
    seen = []
    forward = module.Prompts.forward

    def watched(self, tower, z, guide):
        seen.append((z / z.norm(dim=1, keepdim=True) - guide).abs().max().item())
        return forward(self, tower, z, guide)
    monkeypatch.setattr(module.Prompts, "forward", watched)
    eight = np.stack([z * (k + 1) + k for k in range(8)])
    cross_validate(Arm("image", "image", (0.3,)), eight, None, label3, fold, text, parameters(**QUICK), tmp_path, "k")
    assert max(seen) < 1e-6


def test_several_arms_whose_jobs_may_travel_to_other_processes(made, tmp_path):
    label3, _, z, features, fold, text = made
    p = parameters(**QUICK)
    jobs = [(Arm(name, guide, (0.3,)), z, features, label3, fold, text, tmp_path / "all", "k")
            for name, guide in (("static", "nothing"), ("guided", "features"))]
    found = cross_validate_all(pickle.loads(pickle.dumps(jobs)), p)
    assert list(found) == ["static", "guided"]
    alone = cross_validate(*jobs[1][:-2], p, tmp_path / "alone", "k")
    assert np.array_equal(found["guided"].prob, alone.prob)


def test_equal_nodules_have_equal_probabilities_wherever_they_stand(made):
    _, _, z, features, _, text = made
    guide = torch.from_numpy(features.astype(np.float32))[None]
    prompts = Prompts(*text, 3, z.shape[1], guide.shape[2])
    z = torch.from_numpy(z.astype(np.float32))
    order = torch.arange(337) % 2                                   # two nodules, again and again
    found = module.read(prompts, text[0], z[order], guide[:, order])
    assert len(np.unique(found, axis=0)) == 2
    assert found[:2] == pytest.approx(module.read(prompts, text[0], z[:2], guide[:, :2]), abs=1e-6)
    alone = Prompts(*text, 3, z.shape[1])
    assert len(np.unique(module.read(alone, text[0], z[order], None), axis=0)) == 2


def test_the_longest_training_begins_first_and_every_answer_keeps_its_place(monkeypatch):
    begun = []
    monkeypatch.setattr(module, "_alone", lambda p, arm: begun.append(arm.name) or arm.name)
    given = [Arm("static", "nothing", ()), Arm("guided", "features", ()), Arm("many", "features", (), 50)]
    assert module.longest_first([(parameters(), arm) for arm in given], 1) == ["static", "guided", "many"]
    assert begun == ["many", "guided", "static"]
