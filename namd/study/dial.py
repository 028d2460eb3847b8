"""`python -m namd dial`: one table and one figure from the runs along the phantom's dial."""

import json

import pandas as pd

from namd.data.cohort import Cohort
from namd.errors import UserError
from namd.evaluation import dial, intervals, runs
from namd.files import or_disk_full
from namd.study.digest import outputs_root, short
from namd.study.params import REPO

POINTS = REPO / "params" / "dial"


def write_dial(plan):
    """Write metrics/dial.csv and figures/dial.png of a run from it and its neighbours <run>_<point>.

    Raises:
        UserError: a point of params/dial/ has not been run, or the run's data are no phantom.

    Source: ours, because whether a virtual follow-up can help depends on the law of the data alone.
    """
    root = outputs_root() / plan.values["run_name"]
    names = [root.name, *(f"{root.name}_{file.stem}" for file in sorted(POINTS.glob("*.yaml")))]
    table = pd.concat([_read(root.with_name(name), plan.values["n_boot"]) for name in names], ignore_index=True)
    for folder in ("metrics", "figures"):
        (root / folder).mkdir(exist_ok=True)
    with or_disk_full(root):
        table.to_csv(root / "metrics" / "dial.csv", index=False)
        n, malignant = table["n"].max(), table["malignant"].max()
        fig = dial.figure(table, f"n = {n} test nodules, up to {malignant} malignant; one cohort and model a point")
        fig.savefig(root / "figures" / "dial.png", dpi=150, bbox_inches="tight")
    print(f"The dial: {short(root / 'figures' / 'dial.png')} and metrics/dial.csv")


def _read(folder, n_boot):
    """The position of one run on the dial."""
    record, probabilities = folder / "runs" / "05.json", folder / "metrics" / "probabilities.parquet"
    if not (record.is_file() and probabilities.is_file()):
        raise UserError(f"Run {folder.name} has no metrics/probabilities.parquet yet; `make dial` makes it.")
    made = json.loads((folder / "runs" / "01.json").read_text(encoding="utf-8"))["parameters"]
    if made["data_source"] != "phantom":
        raise UserError(f"Run {folder.name} is no phantom, so it has no dial; use a profile with data_source: phantom.")
    stamp = json.loads(record.read_text(encoding="utf-8"))
    test = Cohort.open(folder / "cohort").split("test")
    table = pd.read_parquet(probabilities)
    prob = {row: runs.stack(table, [row], test.table.index)[0] for row in dial.AUROCS}
    counts = intervals.resample_counts(test.label, n_boot, "dial", folder.name)
    return dial.position(test.label, prob, counts).assign(
        eps=made["phantom_eps"], null=made["phantom_null"], n=len(test.label), malignant=int(test.label.sum()),
        k=stamp["parameters"]["k_runs"], run_name=folder.name, digest=stamp["digest"])
