"""From an empty folder to the ledger: `namd fetch` from a stand-in of IDC's bucket, then 01 to 07 of open_quick.

24 participants, smoke's sizes and one arm. Where a notebook trains or draws, its cells run as a script: imports cost
more than these participants.
"""

import shutil

import forked
import pandas as pd
import pytest
from open_subjects import write_listed
from stand_in import METADATA, StandIn

from namd.__main__ import main
from namd.data.cohort import Cohort
from namd.data.open import public
from namd.data.report import CDAS_ONLY, NODULE, report_text
from namd.ground import order, paths
from namd.study.runner.plan import Plan

SOURCE = "open NLST, 7 of 13 features"
SCRIPTS = ("02", "03", "04", "06")
FILES = [paths.REPO / "params" / f"{name}.yaml" for name in ("open_quick", "smoke")]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """(plan, folder) of a run whose every command has succeeded."""
    home = tmp_path_factory.mktemp("open")
    server = StandIn(write_listed(home / "whole", 24), home / "package")
    pairs = ["data_source=open", f"data_delivery={home / 'delivery'}", "run_name=open_small", "compare_arms=[namd]"]
    plan = Plan(FILES, pairs)
    words = [word for file in FILES for word in ("--params", str(file))]
    words += [word for pair in pairs for word in ("-p", pair)]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(home / "package"))
        patch.setenv("NAMD_OPEN_ENDPOINT", server.endpoint)
        patch.setenv("NAMD_OUTPUTS", str(home / "outputs"))
        for name, file in (("nlstx", "nodule_centres.csv"), ("gmae", "gmae.csv")):
            server.put(f"lists/{file}", (home / "whole" / file).read_bytes(), METADATA)
            published = public.Published(f"{server.endpoint}/{METADATA}/lists/{file}", public.LISTS[name].file)
            patch.setitem(public.LISTS, name, published)
        assert main(["fetch", *words]) == 0
        server.server.stop()
        shutil.rmtree(home / "whole")
        forked.warm()
        for number in ("01", "02", "03", "04", "05", "06", "07"):
            if number in SCRIPTS:
                run_script(number, plan.parameters(plan.asked(number)), home / "outputs")
            else:
                assert main(["run", number, *words]) == 0
        assert main(["page", *words]) == 0
    return plan, home / "outputs" / "open_small"


def run_script(number, parameters, outputs):
    process = forked.start(forked.cells, number, parameters, outputs, outputs / f"{number}.txt")
    process.join()
    assert process.exitcode == 0


@pytest.fixture(scope="module")
def cohort(series):
    return Cohort.open(series[1] / "cohort")


def test_every_notebook_has_ended_and_says_whose_data_these_are(series):
    plan, folder = series
    for job in plan.jobs():
        if "01" <= job.number <= "07":
            assert (folder / job.folder / "runs" / f"{job.number}.json").is_file()
            page = folder / job.folder / "notebooks" / f"{order.notebook(job.number).stem}.html"
            said = folder.parent / f"{job.number}.txt" if job.number in SCRIPTS else page
            assert job.number == "01" or f"data      {SOURCE}" in said.read_text(encoding="utf-8")
            assert job.number in SCRIPTS or (folder / job.mark).is_file()


def test_the_cohort_is_that_of_both_lists_with_what_they_do_not_tell(cohort):
    pairs = cohort.pairs
    kinds = set(zip(pairs.center_source, pairs.link_tier, pairs.t0_year, strict=True))
    assert kinds == {("nlstx", "A", 0), ("gmae", "C", 0), ("gmae", "C", 1)}
    assert pairs[CDAS_ONLY].isna().all(axis=None) and pairs[["age", "gender"]].notna().all(axis=None)
    nameless = pairs[pairs[NODULE].isna().all(axis=1)]
    assert 0 < len(nameless) < len(pairs) / 3 and "train" in set(nameless.split)
    assert "of unknown size is present in the unknown lobe" in report_text(nameless.iloc[0])
    test = pairs[pairs.split == "test"]
    assert test.patient_id.is_unique and not pairs[pairs.split == "train"].patient_id.is_unique
    assert set(test.label) == {0, 1} == set(pairs[pairs.split == "train"].label)


def test_table_1_and_the_ledger_call_it_open_nlst_and_tick_nothing(series):
    metrics = series[1] / "metrics"
    table = pd.read_csv(metrics / "table1.csv").set_index("row")
    assert table.loc["namd", ["auroc_mean", "auprc_mean", "lpips_mean", "fid_mean"]].notna().all()
    assert not {"oracle", "true risk"} & set(table.index)
    told = table["comparable"].dropna()
    assert len(told) == 3 and told.str.startswith(f"not comparable: {SOURCE}").all()
    panel = pd.read_csv(metrics / "panel_05.csv")
    assert panel["comparable?"].str.startswith(f"not comparable: {SOURCE}").all()


def test_the_ledger_rests_on_open_nlst(series):
    claims = pd.read_csv(series[1] / "metrics" / "claims.csv")
    assert {SOURCE} == set(claims.loc[claims["verdict"] != "not run here", "data"])
    page = (series[1] / "index.html").read_text(encoding="utf-8")
    assert f"settled on {SOURCE}</h2>" in page and "phantom data" not in page
