"""Several nodules of one patient: they are drawn, left out and counted together."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm, sem
from sklearn.model_selection import KFold

from namd.data.cohort import SCHEMA, Pairs
from namd.evaluation.figures import curves
from namd.evaluation.stats import (
    bootstrap,
    boundary,
    calibration,
    growth,
    intervals,
    latent,
    metrics,
    patients,
    referral,
    seeds_and_patients,
    variance,
)
from namd.evaluation.tables import differences, probabilities, table1, uncertainty_claims

RNG = np.random.default_rng(0)
N = 80
LABEL = np.repeat([1, 0], [20, 60])[RNG.permutation(N)]
PROB = 1 / (1 + np.exp(-(RNG.normal(size=(3, N)) + LABEL - 1)))             # (K, N)
OTHER = 1 / (1 + np.exp(-(RNG.normal(size=(3, N)) + 2 * LABEL - 1)))
MAPS, DISTANCE = RNG.random((N, 9, 9)), boundary.signed_distance(RNG.uniform(1, 3, N), 9)
MM = RNG.uniform(4, 20, size=(4, N))                                        # d1, d2 and two forecasts


def every_interval(i, patient):
    """Each number and each interval of notebooks 05 to 08, of nodules `i`."""
    label, prob, other = LABEL[i], PROB[:, i], OTHER[:, i]
    counts = bootstrap.resample_counts(label, 40, "strata", patient=patient)
    free = bootstrap.resample_counts(0 * label, 40, "free", patient=patient)
    resamples = seeds_and_patients.resample(label, 3, 40, "levels", patient=patient)
    rows, values = {"namd": prob, "real baseline": other}, dict(lpips=prob, delta_rmae=other)
    table = variance.spread(prob, label)
    found = differences.differences(label, rows, {row: values for row in rows}, counts, patient, "namd")
    return {
        "DeLong": intervals.delong(label, prob[0], patient=patient),
        "paired DeLong": intervals.delong_paired(label, prob[0], other[0], patient=patient),
        "AUPRC": intervals.auprc_interval(label, prob[0], patient=patient),
        "Table 1": list(table1.diagnosis_columns(label, prob, patient).values()),
        "AUROC": bootstrap.auroc_draws(label, prob, counts),
        "AUPRC draws": bootstrap.auprc_draws(label, prob[0], counts),
        "ranks": bootstrap.rank_correlation_draws(prob[0], other[0], counts),
        "differences": found[["difference", "low", "high"]].to_numpy(),
        "gaps": differences.gaps(label, rows, ["namd"], ["namd", "real baseline"], counts).iloc[:, 2:].to_numpy(float),
        "calibration": list(calibration.calibration(label, prob[0], free).values()),
        "net benefit": calibration.net_benefit(label, prob[0], [0.2, 0.5], free),
        "growth": list(growth.growth_columns(*MM[:2, i], MM[2:, i], 365, counts).values()),
        "training seeds": seeds_and_patients.estimate(bootstrap.auroc_draws, label, prob[:, None], resamples,
                                                      minus=other[:, None]),
        "mean": bootstrap.mean_interval(prob[0], counts),
        "contrast": bootstrap.contrast(prob[0], label == 0, label == 1, counts),
        "ring": boundary.share_within(MAPS[i], DISTANCE[i], [0.6], counts).to_numpy(),
        "referral": referral.referral_curve(table, table["prob_var"], 0.5, [0, 0.25], counts).to_numpy(),
        "R2": latent.r2_draws(MM[0, i], MM[1, i], counts),
        "reliability": np.array(curves.reliability_bins(label, prob[0], 8, patient)),
        "error of a mean": patients.error_of_mean(prob[0], patient),
    }


ALONE = every_interval(np.arange(N), None)
TWICE = every_interval(np.repeat(np.arange(N), 2), np.repeat([f"p{i}" for i in range(N)], 2))


@pytest.mark.parametrize("name", ALONE)
def test_a_nodule_seen_twice_says_no_more_than_once(name):
    assert np.asarray(TWICE[name], float) == pytest.approx(np.asarray(ALONE[name], float), rel=1e-7, abs=1e-9,
                                                           nan_ok=True)


@pytest.mark.parametrize("name", ALONE)
def test_patients_with_one_nodule_each_change_no_bit(name):
    named = every_interval(np.arange(N), [f"patient {i}" for i in np.random.default_rng(11).permutation(N)])[name]
    assert np.array_equal(np.asarray(named, float), np.asarray(ALONE[name], float), equal_nan=True)


def test_without_their_patients_doubled_nodules_look_surer_by_the_root_of_two():
    i = np.repeat(np.arange(N), 2)
    se = ALONE["DeLong"][1]
    assert intervals.delong(LABEL[i], PROB[0, i])[1] == pytest.approx(se / np.sqrt(2), rel=0.02)


def obuchowski(label, prob, patient):
    """The clustered variance of an AUROC, by the sums of the paper over all pairs (Biometrics 53:567, 1997)."""
    x, y = prob[label == 1], prob[label == 0]
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    auc, both = wins.mean(), []
    for who in sorted(set(patient)):
        mine1, mine0 = patient[label == 1] == who, patient[label == 0] == who
        both.append((mine1.any(), wins.mean(1)[mine1].sum() - mine1.sum() * auc,
                     mine0.any(), wins.mean(0)[mine0].sum() - mine0.sum() * auc))
    has1, u1, has0, u0 = np.array(both).T
    n, n1, n0 = len(both), has1.sum(), has0.sum()
    s10, s01 = n1 / (n1 - 1) / len(x) * (u1**2).sum(), n0 / (n0 - 1) / len(y) * (u0**2).sum()
    return auc, s10 / len(x) + s01 / len(y) + 2 / (len(x) * len(y)) * n / (n - 1) * (u1 * u0).sum()


def test_delong_of_patients_with_nodules_of_both_labels_is_obuchowskis():
    patient = np.random.default_rng(12).integers(0, 25, N).astype(str)   # many with nodules of both labels
    assert pd.Series(LABEL).groupby(patient).nunique().gt(1).sum() > 5
    auc, square = obuchowski(LABEL, PROB[0], patient)
    got = intervals.delong(LABEL, PROB[0], patient=patient)
    assert got[:2] == (pytest.approx(auc), pytest.approx(np.sqrt(square)))
    assert got[1] != pytest.approx(ALONE["DeLong"][1], rel=0.01)


def test_the_bootstrap_of_patients_agrees_with_obuchowski():
    who = np.arange(600) // 3
    label = (np.random.default_rng(1).random(600) < 0.4).astype(int)        # labels mix within a patient
    prob = np.random.default_rng(2).normal(size=200)[who] + 0.7 * np.random.default_rng(3).normal(size=600) + label
    drawn = bootstrap.auroc_draws(label, prob, bootstrap.resample_counts(0 * label, 800, "b", patient=who))
    assert drawn.std() == pytest.approx(intervals.delong(label, prob, patient=who)[1], rel=0.1)


def test_clustered_intervals_hold_the_truth_and_unclustered_ones_do_not():
    rng, truth, held = np.random.default_rng(4), norm.cdf(1 / np.sqrt(2)), {"patients": 0, "nodules": 0}
    who, label = np.repeat(np.arange(120), 4), np.repeat([1, 0], [120, 360])
    for _ in range(150):
        prob = np.sqrt(0.9) * rng.normal(size=120)[who] + np.sqrt(0.1) * rng.normal(size=480) + label
        for name, patient in (("patients", who), ("nodules", None)):
            _, _, low, high = intervals.delong(label, prob, patient=patient)
            held[name] += low <= truth <= high
    assert held["patients"] / 150 >= 0.9 and held["nodules"] / 150 <= 0.8


def test_a_patient_is_drawn_with_all_nodules_and_is_malignant_with_one():
    label, who = np.array([0, 1, 0, 0, 0, 1]), np.array(["b", "b", "a", "a", "c", "d"])
    counts = bootstrap.resample_counts(label, 50, "t", patient=who)
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 2] == counts[:, 3]).all()
    assert (counts[:, [1, 5]].sum(1) == 2).all() and (counts[:, [2, 4]].sum(1) == 2).all()   # b, d; a, c
    assert set(counts.sum(1)) == {4, 5, 6, 7, 8}
    assert patients.labels(label, patients.numbered(who, 6)).tolist() == [1, 0, 0, 1]


def test_a_mean_is_over_the_nodules_drawn_however_many_a_patient_has():
    who = np.repeat(np.arange(20), np.random.default_rng(13).integers(1, 8, 20))
    label, flat = (who < 6).astype(int), np.full((1, len(who)), 0.3)
    counts = bootstrap.resample_counts(label, 40, "t", patient=who)
    values = {row: dict(lpips=flat + lead, delta_rmae=flat) for row, lead in (("namd", 0), ("other", 0.1))}
    prob = dict.fromkeys(values, np.random.default_rng(14).random((1, len(who))))
    found = differences.differences(label, prob, values, counts, who, "namd")
    found = found.set_index("metric").loc["lpips", ["difference", "low", "high"]]
    assert found.to_numpy(float) == pytest.approx(0.1) and counts.sum(1).std() > 1


def test_the_error_of_a_mean_is_the_usual_one_for_one_nodule_each():
    assert patients.error_of_mean(PROB[0]) == pytest.approx(sem(PROB[0])) and patients.error_of_mean([3.0]) == 0
    assert patients.error_of_mean([1.0, 2.0, 5.0], list("aaa")) == 0


def test_patients_must_be_as_many_as_nodules():
    with pytest.raises(ValueError, match="2 patients for 3 nodules"):
        intervals.delong([0, 1, 1], [0.1, 0.2, 0.3], patient=["a", "b"])


def test_no_patient_is_on_both_sides_of_a_fold():
    who = np.random.default_rng(15).integers(0, 20, N)
    parts = patients.splits(KFold(5, shuffle=True, random_state=0), N, who)
    assert np.array_equal(np.sort(np.concatenate([test for _, test in parts])), np.arange(N))
    assert all(set(who[train]).isdisjoint(who[test]) and len(train) + len(test) == N for train, test in parts)
    alone = KFold(5, shuffle=True, random_state=0)
    for ours, theirs in zip(patients.splits(alone, N), alone.split(PROB[0]), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_second_nodule_of_the_patient_does_not_tell_the_first():
    rng, who = np.random.default_rng(5), np.repeat(np.arange(300), 2)
    y, z = rng.normal(size=300)[who], rng.normal(size=(300, 2))[who]        # z says nothing about y, but who it is
    assert latent.r2(y, latent.out_of_fold(z, y, "knn", n_neighbours=1)) > 0.4
    assert latent.r2(y, latent.out_of_fold(z, y, "knn", n_neighbours=1, patient=who)) < 0


def test_the_halves_of_the_floor_share_no_patient():
    seen, who = [], torch.arange(41).repeat_interleave(2)
    metrics.floor(lambda a, b: seen.extend((a, b)), who[:, None], "t", patient=who.numpy())
    assert len(seen[0]) == len(seen[1]) == 40 and set(seen[0][:, 0].tolist()).isdisjoint(seen[1][:, 0].tolist())
    metrics.floor(lambda a, b: seen.extend((a, b)), torch.arange(82)[:, None], "t")
    order = torch.randperm(82, generator=metrics.generator("t", "floor"))
    assert torch.equal(torch.cat(seen[2:])[:, 0], order)                    # as it was before patients counted


def test_figure_5_shows_one_nodule_of_a_patient():
    who = np.repeat(list("abcdef"), [1, 2, 3, 1, 2, 3])
    chosen = uncertainty_claims.one_a_patient(who, 4, "t")
    assert len(chosen) == 4 == len(set(who[chosen])) and (np.diff(chosen) > 0).all()
    assert len(uncertainty_claims.one_a_patient(who, 50, "t")) == 6


def test_a_cohort_with_two_pairs_of_a_patient_goes_through_notebook_05():
    names = [f"p{i}" for i in range(N - 1)] + ["p0"]                        # p0 has two pairs, of both labels
    label = np.where(np.arange(N) == N - 1, 1 - LABEL[0], LABEL)
    table = pd.DataFrame(dict(patient_id=names, label=label), columns=list(SCHEMA)[1:],
                         index=pd.Index([f"pair{i}" for i in range(N)], name="pair_id"))
    test = Pairs(table.astype(dict(patient_id="string", label="Int8")), None)
    assert list(test.patient) == names
    counts = bootstrap.resample_counts(test.label, 40, "t", patient=test.patient)
    assert (counts[:, 0] == counts[:, -1]).all()
    rows = {"namd": PROB, "real baseline": OTHER}
    found = pd.DataFrame({row: table1.diagnosis_columns(test.label, p, test.patient) for row, p in rows.items()}).T
    assert np.isfinite(found.to_numpy()).all() and (found["auroc_low"] < found["auroc_high"]).all()
    found = differences.differences(test.label, rows, {}, counts, test.patient, "namd")
    assert np.isfinite(found[["difference", "low", "high"]].to_numpy()).all()
    long = probabilities.probability_table(rows, test.table.index, test.patient)
    assert long.groupby("patient_id").size().loc[["p0", "p1"]].tolist() == [12, 6]
