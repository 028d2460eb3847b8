"""The ledger of a small run: every verdict, every reason, and what is missing named with the command that makes it."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from namd.evaluation.tables.claims import declared
from namd.evaluation.tables.ledger import COLUMNS, ledger, near_best, settle

TABLE1 = pd.DataFrame([
    dict(row="real baseline", paper_row="Real baseline LDCT", auroc_mean=0.69, k=1),
    dict(row="record only", auroc_mean=0.80, k=1),
    dict(row="copy-baseline", lpips_mean=0.01, fid_mean=3.0, lpips_sd=0.0, fid_sd=0.0, k=1),
    dict(row="no_align_no_pred", paper_row="NAMD (w/o L_align)", lpips_mean=0.10, lpips_sd=0.0, fid_mean=0.5,
         fid_sd=0.2, k=5),
    dict(row="namd", paper_row="NAMD", lpips_mean=0.12, lpips_sd=0.0, fid_mean=0.4, fid_sd=0.1, k=5),
]).assign(n=1200, digest="1a2b3c4d")


PAIRED = [dict(row="no_align_no_pred", metric="lpips", low=-0.04, high=-0.02)]      # row - NAMD


def effect(row, quantity, value, low, high, **other):
    return dict(row=row, quantity=quantity, value=value, low=low, high=high) | other


EFFECTS = [
    effect("real baseline", "AUROC", 0.04, 0.02, 0.06, training_seeds=3, over="patients, runs and training seeds"),
    effect("real baseline", "AUPRC", 0.01, -0.03, 0.05),
    effect("direct", "AUROC", -0.08, -0.11, -0.05),
    effect("frozen_prompts", "AUROC", -0.001, -0.004, 0.002),
    effect("soft prompts", "AUROC", 0.004, 0.001, 0.007),
    effect("scratch", "AUROC", 0.03, 0.01, 0.05),
    effect("scratch", "FID", 0.02, 0.01, 0.03),
    effect("no_llm", "AUROC", 0.001, -0.009, 0.011),
    effect("real follow-up", "gap closed", 0.6, 0.45, 0.75),
    effect("oracle", "gap closed", np.nan, np.nan, np.nan),
    effect("copy-baseline", "LPIPS", 0.1, 0.09, 0.11),
]
SPREAD = [dict(id="both_labels", value=0, low=np.nan, high=np.nan, verdict="holds", n=1200, k=4),
          dict(id="plateau", value=0.1, low=-0.1, high=0.3, verdict="undecided", n=50, k=30)]


@pytest.fixture
def folder(tmp_path):
    """A finished run with three of the ledger's tables."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "arms" / "namd" / "runs").mkdir(parents=True)
    record = dict(run_name="quick", source="phantom", parameters=dict(eval_lpips_net="alex", lpips_weights="random"))
    (tmp_path / "runs" / "05.json").write_text(json.dumps(record))
    (tmp_path / "runs" / "01.json").write_text('{"parameters": {"phantom_null": "none"}}')
    (tmp_path / "arms" / "namd" / "runs" / "02.json").write_text('{"parameters": {"align_latent": "flat"}}')
    (tmp_path / "arms" / "namd" / "runs" / "04.json").write_text('{"numbers": {"prompts_moved": 0.00088}}')
    readings = pd.DataFrame(dict(row=["namd"], run=[0], pair_id=["a"], prob=[0.5]))
    readings.to_parquet(tmp_path / "metrics" / "probabilities.parquet")
    for name, table in (("table1", TABLE1), ("differences", PAIRED), ("effects", EFFECTS), ("claims_variance", SPREAD)):
        pd.DataFrame(table).to_csv(tmp_path / "metrics" / f"{name}.csv", index=False)
    return tmp_path


@pytest.fixture
def lines(folder):
    return ledger(folder, "namd", ["no_align_no_pred", "no_text"]).set_index("id")


