"""The phantom's law: hand-computed risks, the published table of the feasibility study, the dial and both nulls."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from namd.data.phantom import growth
from namd.data.phantom import law as laws
from namd.data.phantom.law import Law
from namd.data.report import FAMILY
from namd.ground.errors import UserError

ONE = pd.DataFrame({"age": [62], "gender": [1], "diagemph": [0], **{name: [0] for name in FAMILY},
                    "sct_pre_att": [1], "sct_epi_loc": [3], "sct_margins": [2], "longest_mm": [10.],
                    "perpendicular_mm": [8.]})


def many(names, n, seed):
    """Uniform draws for n subjects at once."""
    return dict(zip(names, np.random.default_rng(seed).uniform(1e-9, 1 - 1e-9, (len(names), n)), strict=True))


def population(law, n=40_000, seed=0):
    u = many(laws.SUBJECT_DRAWS, n, seed)
    rows = pd.concat([laws.draw_patient(u), laws.draw_nodule(u)], axis=1)
    return rows.join(posterior_and_year(rows, law, seed + 1))


def posterior_and_year(rows, law, seed):
    hidden = laws.draw_posterior(rows, law, many(laws.POSTERIOR_DRAWS, len(rows), seed))
    return hidden.join(growth.follow_up(rows.join(hidden), law, many(growth.VISIT_DRAWS, len(rows), seed + 1000)))


def visible(rows, prefix=""):
    kind, margin = rows[prefix + "sct_pre_att"], rows[prefix + "sct_margins"]
    long, short = (rows[prefix + name] for name in ("longest_mm", "perpendicular_mm"))
    return np.column_stack([np.log(long), np.log(short), kind == 2, kind == 3, margin == 1, margin == 3]).astype(float)


def table(law):
    """AUROC of x1 attributes, x2 attributes, the oracle's x2 attributes, and the true risk."""
    rows = population(law)
    half, label = len(rows) // 2, rows["label"].to_numpy()
    fits = [LogisticRegression(max_iter=1000).fit(visible(rows, p)[:half], label[:half]) for p in ("", "t1_")]
    again = posterior_and_year(rows[list(ONE)], law, seed=77)
    scores = (fits[0].predict_proba(visible(rows)), fits[1].predict_proba(visible(rows, "t1_")),
              fits[1].predict_proba(visible(again, "t1_")))
    return [roc_auc_score(label[half:], s[half:, 1]) for s in scores] + [roc_auc_score(label, laws.risk(rows, law))]


def test_eta_by_hand():
    assert laws.nodule_terms(ONE)[0] == pytest.approx(-5.3854 * (1 - 1.58113883))
    assert laws.patient_terms(ONE)[0] == 0
    other = ONE.assign(age=72, gender=2, diagemph=1, famfather=1, fambrother=1, famsister=1, sct_pre_att=3,
                       sct_margins=1, sct_epi_loc=4)
    assert laws.patient_terms(other)[0] == pytest.approx(1.3 * (.778 + .6011 + 2 * .587 + 1.14))
    assert (laws.nodule_terms(other) - laws.nodule_terms(ONE))[0] == pytest.approx(.377 + .7729 + .6581)


@pytest.mark.parametrize("null", laws.NULLS)
def test_mean_risk_is_fifteen_percent(null):
    rows = population(Law(null=null))
    assert expit(laws.eta(rows, Law(null=null))).mean() == pytest.approx(.15, abs=.004)


def test_risk_integrates_the_unpredictable_part():
    law = Law(eps=2.)
    draws = laws.eta(ONE, law)[0] + 2 * np.random.default_rng(1).normal(size=400_000)
    assert laws.risk(ONE, law)[0] == pytest.approx(expit(draws).mean(), abs=.002)
    assert laws.risk(ONE, Law(eps=0.))[0] == pytest.approx(expit(laws.eta(ONE, Law())[0]))


def test_risk_without_record_is_the_mean_over_the_population():
    n = 40_000
    flags = laws.draw_patient(many(laws.SUBJECT_DRAWS, n, 5))[["diagemph", *FAMILY]]
    same = ONE.iloc[[0] * n].reset_index(drop=True).assign(**flags)
    assert laws.risk_without_record(ONE, Law())[0] == pytest.approx(laws.risk(same, Law()).mean(), abs=.002)


def test_the_published_table_at_the_default_dial():
    x1, x2, oracle, risk = table(Law())
    assert [x1, x2, oracle, risk] == pytest.approx([.736, .804, .789, .835], abs=.02)
    assert .6 < (oracle - x1) / (x2 - x1) < .95


def test_the_dial_takes_the_oracle_down():
    gaps = [(t[2] - t[0]) / (t[1] - t[0]) for t in (table(Law(eps=eps)) for eps in (.2, 1., 2.))]
    assert gaps[0] > .8 and .25 < gaps[1] < .6 and gaps[2] < .2


def test_null_growth_given_label_leaves_nothing_to_find():
    law = Law(null="growth_given_label")
    rows = population(law)
    x1, x2, oracle, _ = table(law)
    assert x2 > .86 and abs(oracle - x1) / (x2 - x1) < .12
    sick = rows[(rows["label"] == 1) & (rows["sct_pre_att"] == 1)]
    assert abs(np.corrcoef(sick["growth"], laws.eta(sick, law))[0, 1]) < .06
    usual = population(Law())
    usual = usual[(usual["label"] == 1) & (usual["sct_pre_att"] == 1)]
    assert np.corrcoef(usual["growth"], laws.eta(usual, Law()))[0, 1] > .4


def test_null_no_record_effect_ignores_record_and_lobe():
    law, other = Law(null="no_record_effect"), ONE.assign(age=76, gender=2, diagemph=1, famchild=1, sct_epi_loc=1)
    assert laws.eta(other, law)[0] == laws.eta(ONE, law)[0]
    x1, x2, oracle, risk = table(law)
    assert max(x2, oracle, risk) - x1 < .015


def test_milder_growth_grows_less():
    fast, mild = (population(Law(gmax=g)).query("label == 1")["growth"].mean() for g in (.8, .5))
    assert mild < .7 * fast


def test_a_subject_does_not_depend_on_the_others():
    rows, few = laws.draw_subjects(6, seed=3), laws.draw_subjects(2, seed=3, first=2)
    pd.testing.assert_frame_equal(rows.loc[2:3], few, check_exact=True, check_index_type=False)
    year, part = growth.draw_follow_up(rows, 3), growth.draw_follow_up(rows.loc[[4, 1]], 3)
    pd.testing.assert_frame_equal(year.loc[[4, 1]], part, check_exact=True, check_index_type=False)
    assert not laws.draw_subjects(6, seed=4).equals(rows)


def test_changes_go_one_way_and_diameters_stay_in_range():
    rows = population(Law())
    assert rows["t1_longest_mm"].between(3, 34).all() and rows["longest_mm"].between(4, 28).all()
    assert (rows["t1_perpendicular_mm"] <= rows["t1_longest_mm"]).all()
    assert set(rows.loc[rows["sct_pre_att"] == 2, "t1_sct_pre_att"]) == {2, 3}
    assert (rows.loc[rows["sct_margins"] == 1, "t1_sct_margins"] == 1).all()


@pytest.mark.parametrize("wrong", [{"null": "other"}, {"eps": -1.}, {"gmax": 0.}])
def test_wrong_parameters_are_named(wrong):
    with pytest.raises(UserError, match=f"phantom_{next(iter(wrong))}"):
        laws.draw_subjects(1, 0, **wrong)
