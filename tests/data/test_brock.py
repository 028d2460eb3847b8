"""The Brock model against hand-computed risks of the published full model."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from namd.data import brock
from namd.data.report import EHR

PLAIN = dict.fromkeys(EHR, 0) | dict(age=62, gender=1, sct_pre_att=1, sct_epi_loc=3, sct_margins=2, sct_long_dia=4.0,
                                     sct_perp_dia=4.0)


def log_odds(**changes):
    """Log odds of one record, PLAIN but for `changes`."""
    n_nodules = changes.pop("n_nodules", 4)
    frame = pd.DataFrame([PLAIN | changes]).astype(dict(sct_long_dia="float32", age="Int16", gender="Int8"))
    return logit(brock.risk(frame, n_nodules)[0])


def test_the_plain_record_has_the_constant_alone():
    assert log_odds() == pytest.approx(-6.7892, abs=1e-6)
    assert brock.risk(pd.DataFrame([PLAIN]))[0] == pytest.approx(0.00112, abs=1e-5)


@pytest.mark.parametrize(("changes", "term"), [
    (dict(age=72), 0.287), (dict(gender=2), 0.6011), (dict(diagemph=1), 0.2953), (dict(famchild=1), 0.2961),
    (dict(famfather=1, fambrother=1), 0.2961), (dict(sct_long_dia=10.0), 5.3854 * 0.58113883),
    (dict(sct_long_dia=40.0), 5.3854 * (1.58113883 - 0.5)), (dict(sct_pre_att=2), -0.1276),
    (dict(sct_pre_att=3), 0.377), (dict(sct_epi_loc=1), 0.6581), (dict(sct_epi_loc=4), 0.6581),
    (dict(sct_epi_loc=5), 0), (dict(sct_margins=1), 0.7729), (dict(sct_margins=3), 0), (dict(n_nodules=6), -0.1648),
    (dict(sct_perp_dia=1.0), 0), (dict(sct_pre_att=6), 0),
])
def test_each_term_by_hand(changes, term):
    assert log_odds(**changes) + 6.7892 == pytest.approx(term, abs=2e-6)


def test_a_woman_of_the_notebook():
    got = log_odds(age=72, gender=2, diagemph=1, famfather=1, sct_long_dia=10.0, sct_margins=1, sct_epi_loc=1)
    assert got == pytest.approx(-6.7892 + 0.287 + 0.6011 + 0.2953 + 0.2961 + 3.1297 + 0.7729 + 0.6581, abs=1e-4)


@pytest.mark.parametrize("missing", EHR)
def test_what_is_missing_has_the_term_0(missing):
    blank = pd.DataFrame([PLAIN | {missing: None}, PLAIN]).convert_dtypes()
    assert brock.risk(blank) == pytest.approx(brock.risk(pd.DataFrame([PLAIN, PLAIN])))


def test_risks_are_probabilities_of_every_record():
    rng, n = np.random.default_rng(0), 200
    frame = pd.DataFrame({name: rng.integers(0, 10, n) for name in EHR}).assign(sct_long_dia=rng.uniform(3, 200, n))
    risk = brock.risk(frame)
    assert risk.shape == (n,) and ((risk > 0) & (risk < 1)).all()
