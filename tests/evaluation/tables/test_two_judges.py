"""Two judges of the same rows: their ranks, the verdicts that survive, and doubt beside variance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from namd.evaluation.stats import metrics
from namd.evaluation.stats.bootstrap import percentile_interval, resample_counts
from namd.evaluation.tables import two_judges

RNG = np.random.default_rng(0)
LABEL = np.repeat([0, 1], [60, 30])
PATIENT = np.repeat(np.arange(45), 2)
COUNTS = resample_counts(LABEL, 200, "t", patient=PATIENT)


def told(skill, k=2):
    """K readings that tell the label more or less."""
    return skill * LABEL + RNG.normal(size=(k, 90))


PROB = {"first": {"worst": told(0), "middle": told(1), "best": told(4), "image alone": told(1)},
        "second": {"worst": told(0), "middle": told(4), "best": told(1.5)}}
DRAWN = two_judges.draw_judges(LABEL, PROB, COUNTS)


def test_rows_that_both_judges_read_with_the_auroc_of_each():
    table = two_judges.rows_by_judge(DRAWN).set_index("row")
    assert table.index.tolist() == ["worst", "middle", "best"]
    for judge in ("first", "second"):
        expected = [metrics.over_runs(metrics.auroc, LABEL, PROB[judge][row])[0] for row in table.index]
        assert table[judge].tolist() == pytest.approx(expected)
        assert (table[f"{judge}_low"] <= table[judge]).all() and (table[judge] <= table[f"{judge}_high"]).all()


def test_rank_agreement_is_spearmans_of_the_rows_in_every_resample():
    value, low, high = two_judges.rank_agreement(DRAWN)
    both = [np.array(list(DRAWN[judge].values())) for judge in ("first", "second")]
    each = [spearmanr(both[0][:, i], both[1][:, i]).statistic for i in range(201)]
    assert value == pytest.approx(each[0]) == 0.5                   # worst is last for both, the others exchanged
    assert (low, high) == pytest.approx(percentile_interval(each[1:]))
    assert two_judges.rank_agreement(DRAWN, ["worst", "middle"])[0] == 1
    alike = {judge: {row: np.full(3, 0.5) for row in "ab"} for judge in ("first", "second")}
    assert np.isnan(two_judges.rank_agreement(alike)[0])


def test_rank_agreement_does_not_know_the_order_of_the_rows():
    rows = [f"row {i}" for i in range(12)]
    many = {judge: {row: RNG.normal(size=201).round(1) for row in rows} for judge in ("first", "second")}
    found = {two_judges.rank_agreement(many, RNG.permutation(rows)) for _ in range(8)}
    assert found == {two_judges.rank_agreement(many, set(rows))} and 0 < abs(found.pop()[0]) < 1


def drawn(first, second):
    """Draws of two rows that differ by `first` for one judge and by `second` for the other, each in every resample."""
    return {"first": {"a": np.array(first), "b": np.zeros(3)}, "second": {"a": np.array(second), "b": np.zeros(3)}}


@pytest.mark.parametrize(("first", "second", "verdicts", "survives"), [
    ([0.1, 0.1, 0.2], [0.3, 0.1, 0.2], ["above 0", "above 0"], "yes"),
    ([-0.1, -0.1, -0.2], [-0.3, -0.1, -0.2], ["below 0", "below 0"], "yes"),
    ([0.1, 0.1, 0.2], [-0.3, -0.1, -0.2], ["above 0", "below 0"], "no: turned round"),
    ([0.1, 0.1, 0.2], [0.1, -0.1, 0.2], ["above 0", "undecided"], "no: undecided by the second"),
    ([0.1, -0.1, 0.2], [0.1, 0.1, 0.2], ["undecided", "above 0"], "no: undecided by the first"),
    ([0.1, -0.1, 0.2], [0.1, -0.1, 0.2], ["undecided", "undecided"], "undecided by both")])
def test_a_verdict_survives_where_both_intervals_lie_on_one_side(first, second, verdicts, survives):
    line = two_judges.survival(drawn(first, second), [("a", "b"), ("a", "missing")])
    assert len(line) == 1 and line[["first_verdict", "second_verdict"]].iloc[0].tolist() == verdicts
    assert line["survives"].iloc[0] == survives and line["first"].iloc[0] == first[0]


def test_both_judges_read_the_same_resamples():
    line = two_judges.survival(DRAWN, [("best", "worst")]).iloc[0]
    difference = DRAWN["second"]["best"] - DRAWN["second"]["worst"]
    assert (line["second_low"], line["second_high"]) == pytest.approx(percentile_interval(difference[1:]))


def test_doubt_in_sixths_of_the_variance():
    variance = np.arange(12)[::-1] / 10
    unsure = np.where(variance > 0.85, 0.9, 0.2)                    # the three of most variance
    counts = np.vstack([np.ones((3, 12), dtype=int), 2 * np.eye(12, dtype=int)[:1]])
    table = two_judges.by_variance(unsure, variance, counts)
    assert table["part"].tolist() == [1, 2, 3, 4, 5, 6] and set(table["n"]) == {2}
    assert table["variance"].tolist() == pytest.approx([0.05, 0.25, 0.45, 0.65, 0.85, 1.05])
    assert table["value"].tolist() == pytest.approx([0.2, 0.2, 0.2, 0.2, 0.55, 0.9])
    assert sorted(two_judges.by_variance(unsure, np.zeros(12), counts, parts=5)["n"]) == [2, 2, 2, 3, 3]
    assert (table["low"] <= table["value"]).all()


def test_both_judges_are_asked_for_the_real_images_and_for_namd_beside_every_row_but_the_copy():
    rows = ["real baseline", "real follow-up", "copy-baseline", "namd", "oracle"]
    assert two_judges.asked(rows, "namd") == [
        ("real follow-up", "real baseline"), ("namd", "real baseline"), ("namd", "real follow-up"), ("namd", "oracle")]


def test_the_answer_of_09_is_shown_about_the_readings_it_was_asked_about_alone(tmp_path):
    judged = two_judges.draw_judges(LABEL, {judge: {row: p[:1] for row, p in PROB[judge].items()} for judge in PROB},
                                    COUNTS)
    assert two_judges.as_kept(tmp_path, LABEL, PROB["first"]).empty
    two_judges.rows_by_judge(judged).to_csv(tmp_path / "two_judges.csv", index=False)
    pairs = [("best", "worst"), ("best", "middle")]
    two_judges.survival(judged, pairs).to_csv(tmp_path / "two_judges_claims.csv", index=False)
    asked = two_judges.as_kept(tmp_path, LABEL, PROB["first"])
    assert list(zip(asked["row"], asked["beside"], strict=True)) == pairs
    assert asked["survives"].tolist() == two_judges.survival(judged, pairs)["survives"].tolist()
    other = PROB["first"] | {"middle": PROB["first"]["middle"] - LABEL}
    assert two_judges.as_kept(tmp_path, LABEL, other)["beside"].tolist() == ["worst"]


def test_the_second_judge_is_counted_in_a_sentence():
    none = two_judges.as_kept(Path("nowhere"), LABEL, {})
    assert "make autorad" in two_judges.in_words(none)
    asked = pd.DataFrame({"first_verdict": ["above 0", "below 0", "undecided", "above 0"],
                          "survives": ["yes", "no: turned round", "undecided by both", "yes"]})
    assert two_judges.in_words(asked) == ("Of 4 differences the first judge decides 3; the second one gives the same"
                                          " verdict on 2 of these.")