def test_no_claim_vanishes(folder):
    arms = ["no_align_no_pred", "no_text"]
    found = ledger(folder, "namd", arms)
    assert list(found["id"]) == [claim.id for claim in declared("namd", arms)] and list(found) == COLUMNS
    assert set(found["data"]) == {"phantom"}


@pytest.mark.parametrize(("id", "verdict", "why"), [
    ("gain", "holds", "the interval lies above 0; 3 training seeds"),
    ("gain_auprc", "undecided", "the interval contains 0: to settle this effect takes about 16.0 times the patients"),
    ("direct", "fails", "the interval lies below 0; likely cause: the record alone reaches 0.800"),
    ("nearness", "undecided", "the interval contains 0.5: to settle this effect takes about 2.3 times the patients"),
    ("oracle", "not comparable", "the number does not exist here"),
    ("copy", "not comparable", "another ruler: random LPIPS weights; by the rule it fails"),
    ("lpips_best", "not comparable", "only no_align_no_pred, no compared system"),
    ("both_labels", "holds", "counted; one training seed"),
    ("plateau", "undecided", "the interval contains 0"),
    ("prompts", "undecided", "likely cause: NAMD's own prompts moved by 0.09% of their length"),
    ("prompts_eq10", "holds", "the interval lies above 0"),
    ("pretraining", "holds", "the interval lies above 0"),
    ("pretraining_fid", "fails", "the interval lies above 0"),
    ("text", "undecided", "the interval contains 0: to settle this effect takes about 100.0 times the patients"),
    ("best", "not run here", "make table1"),
    ("autorad_unsure_f1", "not run here", "make autorad PROFILE=quick"),
    ("autorad_logistic", "not run here", "make autorad PROFILE=quick"),
    ("rise", "not run here", "python -m namd run 06 --params params/quick.yaml"),
    ("no_align_auroc", "not run here", "make ablations PROFILE=quick"),
    ("no_text_auroc", "not run here", "make ablations PROFILE=quick"),
    ("no_align_no_pred_order_flat", "not run here", "python -m namd run 07 --params params/quick.yaml"),
])
def test_verdict_and_reason(lines, id, verdict, why):
    assert lines.loc[id, "verdict"] == verdict
    assert why in lines.loc[id, "why"]


def test_equal_rows_need_no_more_patients(folder):
    same = [row | dict(value=0, low=0, high=0) if row["row"] == "no_llm" else row for row in EFFECTS]
    pd.DataFrame(same).to_csv(folder / "metrics" / "effects.csv", index=False)
    text = ledger(folder, "namd", ["no_text"]).set_index("id").loc["text"]
    assert text["verdict"] == "undecided" and "the interval contains 0: the effect lies on it" in text["why"]


def test_a_line_says_what_its_interval_rests_on(lines):
    gain, plateau = lines.loc["gain"], lines.loc["plateau"]
    assert (gain["effect"], gain["low"], gain["high"]) == (0.04, 0.02, 0.06)
    assert (gain["over"], gain["n"], gain["k"], gain["training_seeds"]) == (
        "patients, runs and training seeds", 1200, 5, 3)
    assert (plateau["over"], plateau["n"], plateau["k"], plateau["training_seeds"]) == (
        "nodules of Figure 5", 50, 30, 1)
    assert "one training seed" in plateau["why"]


RECORD = ["sd15_report", "sd15_record", "imageflownet_record", "imageflownet_gain"]


def write_systems(folder, digest):
    """What notebook 08 leaves: two rows, one of them the paper's, and NAMD's distance to the best."""
    rows = [dict(row="mcwgan", paper_row="McWGAN", lpips_mean=0.2, fid_mean=0.1, lpips_sd=0, fid_sd=0, k=1),
            dict(row="brlp", paper_row="", lpips_mean=0.01, fid_mean=0.01, lpips_sd=0, fid_sd=0, k=5)]
    best = [dict(quantity="AUROC", row="mcwgan", value=0.03, low=0.01, high=0.05)]
    steps = [dict(row="namd", beside="sd15_report", quantity="AUROC", value=0.01, low=-0.01, high=0.03),
             dict(row="sd15_report", beside="sd15", quantity="AUROC", value=0.05, low=0.02, high=0.08),
             dict(row="namd", beside="imageflownet_record", quantity="AUROC", value=-0.03, low=-0.04, high=-0.02),
             dict(row="imageflownet_record", beside="imageflownet", quantity="AUROC", value=0.04, low=0.0, high=0.08)]
    for name, table in (("comparators", rows), ("best_system", best), ("record_controls", steps)):
        pd.DataFrame(table).assign(table1_digest=digest).to_csv(folder / "metrics" / f"{name}.csv", index=False)


