"""The second tier, `make test-quick`: a finished quick run says what the committed reference says, within bounds.

Another processor rounds sums otherwise, and a training then ends elsewhere, as one from another seed does. The bound on
AUROC is measured: three standard deviations between two judges of the reference run (judges.csv, .011). The others are
chosen, not measured: wide enough for another training, narrow enough for a changed objective.
"""

import pandas as pd
import pytest

from namd.ground.paths import REPO, outputs_root

REFERENCE = REPO / "outputs" / "reference" / "quick"
RUN = outputs_root() / "quick"
ABSOLUTE = {"auroc_mean": 0.03, "auroc_kmean": 0.03, "auprc_mean": 0.06, "brier": 0.01}
RELATIVE = {"lpips_mean": 0.2, "fid_mean": 0.5, "delta_rmae_mean": 0.1, "psnr_mean": 0.05, "ssim_mean": 0.05,
            "diameter_error_mean": 0.2}
pytestmark = pytest.mark.quick


def table(folder, name):
    return pd.read_csv(folder / f"{name}.csv", index_col="row")


@pytest.fixture(scope="module")
def both():
    """(this run's Table 1, the reference's), the rows of both."""
    file = RUN / "metrics" / "table1.csv"
    assert file.is_file(), "there is no finished quick run: `make test-quick` makes it first"
    here, there = table(file.parent, "table1"), table(REFERENCE, "table1")
    assert set(there.index) <= set(here.index), "a row of the reference is gone"
    return here.loc[there.index], there


@pytest.mark.parametrize("column", ABSOLUTE)
def test_readings_lie_within_their_bounds(both, column):
    here, there = both
    gap = (here[column] - there[column]).abs()
    assert gap.max() <= ABSOLUTE[column], gap.sort_values().tail(3)


@pytest.mark.parametrize("column", RELATIVE)
def test_images_lie_within_their_bounds(both, column):
    here, there = both
    gap = ((here[column] - there[column]) / there[column].where(there[column] != 0)).abs()
    assert gap.dropna().max() <= RELATIVE[column], gap.sort_values().tail(3)


def test_the_cohort_is_the_same_to_the_nodule(both):
    here, there = both
    assert here["n"].equals(there["n"]) and here["malignant"].equals(there["malignant"])


def test_no_verdict_of_the_ledger_turns_round():
    here, there = (pd.read_csv(folder / "claims.csv", index_col="id")["verdict"]
                   for folder in (RUN / "metrics", REFERENCE))
    both = pd.DataFrame({"here": here, "there": there}).dropna()
    turned = both[(both["here"] == "holds") & (both["there"] == "fails")
                  | (both["here"] == "fails") & (both["there"] == "holds")]
    assert turned.empty, turned


SECOND = {          # table of notebook 09: what names its lines, {column: bound}
    "autorad": (["arm"], {"accuracy": 0.04, "macro_f1": 0.04, "macro_auc": 0.03}),
    "autorad_seeds": (["seed", "statistic"], {"guided": 0.04, "static": 0.04, "difference": 0.05}),
    "two_judges": (["row"], {"first": 0.03, "second": 0.03}),
}


@pytest.mark.parametrize("name", SECOND)
def test_the_second_system_lies_within_its_bounds(name):
    index, bounds = SECOND[name]
    if not (REFERENCE / f"{name}.csv").is_file():
        pytest.skip(f"outputs/reference/quick/ has no {name}.csv")
    file = RUN / "metrics" / f"{name}.csv"
    if not file.is_file():
        pytest.skip("notebook 09 has not run: `make autorad`")
    here, there = (pd.read_csv(path).set_index(index) for path in (file, REFERENCE / f"{name}.csv"))
    assert set(there.index) <= set(here.index), "a line of the reference is gone"
    gap = (here.loc[there.index, list(bounds)] - there[list(bounds)]).abs()
    assert (gap.max() <= pd.Series(bounds)).all(), gap.max()
