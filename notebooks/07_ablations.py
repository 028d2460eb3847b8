# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Take the alignment away
# What does the nodule-aligned latent space buy? We compare trained arms by their forecasts and by
# the order of their latents.
#
# *Paper:* Section 4.2.2, the last two rows of Table 1, Figure 2. *Previous:*
# `06_variance_analysis`. *Back to:* `02_aligned_vae`, where the alignment is built.
#
# ## What you will do
# Read the arms that other notebooks trained and evaluated; train nothing. The artefacts are Figure
# 2, `metrics/ablation_rows.csv` and `metrics/ablation_order.csv`.
#
# ## What you will learn
# - Name what an ablation row leaves out, and what else changed with it.
# - Compare two systems on the same patients with a paired interval.
# - Compute a nearest-neighbour R2 and a trustworthiness by hand.
# - Read a t-SNE map together with the numbers that it hides.
# - Write a conclusion that the interval, and not the wish, decides.
#
# ## What you need
# AUROC and paired tests (notebook 05), the alignment loss (notebook 02). From 05 the
# probabilities and Table 1; from 02-04 one folder for each arm.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 1 min | 3 min (estimate) |
# | memory | 1.4 GB | 8 GB (estimate) |
# | disk | 1 MB | 1 MB |

# %% tags=["parameters"]
run_name: str = "quick"          # folder below outputs/
seed: int = 23                   # names every random draw (App. B)
device: str = "auto"             # auto, cpu or cuda
threads: int = 1                 # torch threads of this process
image_size: int = 64             # pixels of 0.6 mm
window_low: int = -1000          # HU shown as -1
window_high: int = 400           # HU shown as +1
align_latent: str = "flat"       # the latent Eq. 2 compares: flat or pooled
k_runs: int = 4                  # K of notebook 05 (App. D: 20)
n_boot: int = 1000               # bootstrap resamples of the patients
compare_arms: list = ["namd", "no_align_no_pred"]  # the first is the reference (Table 1)

# %% [markdown]
# `start` reads the cell above and prints the stamp of this run.

# %%
import json

import numpy as np
import pandas as pd
import torch
from sklearn.manifold import trustworthiness

from namd.data.cohort import Cohort
from namd.errors import UserError
from namd.evaluation import figures, intervals, latent, metrics
from namd.evaluation.variance import verdict
from namd.models.vae import load_vae
from namd.study.paper import PAPER
from namd.study.run import check, show, start

run = start("07_ablations", globals())

# %% [markdown]
# ## 1 · Name what was left out
# What changed in the last row of Table 1? There are three answers:
#
# | | $\lambda_\text{align}$ | $\lambda_\text{pred}$ | start of the VAE | learning rate | batch |
# |---|---|---|---|---|---|
# | NAMD (authors' code) | 1 | 0.2 | SD1.5 | 5e-5 | 64 |
# | the row's label: "w/o $\mathcal L_\text{align}$" | **0** | 0.2 | SD1.5 | 5e-5 | 64 |
# | Section 4.2.2: both losses "are omitted" | **0** | **0** | SD1.5 | 5e-5 | 64 |
# | the authors' shipped ablation file | **0** | **0** | **random** | **1e-4** | **16** |
#
# If the published row came from the shipped file, its drop of 0.040 in AUROC mixes five changes.
# Here an arm is a file in `params/ablations/`, and the stamps of notebook 02 record what it was
# trained with. First: which arms are there, and which command makes a missing one?

# %%
def command(arm):
    """Commands that train and evaluate an arm of this run."""
    files = f"--params params/{run_name}.yaml --params params/ablations/{arm}.yaml"
    return " && ".join(f"python -m namd run {n} {files}" for n in ("02", "03", "04"))


probabilities = pd.read_parquet(run.need("metrics/probabilities.parquet", made_by="05"))
evaluated = set(probabilities["row"])
arms = sorted({"no_align", "no_align_no_pred", *compare_arms})
pd.DataFrame([dict(arm=a, evaluated=a in evaluated, command="" if a in evaluated else command(a)) for a in arms])

# %%
missing = [arm for arm in compare_arms if arm not in evaluated]
if missing:
    raise UserError(f"Run {run_name} has no row {missing[0]} yet; make it, then run 05 again: {command(missing[0])}")
reference, others = compare_arms[0], compare_arms[1:]

# %%
stamps = {arm: json.loads(run.need(f"arms/{arm}/runs/02.json", made_by="02").read_text())["parameters"]
          for arm in compare_arms}
trained_with = pd.DataFrame(stamps).astype(str)
changed = trained_with[trained_with.nunique(axis=1) > 1]
changed

