import numpy as np
import pandas as pd
import pytest

from namd.evaluation.stats import bootstrap, metrics
from namd.evaluation.tables import dial
from namd.ground.seeding import numpy_rng

RNG = numpy_rng("test dial")
LABEL = (np.arange(300) < 60).astype(int)
COUNTS = bootstrap.resample_counts(LABEL, 200, "test dial")


def told(strength, k=1):
    """(k, N) scores that know the label as far as `strength` says."""
    return strength * LABEL + RNG.normal(size=(k, len(LABEL)))


def position(**changed):
    prob = {"real baseline": told(0.6), "namd": told(0.9, 3), "oracle": told(1.0, 2), "real follow-up": told(1.8),
            "permuted patients": told(0.8, 3)}
    return dial.position(LABEL, prob | changed, COUNTS, "namd").set_index("quantity")


def test_a_position_holds_aurocs_gains_and_the_gap_closed_with_intervals():
    table = position()
    assert list(table.index) == [*dial.rows("namd"), *dial.gains("namd"), "gap closed", "oracle's gap closed"]
    auroc = table["value"]
    assert auroc["namd - baseline"] == pytest.approx(auroc["namd"] - auroc["real baseline"])
    assert auroc["gap closed"] == pytest.approx(
        (auroc["namd"] - auroc["real baseline"]) / (auroc["real follow-up"] - auroc["real baseline"]))
    assert table.loc["oracle's gap closed", "value"] == pytest.approx(
        auroc["namd - baseline"] / auroc["oracle - baseline"])
    assert auroc["namd - permuted patients"] == pytest.approx(auroc["namd"] - auroc["permuted patients"])
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()


def test_runs_are_averaged_one_by_one():
    p = told(0.5, 4)
    each = np.mean([metrics.auroc(LABEL, run) for run in p])
    assert position(namd=p).loc["namd", "value"] == pytest.approx(each)
    assert each < metrics.auroc(LABEL, p.mean(0))


def test_a_copy_gains_nothing_and_without_a_gap_there_is_no_share():
    table = position(**dict.fromkeys(("real baseline", "namd"), told(0.6)))
    assert table.loc["namd - baseline", ["value", "low", "high"]].eq(0).all() and table.loc["gap closed", "value"] == 0
    blind = position(**{"real baseline": told(3.0)})
    assert blind.loc["gap closed"].isna().all() and blind.loc["namd - baseline", "high"] < 0


def test_titles_say_what_becomes_of_the_gain():
    table = pd.DataFrame({"quantity": "namd - baseline", "eps": [0.45, 2, 0.2, 0.45], "value": [.05, .01, .08, .3],
                          "low": [.02, -.01, .05, .1], "null": ["none"] * 3 + ["no_record_effect"]})
    assert dial.falls(table, "namd") == ("The more chance decides, a drawn follow-up is worth less: +0.080 in AUROC at"
                                         " phantom_eps 0.2, +0.010 at 2")
    assert "worth no less: +0.050" in dial.falls(table[table["eps"] > .2].assign(value=.05), "namd")
    assert dial.falls(table[table["eps"] == .45], "namd").endswith("worth +0.050 in AUROC at phantom_eps 0.45")
    assert dial.holds(table, "namd").endswith("beyond chance, in 3 of 4 cohorts")
