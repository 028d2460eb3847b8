"""Every claim of Section 4.3 against a case worked by hand, for one trained run and for several."""

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr

from namd.evaluation.stats import bootstrap, seeds_and_patients
from namd.evaluation.tables import uncertainty_claims
from namd.evaluation.tables.claims import declared

# Eight nodules, two runs; two probabilities that lie d apart have the variance d^2 / 2. Unsure: the sixth and seventh.
LABEL = np.repeat([0, 1], 4)
MEAN = np.array([0.10, 0.20, 0.40, 0.70, 0.88, 0.50, 0.25, 0.32])      # error .10 .20 .40 .70 .12 .50 .75 .68
APART = np.array([0.02, 0.04, 0.12, 0.02, 0.06, 0.40, 0.20, 0.10])
PROB, VAR = np.stack([MEAN - APART / 2, MEAN + APART / 2]), APART**2 / 2
DISTANCE = np.tile([[-2.5, -1.0, 1.0, 2.5]], (8, 1, 1))                # mm: inside, ring, ring, outside
PIXEL_VAR = np.arange(1, 9)[:, None, None] * np.array([[1.0, 4.0, 2.0, 0.5]])
MEAN_ERROR = np.array([0.10, 0.20, 0.30, 0.60, 0.15, 0.40, 0.50, 0.70])
PIXEL_ERROR = MEAN_ERROR[:, None, None] * np.array([[0.0, 2.0, 1.0, 1.0]])
COUNTS = np.array([[2, 1, 1, 0, 0, 1, 3, 0]])


def measured(counts=COUNTS, prob=PROB):
    return uncertainty_claims.measure(prob, LABEL, PIXEL_VAR, PIXEL_ERROR, DISTANCE, counts)


@pytest.mark.parametrize(("name", "value", "drawn"), [
    ("rise", VAR[[2, 5]].mean() - VAR[[0, 1, 4]].mean(), VAR[[2, 5]].mean() - VAR[[0, 0, 1]].mean()),
    ("fall", VAR[[2, 5]].mean() - VAR[[3, 6, 7]].mean(), VAR[[2, 5]].mean() - VAR[6]),
    ("benign_confident", 4 / 4 - 2 / 4, 4 / 4 - 0 / 4),
    ("both_labels", 1, 1),                                             # no benign nodule is unsure
    ("mean_known", 0.02 - np.sqrt(VAR.mean() / 20), 0.02 - np.sqrt(VAR @ COUNTS[0] / 8 / 20)),
    ("referral", 6 / 8 - 11 / 16, 6 / 8 - 13 / 16),       # drawn: the sixth and one seventh go, two sevenths stay
    ("boundary_inside", 4.5 * 2, PIXEL_VAR[:, 0, 0] @ COUNTS[0] / 8 * 2),
    ("boundary_outside", 4.5 * 2.5, PIXEL_VAR[:, 0, 0] @ COUNTS[0] / 8 * 2.5),
    ("ring_most", 6 / 7.5 - 0.5, 6 / 7.5 - 0.5),
    ("ring_lead", 6 / 7.5 - 2 / 4, 6 / 7.5 - 2 / 4),
    ("error_gap", 0.75 / 4 - 1.3 / 2, np.nan),                         # drawn: nobody is confidently incorrect
    ("error_mean", 2.95 / 8, MEAN_ERROR @ COUNTS[0] / 8),
    ("pixel_diagnosis", 0.5 - (1 - 6 * 8 / 504) ** 2,
     0.5 - spearmanr(*(np.repeat(v, COUNTS[0]) for v in (MEAN_ERROR, np.abs(LABEL - MEAN)))).statistic ** 2),
])
def test_each_claim_by_hand(name, value, drawn):
    found = measured()[name]
    assert found[0] == pytest.approx(value)
    assert found[1] == pytest.approx([drawn], nan_ok=True)


def runs(n):
    """`n` results of `measure` with shared resamples; only `rise` and the empty cells differ between them."""
    counts, weights = seeds_and_patients.resample(LABEL, n, 400, "section 4.3")
    parts = [measured(counts) for _ in range(n)]
    for r, part in enumerate(parts):
        value, drawn = part["rise"]
        part["rise"], part["both_labels"] = (value + r, drawn + r), (r, part["both_labels"][1])
    return parts, weights