# %%
allowed = {"arm", "lambda_align", "lambda_pred"}
check("the arms differ in the losses alone", set(changed.index) <= allowed, sorted(changed.index))

# %% [markdown]
# ## 2 · Compare the forecasts
# The arms share patients, judge and seeds, so we compare them pair by pair. With $\bar p$ the mean
# probability over K runs, the paired difference is
#
# $$\Delta = \mathrm{AUROC}(\bar p^\text{ NAMD}) - \mathrm{AUROC}(\bar p^\text{ ablation})$$
#
# and its standard error accounts for the patients that both score (DeLong). The paper's ± is over
# sampling seeds and holds the patients fixed.
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $p_{k,i}$ of an arm | `prob[arm]` | (K, N) | probability |
# | $L_i$ | `label` | (N,) | 0 benign, 1 malignant |
# | $\Delta$ | `delta` | () | AUROC |

# %%
test = Cohort.open(run.need("cohort", made_by="01")).split("test")
label, pair_id = test.label, list(test.table.index)
wide = probabilities[probabilities["row"].isin(compare_arms)].pivot(
    index=["row", "run"], columns="pair_id", values="prob")[pair_id]
prob = {arm: wide.loc[arm].to_numpy() for arm in compare_arms}        # (K, N) each
check("all arms have K runs", {len(v) for v in prob.values()} == {k_runs}, [len(v) for v in prob.values()])

# %% [markdown]
# A tiny case by hand. Two malignant and two benign nodules, two systems. AUROC is the share of
# (malignant, benign) pairs in the right order.

# %%
label_4 = np.array([1, 1, 0, 0])
prob_a, prob_b = np.array([0.9, 0.6, 0.3, 0.1]), np.array([0.9, 0.2, 0.3, 0.1])
by_hand = [np.mean([s[i] > s[j] for i in (0, 1) for j in (2, 3)]) for s in (prob_a, prob_b)]   # 4/4 and 3/4
delta, se, *_ = intervals.delong_paired(label_4, prob_a, prob_b)
check("difference by hand and by DeLong agree", np.isclose(delta, by_hand[0] - by_hand[1]), delta)

# %%
show(intervals.delong_paired)

# %% [markdown]
# AUROC gets the DeLong interval and AUPRC the patient bootstrap. For LPIPS and FID notebook 05
# keeps a mean and a spread over runs, so their interval covers sampling noise alone; the last
# column says which kind each line has.

# %%
counts = intervals.resample_counts(label, n_boot, seed, "ablation")   # (n_boot, N)
table1 = pd.read_csv(run.need("metrics/table1.csv", made_by="05")).set_index("row")


def diagnosis(arm):
    """Paired differences reference - arm of AUROC and AUPRC, over patients."""
    a, b = prob[reference].mean(0), prob[arm].mean(0)
    value, _, low, high, _ = intervals.delong_paired(label, a, b)
    yield dict(arm=arm, quantity="AUROC", value=value, low=low, high=high, over="patients")
    draws = intervals.auprc_draws(label, a, counts) - intervals.auprc_draws(label, b, counts)
    low, high = intervals.percentile_interval(draws)
    value = metrics.auprc(label, a) - metrics.auprc(label, b)
    yield dict(arm=arm, quantity="AUPRC", value=value, low=low, high=high, over="patients")


# %%
def image_quality(arm):
    """Differences reference - arm of LPIPS and FID, over runs."""
    for name in ("lpips", "fid"):
        mean, sd = table1[f"{name}_mean"], table1[f"{name}_sd"]
        value = mean[reference] - mean[arm]
        half = 1.96 * np.hypot(sd[reference], sd[arm]) / np.sqrt(k_runs - 1)   # sd has divisor K
        yield dict(arm=arm, quantity=name.upper(), value=value, low=value - half, high=value + half, over="runs")


rows = pd.DataFrame([row for arm in others for part in (diagnosis, image_quality) for row in part(arm)])
rows["verdict"] = [verdict(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)]
run.table(rows, "ablation_rows").round(4)

# %%
both = ["lpips", "fid", "auroc", "auprc"]
table1.loc[compare_arms, [f"{name}_{part}" for name in both for part in ("mean", "sd")]].round(4)

# %%
shown = rows[rows["over"] == "patients"].assign(row=lambda t: t["quantity"] + f", {reference} - " + t["arm"])
n_malignant = int(label.sum())
title = f"n = {len(label)} test nodules, {n_malignant} malignant, mean of K = {k_runs} runs"
run.figure(figures.forest(shown, "difference", title, reference=0, synthetic=run.synthetic), "ablation_differences")

