"""Controls: what each of them must score by construction."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from namd.data.cohort import SCHEMA, Pairs
from namd.data.phantom.delivery import write_delivery
from namd.data.phantom.oracle import oracle_follow_up, read_truth
from namd.forecasters import controls
from namd.forecasters.base import Forecaster
from namd.forecasters.controls import CopyBaseline, MeanFollowUp, Oracle, PermutedRecords, exchange, logistic_score
from namd.ground.errors import UserError


class AgeAsBrightness(Forecaster):
    """A forecaster whose image is the age in its record: shows which record reached which subject."""

    def fit(self, pairs, params):
        """Nothing to learn."""

    def sample(self, x1, ehr, seeds):
        age = torch.tensor(ehr["age"].to_numpy(), dtype=torch.float32)
        return torch.stack([age.reshape(-1, 1, 1, 1).expand_as(x1) for _ in seeds])


def records(n):
    return pd.DataFrame({"age": np.arange(n)}, index=[f"pair{i}" for i in range(n)])


def test_copy_baseline_returns_one_run_and_never_the_same_memory():
    x1 = torch.rand(4, 1, 8, 8)
    x2_hat = CopyBaseline().sample(x1, records(4), [1, 2, 3])
    assert torch.equal(x2_hat[0], x1) and x2_hat.shape == (1, 4, 1, 8, 8)
    x2_hat += 1
    assert x1.max() <= 1


PICTURE = SimpleNamespace(image_size=64, window_low=-1000, window_high=400)


def test_mean_follow_up_forecasts_the_training_mean_for_everyone():
    crops = np.stack([np.full((128, 128), hu, dtype=np.int16) for hu in (-1000, -300, 400)])   # -1, 0 and +1
    known = dict(t0_index=[0, 0, 0], t1_index=[0, 1, 1])
    control = MeanFollowUp(PICTURE)
    control.fit(Pairs(pd.DataFrame(known, columns=list(SCHEMA)), crops))
    x2_hat = control.sample(torch.rand(5, 1, 64, 64), records(5), [1, 2])
    assert x2_hat.shape == (1, 5, 1, 64, 64)
    assert torch.allclose(x2_hat, torch.tensor(-1 / 3), atol=1e-6)


def test_oracle_draws_the_truth_of_each_pair(tmp_path):
    write_delivery(tmp_path / "delivery", 3, seed=5, eps=0.45, gmax=0.8, null="none", progress=lambda line: None)
    truth = tmp_path / "delivery" / "truth"
    patients = read_truth(truth).query("flaw == ''").index.tolist()
    patient_id = pd.Series(patients, index=["pair0", "pair1", "pair2"])
    asked = records(3).iloc[[2, 0]]
    x2_hat = Oracle(truth, patient_id, PICTURE).sample(torch.zeros(2, 1, 64, 64), asked, [11, 12])
    assert x2_hat.shape == (2, 2, 1, 64, 64) and -1 <= x2_hat.min() and x2_hat.max() <= 1
    assert torch.equal(x2_hat[1], oracle_follow_up(truth, [patients[2], patients[0]], 12, 64, -1000, 400))
    assert not torch.equal(x2_hat[0], x2_hat[1])


@pytest.mark.parametrize("n", [2, 3, 50])
def test_exchange_leaves_nobody_their_own_record_and_loses_none(n):
    ehr = records(n)
    moved = exchange(ehr, 7)
    assert list(moved.index) == list(ehr.index)
    assert sorted(moved["age"]) == list(range(n))
    assert (moved["age"].to_numpy() != ehr["age"].to_numpy()).all()
    assert moved.equals(exchange(ehr, 7))


def test_no_patient_gets_a_record_of_their_own_from_another_nodule():
    who = np.repeat(list("abcde"), [1, 2, 3, 1, 2])
    ehr = pd.DataFrame(dict(owner=who, age=np.arange(9)), index=[f"pair{i}" for i in range(9)])
    moved = exchange(ehr, 7, patient=who)
    assert (moved["owner"] != who).all() and moved["owner"].groupby(who).nunique().eq(1).all()
    assert moved.equals(exchange(ehr, 7, patient=who)) and list(moved.index) == list(ehr.index)
    alone = exchange(ehr, 7)
    assert alone.equals(exchange(ehr, 7, patient=np.arange(9))) and sorted(alone["age"]) == list(range(9))


def test_permuted_records_changes_the_record_and_not_the_image():
    x1, ehr = torch.zeros(5, 1, 2, 2), records(5)
    x2_hat = PermutedRecords(AgeAsBrightness(), ehr, 3).sample(x1, ehr, [1, 2])
    assert x2_hat.shape == (2, 5, 1, 2, 2)
    assert x2_hat[0, :, 0, 0, 0].tolist() == exchange(ehr, 3)["age"].tolist()


def test_of_a_record_some_fields_can_stay_with_their_subject():
    ehr = records(50).assign(size=np.arange(50), gender=np.arange(50))
    moved = exchange(ehr, 7, fields=["age", "gender"])
    assert list(moved.columns) == list(ehr.columns) and moved["size"].equals(ehr["size"])
    assert (moved["age"] != ehr["age"]).all() and moved["age"].equals(moved["gender"])     # both from one donor
    x1 = torch.zeros(50, 1, 2, 2)
    assert torch.equal(PermutedRecords(AgeAsBrightness(), ehr, 7, fields=["size"]).sample(x1, ehr, [1]),
                       AgeAsBrightness().sample(x1, ehr, [1]))


def test_permuted_records_are_those_of_the_whole_set_in_any_piece_of_it():
    x1, ehr = torch.zeros(5, 1, 2, 2), records(5)
    control = PermutedRecords(AgeAsBrightness(), ehr, 3)
    pieces = [control.sample(x1[part], ehr.iloc[part], [1]) for part in (slice(0, 1), slice(1, 5))]
    assert torch.equal(torch.cat(pieces, 1), control.sample(x1, ehr, [1]))


def test_logistic_score_finds_the_column_that_tells():
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(400, 3))
    label = (rng.random(400) < 1 / (1 + np.exp(-3 * columns[:, 1]))).astype(int)
    low, high = np.array([[0, -2.0, 0]]), np.array([[0, 2.0, 0]])
    assert logistic_score(columns, label, low)[0] < 0.1 < 0.9 < logistic_score(columns, label, high)[0]
    assert logistic_score(columns, label, columns).mean() == pytest.approx(label.mean(), abs=0.01)


def test_strength_is_chosen_on_the_nodules_that_are_held_out():
    rng = np.random.default_rng(0)
    noise, held = rng.normal(size=(200, 60)), np.arange(200) >= 140
    label = (rng.random(200) < 0.3).astype(int)
    assert controls.choose_strength(noise, label, held) < 0.1                    # nothing to learn
    told = np.column_stack([label + 0.3 * rng.normal(size=200), rng.normal(size=200)])
    assert controls.choose_strength(told, label, held) == controls.STRENGTHS[-1]  # much to learn, few columns


def test_logistic_score_needs_both_classes():
    with pytest.raises(UserError, match="one class"):
        logistic_score(np.zeros((4, 2)), [0, 0, 0, 0], np.zeros((1, 2)))
