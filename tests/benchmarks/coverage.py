"""How often do nominal 95 % intervals hold the truth, with as few malignant nodules as the paper has?

python tests/benchmarks/coverage.py [cohorts]     prints the table, writes outputs/reference/coverage.csv; not a test.

A cohort is drawn from a law whose AUROCs are those of Table 1, so the truth of every quantity is known. Scores are
binormal: benign N(0, 1), malignant N(d, 1) with AUROC = Phi(d / sqrt 2). The rows share a part of each nodule's score.
"""

import sys

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from namd.evaluation.stats import bootstrap, intervals, seeds_and_patients
from namd.ground.paper import PAPER
from namd.ground.paths import REPO
from namd.ground.seeding import numpy_rng

N1, N0 = (PAPER["cohort"][f"test_{name}"] for name in ("malignant", "benign"))
LABEL = np.array([1] * N1 + [0] * N0)
AUROC = {name: PAPER["table1"][row]["auroc"][0] for name, row in (
    ("baseline", "Real baseline LDCT"), ("namd", "NAMD"), ("ablation", "NAMD (w/o L_align)"),
    ("follow-up", "Real follow-up LDCT"))}
K_RUNS, N_TRAIN, N_BOOT = 4, 3, 500
SHARED, NOISE, MODEL = 0.65, 0.15, 0.1              # parts of a score's variance: common to rows, of a run, of a model
TRAINING = 0.05                                     # sd of d over training seeds; .01 in AUROC


def true_auprc(lift):
    """Area under the curve of precision against recall of the law, at the cohort's prevalence."""
    cut = np.linspace(-9, 9, 20_001)
    recall, called = norm.sf(cut - lift), norm.sf(cut)
    return -np.trapezoid(N1 * recall / (N1 * recall + N0 * called), recall)


def draw(rng):
    """One cohort: ({row: scores (R, K, N)}, {row: d of each trained run (R,)}); R = K = 1 for the real images."""
    n, common, scores, lifts = len(LABEL), rng.normal(size=len(LABEL)), {}, {}
    for name, auroc in AUROC.items():
        trained = name in ("namd", "ablation")
        runs, k_runs = (N_TRAIN, K_RUNS) if trained else (1, 1)
        noise, model, spread = (NOISE, MODEL, TRAINING) if trained else (0, 0, 0)
        core = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * rng.normal(size=n)
        lifts[name] = np.sqrt(2) * norm.ppf(auroc) + spread * rng.normal(size=runs)
        scores[name] = (np.sqrt(1 - noise - model) * core + np.sqrt(model) * rng.normal(size=(runs, 1, n))
                        + np.sqrt(noise) * rng.normal(size=(runs, k_runs, n)) + lifts[name][:, None, None] * LABEL)
    return scores, lifts