# %% [markdown]
# **What to see.** A dot right of the dashed line favours NAMD. If the bar crosses the line, this
# run cannot tell the arms apart, whatever the dot says. Here *holds* means a positive difference:
# good for AUROC and AUPRC, bad for LPIPS and FID, where smaller is better.
#
# ## 3 · Put a number on order
# Figure 2 colours a map of the latents by diameter and speaks of "structure". Is a colour gradient
# more than taste? If neighbours in the latent have similar diameters, then the diameter of a
# nodule can be read from its neighbours. The nearest-neighbour R2 measures how well:
#
# $$R^2 = 1 - \frac{\sum_i (y_i - \hat y_i)^2}{\sum_i (y_i - \bar y)^2}, \qquad
# \hat y_i = \frac1{|\mathcal N_i|} \sum_{j \in \mathcal N_i} y_j, \quad i \notin \mathcal N_i$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $y$ | `y` | (N,) | log of the longest diameter in mm |
# | $z$ | `z` | (N, D) | scaled latent, dimensionless |
# | $\hat y$ | `y_hat` | (N,) | as `y` |
#
# Five nodules on a line, one neighbour each, once in order and once tangled:

# %%
y_5 = np.log([4.0, 5.0, 8.0, 10.0, 16.0])                     # log mm
layouts = {"ordered": np.array([0.0, 1.0, 2.2, 3.1, 4.3]), "tangled": np.array([0.0, 3.1, 1.0, 4.3, 2.2])}


def nearest_r2(z, y):
    """Leave-one-out R2 of the single nearest neighbour on a line."""
    gap = np.abs(z[:, None] - z[None, :])                     # (N, N)
    np.fill_diagonal(gap, np.inf)                             # a nodule is not its own neighbour
    y_hat = y[gap.argmin(1)]
    return 1 - ((y - y_hat) ** 2).sum() / ((y - y.mean()) ** 2).sum()


slow = {name: nearest_r2(z, y_5) for name, z in layouts.items()}
slow

# %% [markdown]
# Reading from a tangled line is worse than guessing the mean: R2 is negative. The module does the
# same with 15 neighbours and five folds, and also fits a straight line (a ridge regression).

# %%
show(latent.out_of_fold)

# %%
fast = {name: latent.r2(y_5, latent.out_of_fold(z[:, None], y_5, "knn", n_neighbours=1, n_folds=5))
        for name, z in layouts.items()}
check("slow and fast R2 agree", np.allclose(list(slow.values()), list(fast.values())), fast)

# %% [markdown]
# A map can also invent order. *Trustworthiness* asks whether neighbours on the map are neighbours
# in the latent. Each false neighbour j of i costs its latent rank $r(i, j)$ beyond k:
#
# $$T = 1 - \frac{2}{n k (2n - 3k - 1)} \sum_i \sum_{j \in \mathcal U_i} \bigl(r(i, j) - k\bigr)$$
#
# It is 1 when no neighbour on the map is false. We take the ordered line as the latent and the
# tangled one as its map, with k = 1.

# %%
z_line, map_line, n = layouts["ordered"], layouts["tangled"], 5
gap_z, gap_map = (np.abs(v[:, None] - v[None, :]) for v in (z_line, map_line))   # (5, 5)
rank = gap_z.argsort(1).argsort(1)                            # 0 is the nodule itself
np.fill_diagonal(gap_map, np.inf)
cost = sum(max(0, rank[i, gap_map[i].argmin()] - 1) for i in range(n))
T = 1 - 2 / (n * (2 * n - 3 - 1)) * cost
library = trustworthiness(z_line[:, None], map_line[:, None], n_neighbors=1)
check("trustworthiness by hand and by scikit-learn agree", np.isclose(T, library), round(T, 3))

# %% [markdown]
# ## 4 · Measure the order of the test latents
# Each arm has its own VAE. We encode the baseline images of the test nodules; no VAE has seen
# them. Eq. 2 compares latents, and the paper leaves open in which form, so we read both:
# `pooled` (mean over height and width, 4 numbers, the authors' code) and `flat` (all of z).

# %%
x1, _ = test.images(image_size, window_low, window_high)
diameter_mm = test.attributes(1)["sct_long_dia"].to_numpy(dtype=float, na_value=np.nan)
known = np.isfinite(diameter_mm)
y, counts_known = np.log(diameter_mm[known]), counts[:, known]
latents = {}
for arm in compare_arms:
    vae = load_vae(run.need(f"arms/{arm}/vae", made_by="02")).to(run.device).eval()
    with torch.no_grad():
        z = torch.cat([vae.encode(x.to(run.device)).cpu() for x in x1[known].split(200)])
    latents[arm] = latent.views(z.numpy())
{arm: {view: z.shape for view, z in views.items()} for arm, views in latents.items()}

