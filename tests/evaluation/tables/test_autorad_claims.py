"""AutoRad-Lung's claims: each asks for a line that effects writes, and each says why it may decide nothing."""

import numpy as np
import pandas as pd

from namd.evaluation.tables import autorad_claims, three_class
from namd.evaluation.tables.autorad_claims import OURS, THEIRS

ARMS = ("static", "guided", "autoregressive", "contrastive", "random encoder", "logistic", "diameter")


def test_every_claim_finds_its_one_line_in_the_effects_of_a_whole_run():
    label = np.repeat([0, 1, 2], 4)
    drawn = three_class.draw_arms(dict.fromkeys(ARMS, np.eye(3)[label]), label, np.ones((3, 12), dtype=int))
    table = three_class.effects(drawn, {50: drawn["guided"], 70: drawn["static"]}, 12, "phantom", "")
    for claim in (*THEIRS, *OURS):
        found = (table[list(claim.where)] == pd.Series(claim.where)).all(axis=1)
        assert found.sum() == 1 and table.loc[found, "value"].notna().all(), claim.id
        assert claim.table == "autorad_effects" and claim.made_by == "09" and "make autorad" in claim.absent


def test_the_papers_numbers_stand_in_its_claims():
    told = {claim.id: f"{claim.claim} {claim.statistic}" for claim in THEIRS}
    assert "by 16%" in told["autorad_unsure_recall"] and "by 24%" in told["autorad_unsure_f1"]
    assert "by 6%" in told["autorad_accuracy"] and "guided / static - 1" in told["autorad_accuracy"]
    assert told["autorad_tokens"].startswith("50 context tokens")
    assert all(claim.place.startswith("AutoRad-Lung") for claim in autorad_claims.THEIRS)


def test_every_claim_compares_with_0_and_has_the_papers_size_beside_it():
    assert {(claim.rule, claim.limit) for claim in (*THEIRS, *OURS)} == {("above", 0.0)}
    reported = {claim.id: claim.reported for claim in (*THEIRS, *OURS)}
    for name, gain in (("unsure_recall", "+0.16"), ("unsure_f1", "+0.24"), ("accuracy", "+0.06")):
        assert reported[f"autorad_{name}"] == f"{gain} over CLIP-based models"
    assert reported["autorad_tokens"] == "+0.038 over 70 tokens"
    assert {reported[claim.id] for claim in OURS} == {"no such row"}
    assert all("no size for this alone, +0.06" in reported[f"autorad_{name}"] for name in ("autoregressive", "aimv2"))


def test_aimv2_against_clip_is_the_difference_of_two_arms_or_says_whose_weights_they_read():
    label = np.repeat([0, 1, 2], 4)
    wrong = np.eye(3)[np.roll(label, 2)]
    drawn = three_class.draw_arms(dict(autoregressive=np.eye(3)[label], contrastive=wrong), label,
                                  np.ones((3, 12), dtype=int))
    published = three_class.effects(drawn, {}, 12, "LIDC", "").set_index(["row", "beside"]).loc[("AIMv2", "CLIP")]
    assert published["value"] == published["low"] == (np.roll(label, 2) != label).mean() and published["lacks"] == ""
    table = three_class.effects(drawn, {}, 12, "LIDC", "one is small").set_index(["row", "beside"])
    other = table.loc[("AIMv2", "CLIP")]
    assert np.isnan(other["value"]) and other["lacks"] == "one is small"
    assert table.loc[("autoregressive", "contrastive"), "value"] == published["value"]