def intervals_of(scores, lifts, key):
    """Every interval of one cohort beside its truth: yields (quantity, method, truth, low, high)."""
    first = {name: runs[0] for name, runs in scores.items()}                # one trained model, (K, N)
    auroc = {name: norm.cdf(d[0] / np.sqrt(2)) for name, d in lifts.items()}
    resamples = seeds_and_patients.resample(LABEL, N_TRAIN, N_BOOT, key)
    base, follow, ablation, namd = (first[name] for name in ("baseline", "follow-up", "ablation", "namd"))
    drawn = {name: bootstrap.auroc_draws(LABEL, runs, resamples.counts) for name, runs in first.items()}
    auprc = {name: bootstrap.auprc_draws(LABEL, first[name][0], resamples.counts) for name in ("baseline", "follow-up")}

    for name in auprc:
        yield f"AUROC, {name}", "DeLong", auroc[name], *intervals.delong(LABEL, first[name][0])[2:]
        truth = true_auprc(lifts[name][0])
        yield f"AUPRC, {name}", "jackknife, logit scale", truth, *intervals.auprc_interval(LABEL, first[name][0])[2:]
        yield f"AUPRC, {name}", "percentile bootstrap (replaced)", truth, *bootstrap.percentile_interval(auprc[name])
    yield ("AUROC, follow-up - baseline", "paired DeLong", auroc["follow-up"] - auroc["baseline"],
           *intervals.delong_paired(LABEL, follow[0], base[0])[2:4])
    yield ("AUPRC, follow-up - baseline", "paired bootstrap",
           true_auprc(lifts["follow-up"][0]) - true_auprc(lifts["baseline"][0]),
           *bootstrap.percentile_interval(auprc["follow-up"] - auprc["baseline"]))
    for low, high in (("baseline", "namd"), ("namd", "follow-up"), ("ablation", "namd")):
        yield (f"AUROC over K runs, {high} - {low}", "paired bootstrap", auroc[high] - auroc[low],
               *bootstrap.percentile_interval(drawn[high] - drawn[low]))
    yield ("gap closed by namd", "percentile bootstrap",
           intervals.gap_closed(auroc["baseline"], auroc["namd"], auroc["follow-up"]),
           *bootstrap.percentile_interval(intervals.gap_closed(drawn["baseline"], drawn["namd"], drawn["follow-up"])))
    truth = {name: norm.cdf(np.sqrt(2) * norm.ppf(AUROC[name]) / np.sqrt(2 + TRAINING**2))
             for name in ("namd", "ablation")}                              # over all training seeds
    difference, method = truth["namd"] - truth["ablation"], f"two levels, {N_TRAIN} training seeds"
    statistic = (bootstrap.auroc_draws, LABEL)
    yield ("AUROC, namd - ablation", method, difference,
           *seeds_and_patients.estimate(*statistic, scores["namd"], resamples, minus=scores["ablation"])[1:])
    patients = [seeds_and_patients.by_training(*statistic, scores[name], resamples.counts).mean(0) for name in truth]
    yield ("AUROC, namd - ablation", "patients alone (replaced)", difference,
           *bootstrap.percentile_interval(patients[0] - patients[1]))
    yield "AUROC, namd", method, truth["namd"], *seeds_and_patients.estimate(*statistic, scores["namd"], resamples)[1:]


def measure(cohorts):
    """Coverage of every interval over `cohorts` simulated cohorts, with its own 95 % interval: DataFrame."""
    rows = []
    for i in range(cohorts):
        rows += intervals_of(*draw(numpy_rng("coverage", i)), f"coverage {i}")
    table = pd.DataFrame(rows, columns=["quantity", "method", "truth", "low", "high"])
    table = table.assign(below=table["truth"] < table["low"], above=table["truth"] > table["high"],
                         width=table["high"] - table["low"])
    table = table.groupby(["quantity", "method"], sort=False).agg(
        below=("below", "mean"), above=("above", "mean"), width=("width", "median"), n=("below", "size")).reset_index()
    hits = (table["n"] * (1 - table["below"] - table["above"])).round().astype(int)
    exact = [binomtest(k, n).proportion_ci() for k, n in zip(hits, table["n"], strict=True)]
    table.insert(2, "coverage", hits / table["n"])
    table.insert(3, "coverage_low", [ci.low for ci in exact])
    table.insert(4, "coverage_high", [ci.high for ci in exact])
    return table.rename(
        columns={"below": "truth_below", "above": "truth_above", "width": "median_width", "n": "cohorts"})


def main(cohorts=1000):
    table = measure(cohorts).round(4).assign(malignant=N1, benign=N0, nominal=0.95, n_boot=N_BOOT)
    print(table.drop(columns=["malignant", "benign", "nominal", "n_boot"]).round(3).to_string(index=False))
    print(f"{N1} malignant, {N0} benign; nominal .95; {N_BOOT} resamples")
    table.to_csv(REPO / "outputs" / "reference" / "coverage.csv", index=False)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