# %% [markdown]
# Every arm is read by the same folds and resampled with the same patients, so the differences are
# paired.

# %%
def order(view, kind):
    """R2 of log diameter for every arm, and reference - arm with its paired patient interval."""
    y_hat = {arm: latent.out_of_fold(latents[arm][view], y, kind, seed=seed) for arm in compare_arms}
    score = {arm: latent.r2(y, y_hat[arm]) for arm in compare_arms}
    draws = {arm: latent.r2_draws(y, y_hat[arm], counts_known) for arm in compare_arms}
    for arm in others:
        low, high = intervals.percentile_interval(draws[reference] - draws[arm])
        yield dict(arm=arm, latent=view, reader=kind, r2_reference=score[reference], r2_arm=score[arm],
                   value=score[reference] - score[arm], low=low, high=high, verdict=verdict(low, high))


ordered = pd.DataFrame([row for view in ("pooled", "flat") for kind in ("knn", "linear") for row in order(view, kind)])
run.table(ordered, "ablation_order").round(3)

# %%
lines = ordered.assign(row=ordered["latent"] + ", " + ordered["reader"] + f", {reference} - " + ordered["arm"])
title = f"R2 of log diameter, n = {len(y)} test nodules"
run.figure(figures.forest(lines, "difference in R2", title, 0, synthetic=run.synthetic), "ablation_order")

# %% [markdown]
# **What to see.** A bar to the right of 0 says that the aligned latent tells more about diameter.
# Compare the readers: where the linear R2 gains less than the nearest-neighbour R2, the diameter
# was in the latent all along, and alignment moved it to where distances see it. That is what Eq.
# 2-4 ask for.
#
# ## 5 · Draw Figure 2
# t-SNE places points so that near neighbours stay near. Its axes have no unit, far distances mean
# little, and another seed turns the picture. So each map carries its own R2 and trustworthiness.

