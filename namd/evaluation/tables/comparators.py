"""What notebook 08 adds to Table 1: the compared systems' change on validation data, the best, the record's worth."""

import numpy as np
import pandas as pd

from namd.evaluation.stats import bootstrap, metrics
from namd.ground.reading import read_table

# its rows of the table and its readings, below the run
READINGS = ("metrics/comparators.csv", "metrics/comparator_probabilities.parquet")
# a row with the record and nothing else of NAMD: the row without
RECORD_CONTROLS = {"sd15_report": "sd15", "imageflownet_record": "imageflownet"}


def change_on_validation(makers, x1, x2, ehr, seeds):
    """How well each row forecasts the change, before any test image is opened.

    Args:
        makers: {row: () -> fitted Forecaster}; x1, x2: (N, 1, S, S) of the validation split; ehr: its N records;
            seeds: K integers.

    Returns:
        DataFrame indexed by row: delta_rmae (0 perfect, 2 a copy), psnr (dB), each the mean over runs and nodules, and
        spread, the mean over pixels of the standard deviation between two runs (0 where a row is deterministic).

    Source: ours, because a row that forecasts less than the mean image was trained badly and may not be printed.
    """
    table = {}
    for row, make in makers.items():
        x2_hat = make().sample(x1, ehr, seeds)
        rmae = [metrics.delta_rmae(x1, x2, run).mean() for run in x2_hat]
        psnr = [np.mean(metrics.psnr(run, x2)) for run in x2_hat]
        spread = x2_hat.std(0, correction=0).mean()
        table[row] = dict(delta_rmae=np.mean(rmae), psnr=np.mean(psnr), spread=float(spread))
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("row")


def against_best(label, prob, systems, counts, main):
    """The main arm minus the best compared system, for the ledger.

    Args:
        label: (N,); prob: {row: (K, N)} with `main` and the rows `systems`; counts: (n_boot, N); main: the main arm.

    Returns:
        DataFrame quantity (AUROC), row (the best one), value, low, high (95 %).

    Source: ours. Every resample picks its own best, so that the interval knows of the choice.
    """
    rows = [main, *systems]
    mean = {row: metrics.over_runs(metrics.auroc, label, prob[row])[0] for row in rows}
    draws = {row: bootstrap.auroc_draws(label, prob[row], counts) for row in rows}
    best = max(systems, key=mean.get)
    best_draws = np.max([draws[row] for row in systems], axis=0)
    low, high = bootstrap.percentile_interval(draws[main] - best_draws)
    return pd.DataFrame([dict(quantity="AUROC", row=best, value=mean[main] - mean[best], low=low, high=high)])


def record_controls(label, prob, counts, main):
    """Is it the record or is it NAMD? Both steps from a system without the record to NAMD, for the ledger.

    Args:
        label: (N,); prob: {row: (K, N)}; counts: (n_boot, N); controls whose rows are missing are left out; main: the
            main arm, which is NAMD.

    Returns:
        DataFrame row, beside, quantity (AUROC), value (row - beside, each the mean over runs), low, high (95 %): NAMD
        beside each control of RECORD_CONTROLS, then the control beside the system that it was made from.

    Source: ours, because a row without the record cannot tell what the record is worth from what NAMD is worth.
    """
    steps = []
    for control, without in RECORD_CONTROLS.items():
        if {control, without} <= prob.keys():
            steps.append(_difference(label, prob, counts, main, control))
            steps.append(_difference(label, prob, counts, control, without))
    return pd.DataFrame(steps, columns=["row", "beside", "quantity", "value", "low", "high"])


def stands_beside(table, table1):
    """Whether a table of notebook 08 was made beside this very Table 1: of the same patients, judge and arms.

    Args:
        table: with the column table1_digest; table1: with digest, of notebook 05.
    """
    return set(table["table1_digest"]) == set(table1["digest"])


def with_systems(ours, table1, table, theirs):
    """Readings of notebook 05, and of notebook 08 where they stand beside this Table 1; a sentence says where not.

    Args:
        ours, table1: files of notebook 05, its readings (probabilities.probability_table) and its Table 1.
        table, theirs: files of notebook 08, those of READINGS; they may be missing.

    Source: ours, because rows of other patients, or of another judge, are no rows of one table.
    """
    readings = read_table(ours, "05")
    if not theirs.is_file():
        return readings
    told = read_table(table1, "05", "digest")
    if table.is_file() and stands_beside(read_table(table, "08", "table1_digest"), told):
        return pd.concat([readings, read_table(theirs, "08", *readings)])
    print("The rows of notebook 08 are left out, because they stand beside another Table 1 than notebook 05's of now:"
          " run 08 again to have them.")
    return readings


def _difference(label, prob, counts, row, beside):
    """One line of `record_controls`."""
    means = [metrics.over_runs(metrics.auroc, label, prob[name])[0] for name in (row, beside)]
    draws = [bootstrap.auroc_draws(label, prob[name], counts) for name in (row, beside)]
    low, high = bootstrap.percentile_interval(draws[0] - draws[1])
    return dict(row=row, beside=beside, quantity="AUROC", value=means[0] - means[1], low=low, high=high)
