"""`python -m namd dial | cohorts`: one table and one figure from a run's neighbours, other phantoms of its profile."""

import matplotlib.pyplot as plt
import pandas as pd

from namd.data.cohort import Cohort
from namd.evaluation.figures import plots
from namd.evaluation.figures.dial import dial as draw_dial
from namd.evaluation.stats import bootstrap
from namd.evaluation.tables import dial, probabilities
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.paths import REPO, outputs_root, short
from namd.ground.reading import read_json, read_table

POINTS = REPO / "params" / "dial"
COHORTS = REPO / "params" / "cohorts"


def write_dial(plan):
    """Write metrics/dial.csv and figures/dial.png of a run from it and its neighbours <run>_<point>.

    Raises:
        UserError: a point of params/dial/ has not been run, or the run's data are no phantom.

    Source: ours, because whether a virtual follow-up can help depends on the law of the data alone.
    """
    root = outputs_root() / plan.values["run_name"]
    positions = [_read(root, plan, "dial"), *_neighbours(root, POINTS, plan, "dial")]
    table = pd.concat(positions, ignore_index=True)
    title = (f"{dial.falls(table, plan.main)}\nn = {table['n'].max()} test nodules, up to {table['malignant'].max()}"
             " malignant; one cohort and model a point; bars 95 % over patients")
    _write(root, "dial", table, draw_dial(table, dial.aurocs(plan.main), dial.gains(plan.main), title))


def write_cohorts(plan):
    """Write metrics/cohorts.csv and figures/cohorts.png of a run: does its result hold for other patients?

    Raises:
        UserError: a cohort of params/cohorts/ has not been run, or its data are no phantom.

    Source: ours, because settings were chosen on one cohort, and one cohort is one draw.
    """
    root = outputs_root() / plan.values["run_name"]
    table = pd.concat(_neighbours(root, COHORTS, plan, "cohorts"), ignore_index=True)
    shown = table[table["quantity"].isin((f"{plan.main} - baseline", "oracle - baseline"))]
    shown = shown.assign(row=shown["run_name"].str.removeprefix(f"{root.name}_") + ": " + shown["quantity"])
    title = f"{dial.holds(table, plan.main)}\n{table['n'].max()} test nodules each, bars 95 %"
    _write(root, "cohorts", table, plots.forest(shown, "difference in AUROC", title, reference=0, synthetic=True))
    share = table.loc[table["quantity"] == "oracle's gap closed", "value"]
    print(f"NAMD closes {share.mean():.2f} of the oracle's gap on average ({', '.join(f'{v:.2f}' for v in share)})")


def _neighbours(root, folder, plan, command):
    """Positions of the runs <run>_<file> for each parameter file of `folder`."""
    names = [f"{root.name}_{file.stem}" for file in sorted(folder.glob("*.yaml"))]
    return [_read(root.with_name(name), plan, command) for name in names]


def _write(root, name, table, fig):
    """metrics/<name>.csv and figures/<name>.png of a run."""
    with replacing(root / "metrics" / f"{name}.csv") as aside:
        table.to_csv(aside, index=False)
    with plots.look(), replacing(root / "figures" / f"{name}.png") as aside:
        fig.savefig(aside, dpi=150, bbox_inches="tight")
    plt.close(fig)
    print(f"{short(root / 'figures' / f'{name}.png')} and metrics/{name}.csv")


def _read(folder, plan, command):
    """The position of one run between baseline, oracle and follow-up; `command` of make runs it."""
    record = folder / "runs" / "05.json"
    judged = folder / "metrics" / "probabilities.parquet"
    if not (record.is_file() and judged.is_file()):
        raise UserError(f"Run {folder.name} has no metrics/probabilities.parquet yet; `make {command}` makes it.")
    made = read_json(folder / "runs" / "01.json", "01", "parameters")["parameters"]
    if made["data_source"] != "phantom":
        raise UserError(f"Run {folder.name} is no phantom and has no oracle; use a profile with data_source: phantom.")
    stamp = read_json(record, "05", "parameters", "digest")
    test = Cohort.open(folder / "cohort").split("test")
    table = read_table(judged, "05")
    prob = {row: probabilities.stack(table, [row], test.table.index)[0] for row in dial.rows(plan.main)}
    counts = bootstrap.resample_counts(test.label, plan.values["n_boot"], "dial", folder.name, patient=test.patient)
    return dial.position(test.label, prob, counts, plan.main).assign(
        phantom_seed=made["phantom_seed"], eps=made["phantom_eps"], null=made["phantom_null"],
        n=len(test.label), malignant=int(test.label.sum()),
        k=stamp["parameters"]["k_runs"], run_name=folder.name, digest=stamp["digest"])