# %%
def drawn(view):
    """t-SNE maps of one view for all arms, with a line of numbers for each."""
    maps = [latent.tsne(latents[arm][view], seed) for arm in compare_arms]
    k = min(5, (len(y) - 1) // 2)
    r2 = [latent.r2(y, latent.out_of_fold(m, y, "knn", seed=seed)) for m in maps]
    trust = [trustworthiness(latents[arm][view], m, n_neighbors=k) for arm, m in zip(compare_arms, maps, strict=True)]
    scores = [f"map R2 {a:.2f}, trustworthiness {b:.2f}" for a, b in zip(r2, trust, strict=True)]
    return figures.latent_maps(maps, diameter_mm[known], compare_arms, scores,
                               f"t-SNE of the {view} test latents", run.synthetic)


run.figure(drawn(align_latent), "fig2_latent_space")

# %% [markdown]
# **What to see.** The paper's left panel runs from small nodules to large ones, its right panel
# is mixed. Follow the colours from end to end, then read the numbers: a gradient has a map R2
# well above 0, and a map with low trustworthiness shows neighbours that are none.
#
# The loss acted on the view above. Does the order reach the other view as well?

# %%
other_view = "pooled" if align_latent == "flat" else "flat"
run.figure(drawn(other_view), "fig2_other_view")

# %% [markdown]
# **What to see.** The same nodules in the other view. Four pooled numbers can lose what 256 hold,
# and they can be ordered while the flat latent is not. A claim about "the latent space" has to
# name its view.
#
# ## 6 · Let the numbers conclude
# The sentence below is computed. An interval across 0 yields "undecided", and no other word.

# %%
WORDS = {"holds": "is higher with {a}", "fails": "is lower with {a}", "undecided": "is undecided between {a} and {b}"}


def sentence(what, row, arm):
    """One sentence of the conclusion from a row with value, low, high and verdict."""
    said = WORDS[row["verdict"]].format(a=reference, b=arm)
    return f"{what} {said}: {reference} - {arm} = {row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]."


source = "Phantom data." if run.synthetic else "NLST."
for arm in others:
    forecast = rows.set_index(["arm", "quantity"]).loc[(arm, "AUROC")]
    picture = ordered.set_index(["arm", "latent", "reader"]).loc[(arm, align_latent, "knn")]
    print(source, sentence("Latent order (kNN R2)", picture, arm), sentence("AUROC", forecast, arm))

# %% [markdown]
# Two different claims, two verdicts. An ordered latent is what the loss asks for. That the order
# makes *forecasts* better is the paper's further step, and it needs its own interval.
#
# ## Paper and this run
# The paper's difference has no paired interval. With 53 malignant test nodules, the standard error
# of one AUROC is about 0.031 over patients.

# %%
paper = PAPER["table1"]
with_it, without = paper["NAMD"], paper["NAMD (w/o L_align)"]
last = rows[rows["arm"] == others[-1]].set_index("quantity")
why = "phantom data, small models" if run.synthetic else "the paper's row mixes its arms"
entries = []
for name in ("auroc", "auprc", "lpips", "fid"):
    row = last.loc[name.upper()]
    entries.append(dict(
        quantity=f"{name.upper()}, {reference} - {others[-1]}", n=len(label), k=k_runs, comparable=False, why=why,
        paper=f"{with_it[name][0] - without[name][0]:+.3f} (Table 1)",
        here=f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] over {row['over']}"))
run.panel(entries)

# %% [markdown]
# One training seed stands behind each arm. Neither interval covers another seed, and with small
# models that spread can be as large as the difference.
#
# ## Exercises
# **1 · Predict.** In `paper.yaml` the loss acts on the pooled latent. Which of the two views of
# Section 5 will then be better ordered, and why can the other one stay tangled?
#
# <details><summary>Solution</summary>
#
# The pooled view: Eq. 4 sees four means and nothing else. The remaining 252 directions of the flat
# latent carry the picture, are not touched by the loss, and dominate its distances.
#
# </details>
#
# **2 · Break it on purpose.** Shuffle the diameters between nodules. What must R2 become? Which
# part of Figure 2 would still look orderly?

# %%
# your turn

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
shuffled = np.random.default_rng(seed).permutation(y)
broken = latent.r2(shuffled, latent.out_of_fold(latents[reference][align_latent], shuffled, "knn"))
check("shuffled diameters cannot be read", broken < 0.3, round(broken, 3))

# %% [markdown]
# <details><summary>What to expect</summary>
#
# R2 falls to about 0. The *shape* of the map stays the same, because t-SNE never sees the
# diameters: islands alone are no sign of order.
#
# </details>
#
# **3 · Derive.** The standard error of a paired difference shrinks with the square root of the
# number of malignant nodules, the rarer class. How large would it be with the paper's 53, and what
# is the smallest difference an interval could separate from 0?

# %%
# your turn

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
_, se_here, *_ = intervals.delong_paired(label, prob[reference].mean(0), prob[others[-1]].mean(0))
n_paper, drop = PAPER["cohort"]["test_malignant"], with_it["auroc"][0] - without["auroc"][0]
se_paper = se_here * np.sqrt(n_malignant / n_paper)
print(f"here {se_here:.4f} with {n_malignant} malignant; with {n_paper} about {se_paper:.4f}")
print(f"smallest separable difference: {1.96 * se_paper:.3f}; the paper reports {drop:.3f}")

# %% [markdown]
# **4 · Extend.** Train the arm that the row's label describes, alignment off and prediction on,
# and add it to `compare_arms`. Which of the two losses carries the difference?

# %%
# your turn

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
print(command("no_align"))
print(f"python -m namd run 05 --params params/{run_name}.yaml -p 'compare_arms=[namd, no_align_no_pred, no_align]'")

# %% [markdown]
# ## In practice
# - Change one thing at a time, and keep the stamp that proves it.
# - Train each arm with several seeds before you call a small difference an effect. Arms are
#   independent, so they can run side by side.
# - With the original SD1.5 VAE the starting latent is not empty: it holds size before any
#   alignment. Measure its R2 too before you credit the loss.
#
# ## Summary
# - The published row has a label, a text and a file that disagree; ours are named by parameters.
# - Arms are compared on the same patients, with a paired interval.
# - Nearest-neighbour R2 measures order; trustworthiness measures whether a map may be believed.
# - A t-SNE map without numbers supports neither order nor disorder.
# - The conclusion is computed, and says undecided when the interval crosses 0.
#
# ## Further reading
# - van der Maaten and Hinton (2008), *Visualizing data using t-SNE*: what the map keeps.
# - Wattenberg, Viegas and Johnson (2016), *How to use t-SNE effectively*: how it misleads.
# - Venna and Kaski (2001), *Neighborhood preservation in nonlinear projection methods*:
#   trustworthiness and its twin, continuity.
# - DeLong et al. (1988), *Comparing the areas under two or more correlated ROC curves*.

# %%
run.finish(verdicts={f"{r['quantity']} {r['arm']}": r["verdict"] for _, r in rows.iterrows()},
           order={f"{r['latent']} {r['reader']} {r['arm']}": r["verdict"] for _, r in ordered.iterrows()})