SETTLED = np.array([[True, True, True, False]] * 3)


def test_one_trained_run_has_the_patient_bootstrap():
    parts, weights = runs(1)
    found = uncertainty_claims.over_training(parts, SETTLED[:1], weights)
    for name in set(parts[0]) - {"both_labels"}:
        value, drawn = parts[0][name]
        assert found[name] == pytest.approx((value, *bootstrap.percentile_interval(drawn)))
    ends = binomtest(3, 4).proportion_ci(method="wilson")
    assert found["plateau"] == pytest.approx((0.25, ends.low - 0.5, ends.high - 0.5))


def test_several_trained_runs_are_averaged_and_their_spread_widens():
    (one, _), (parts, weights) = runs(1), runs(3)
    alone = uncertainty_claims.over_training(one, SETTLED[:1], np.zeros((400, 1)))
    found = uncertainty_claims.over_training(parts, SETTLED, weights, "nodules")
    assert found["rise"][0] == pytest.approx(alone["rise"][0] + 1)
    assert found["rise"][2] - found["rise"][1] > 2 * 3.5 / np.sqrt(3)  # t with two degrees of freedom: 2 x 4.3 / sqrt 3
    for name in ("fall", "boundary_inside", "error_maps", "referral"):
        assert found[name] == pytest.approx(alone[name])               # equal runs add nothing
    assert found["both_labels"] == pytest.approx((2, np.nan, np.nan), nan_ok=True)
    assert found["plateau"][0] == 0.25 and -0.5 < found["plateau"][1] < 0.25 < found["plateau"][2] == 0.5


def test_error_maps_are_settled_by_the_combined_difference():
    parts, weights = runs(3)
    for r, part in enumerate(parts):
        part["error_gap"] = (r - 1) * 0.3, np.full(400, (r - 1) * 0.3)    # they cancel, so the mean is no difference
    value, low, high = uncertainty_claims.over_training(parts, SETTLED, weights)["error_maps"]
    assert value == high == pytest.approx(0.1 * 2.95 / 8) and low < value - 0.3


@pytest.mark.parametrize(("gap", "found"), [((0.1, -0.2, 0.4), (0.9, 0.6, 1)), ((-3, -4, -2), (-2, -3, -1)),
                                            ((3, 2, 4), (-2, -3, -1))])
def test_alike_by_hand(gap, found):
    assert uncertainty_claims.alike(*gap, 1) == pytest.approx(found)


def test_settled_compares_the_first_k_with_all():
    prob = np.array([[0.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.0]])      # of two: 1/2 and 1/200; of four: 1/3 and .24
    assert uncertainty_claims.settled_at(prob, 2, 0.6).tolist() == [True, False]
    assert uncertainty_claims.settled_at(prob, 2, 0.4).tolist() == [False, False]


def test_plateau_of_several_runs_resamples_the_same_nodules_for_all():
    settled = np.tile(np.arange(40) % 4 > 0, (3, 1))
    value, low, high = uncertainty_claims.plateau(settled, 2000, "nodules")
    se = np.sqrt(0.75 * 0.25 / 40)
    assert value == 0.25 and (low, high) == pytest.approx((0.25 - 1.96 * se, 0.25 + 1.96 * se), abs=0.03)


@pytest.mark.parametrize(("n_train", "patients", "nodules"), [
    (1, "patients", "nodules of Figure 5"),
    (3, "patients and training seeds", "nodules of Figure 5 and training seeds")])
def test_table_has_every_declared_claim_and_says_what_its_interval_covers(n_train, patients, nodules):
    parts, weights = runs(n_train)
    found = uncertainty_claims.over_training(parts, SETTLED[:n_train], weights, "nodules")
    table = uncertainty_claims.table(found, n_train)
    assert list(table.index) == [claim.id for claim in declared("namd") if claim.table == "claims_variance"]
    assert table["over"].to_dict() == dict.fromkeys(table.index, patients) | {
        "both_labels": "counted" if n_train == 1 else "counted, in the run with most", "plateau": nodules}
    assert set(table["training_seeds"]) == {n_train}
    assert table.loc["both_labels", "verdict"] == ("holds" if n_train == 1 else "fails")
    assert table.loc["boundary_inside", "verdict"] == "holds" and table.loc["error_maps", "verdict"] == "fails"