def test_the_compared_systems_settle_what_waited_for_them(folder):
    write_systems(folder, "1a2b3c4d")
    lines = ledger(folder, "namd", []).set_index("id")
    assert lines.loc["best", "verdict"] == "holds" and lines.loc["best", "effect"] == 0.03
    assert lines.loc["lpips_best", "verdict"] == "fails"                # a system of ours does not count
    assert lines.loc["fid_best", "effect"] == pytest.approx(0.4 / 0.1 - 1)
    assert lines.loc[RECORD, "verdict"].tolist() == ["undecided", "holds", "fails", "undecided"]


def test_systems_beside_another_table_1_settle_nothing(folder):
    write_systems(folder, "other")
    lines = ledger(folder, "namd", []).set_index("id")
    assert lines.loc["best", "verdict"] == "not run here" and lines.loc["lpips_best", "verdict"] == "not comparable"


def test_systems_change_the_lines_that_waited_for_them_alone(folder):
    before = ledger(folder, "namd", ["no_align_no_pred", "no_text"])
    write_systems(folder, "1a2b3c4d")
    after = ledger(folder, "namd", ["no_align_no_pred", "no_text"])
    different = [one.id for one, other in zip(before.itertuples(), after.itertuples(), strict=True)
                 if str(one) != str(other)]
    assert different == ["best", "lpips_best", "fid_best", *RECORD]


def test_a_notebook_settles_what_rests_on_its_own_tables(folder):
    whole = ledger(folder, "namd", ["no_text"]).set_index("id")
    parts = [ledger(folder, "namd", ["no_text"], notebooks).set_index("id")
             for notebooks in (("05", "07"), ("06",), ("08",), ("09",))]
    (folder / "metrics" / "claims_variance.csv").unlink()
    pd.testing.assert_frame_equal(parts[0], ledger(folder, "namd", ["no_text"], ("05", "07")).set_index("id"))
    assert "gain" in parts[0].index and "plateau" in parts[1].index
    assert parts[2].index.tolist() == ["best", *RECORD] and set(parts[3]["verdict"]) == {"not run here"}
    pd.testing.assert_frame_equal(pd.concat(parts).loc[whole.index], whole, check_dtype=False)


def test_a_main_arm_by_another_name_is_settled_alike(folder):
    write_systems(folder, "1a2b3c4d")
    before = ledger(folder, "namd", ["no_text"])
    (folder / "arms" / "namd").rename(folder / "arms" / "mine")
    for file in folder.glob("metrics/*.csv"):
        pd.read_csv(file).replace({"row": {"namd": "mine"}}).to_csv(file, index=False)
    readings = pd.read_parquet(folder / "metrics" / "probabilities.parquet").replace({"row": {"namd": "mine"}})
    readings.to_parquet(folder / "metrics" / "probabilities.parquet")
    pd.testing.assert_frame_equal(ledger(folder, "mine", ["no_text"]), before)


AUTORAD = [
    ("unsure recall, relative", "guided", "static", 0.24, 0.17, 0.31),
    ("unsure F1, relative", "guided", "static", 0.1, -0.05, 0.25),
    ("accuracy", "autoregressive", "contrastive", 0.084, 0.051, 0.118),
    ("accuracy", "autoregressive", "random encoder", -0.013, -0.043, 0.018),
    ("accuracy", "AIMv2", "CLIP", np.nan, np.nan, np.nan),
    ("macro F1", "guided", "logistic", -0.02, -0.03, -0.01),
    ("accuracy", "50 tokens", "best other length", np.nan, np.nan, np.nan),
]


def write_autorad(folder, data="phantom"):
    """What the second system's notebook leaves."""
    table = pd.DataFrame(AUTORAD, columns=["quantity", "row", "beside", "value", "low", "high"])
    table.assign(over="patients", n=1100, k=1, training_seeds=1, data=data).to_csv(
        folder / "metrics" / "autorad_effects.csv", index=False)


def test_the_second_system_settles_its_own_claims_alone(folder):
    before = ledger(folder, "namd", []).set_index("id")
    write_autorad(folder, "LIDC")
    lines = ledger(folder, "namd", []).set_index("id")
    own = lines.index.str.startswith("autorad_")
    pd.testing.assert_frame_equal(before[~own], lines[~own])
    assert lines[own]["verdict"].to_dict() == dict(
        autorad_unsure_recall="holds", autorad_unsure_f1="undecided", autorad_accuracy="not run here",
        autorad_autoregressive="not comparable", autorad_aimv2="not comparable", autorad_tokens="not comparable",
        autorad_logistic="fails", autorad_diameter="not run here")
    recall = lines.loc["autorad_unsure_recall"]
    assert (recall["effect"], recall["n"], recall["k"], recall["data"]) == (0.24, 1100, 1, "LIDC")
    bounds = f"[{recall['low']:+.3f}, {recall['high']:+.3f}]"
    assert f"measured +0.240 {bounds}, the paper: +0.16 over CLIP-based models; one" in recall["why"]
    assert "measured" not in lines.loc["autorad_tokens", "why"] and "measured" not in lines.loc["gain", "why"]
    assert lines.loc["gain", "data"] == "phantom"


@pytest.mark.parametrize(("id", "why"), [
    ("autorad_autoregressive", "with random weights the encoder is read as well"),
    ("autorad_autoregressive", "by the rule it holds"),
    ("autorad_aimv2", "it needs the published weights of both encoders"),
    ("autorad_tokens", "the number does not exist here"),
    ("autorad_diameter", "make autorad PROFILE=quick")])
def test_the_second_systems_claims_say_why_they_decide_nothing(folder, id, why):
    write_autorad(folder)
    assert why in ledger(folder, "namd", []).set_index("id").loc[id, "why"]


def test_near_best_looks_at_trained_generators_only():
    paired = pd.DataFrame(PAIRED)
    found = near_best(TABLE1, "namd", paired).set_index("quantity")
    assert found.loc["lpips", "value"] == pytest.approx(0.2) and found.loc["fid", "value"] == pytest.approx(-0.2)
    half = t.ppf(0.975, 4) * np.hypot(0.1, 0.2) / 2 / 0.5
    assert found.loc["fid", "high"] == pytest.approx(-0.2 + half)
    assert found.loc["lpips", ["low", "high"]].tolist() == pytest.approx([0.2, 0.4])
    assert found["over"].tolist() == ["patients", "runs"]
    assert near_best(TABLE1[TABLE1["row"] != "no_align_no_pred"], "namd", paired)["value"].isna().all()
    inception = TABLE1.assign(fid_inception_mean=2 * TABLE1["lpips_mean"], fid_inception_sd=0.0)
    assert near_best(inception, "namd", paired).set_index("quantity").loc["fid", "value"] == found.loc["lpips", "value"]


@pytest.mark.parametrize(("rule", "limit", "low", "high", "found"), [
    ("above", 0.5, 0.6, 0.9, "holds"), ("above", 0.5, 0.1, 0.4, "fails"), ("above", 0.5, 0.4, 0.6, "undecided"),
    ("below", 0.1, -0.2, 0.05, "holds"), ("below", 0.1, 0.2, 0.3, "fails"), ("below", 0.1, 0.05, 0.2, "undecided")])
def test_a_claim_is_settled_by_its_interval(rule, limit, low, high, found):
    assert settle(rule, limit, low, high) == found
