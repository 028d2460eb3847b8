# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Ask where the forecasts disagree
# NAMD draws K follow-ups of each nodule. We measure their disagreement: how large it is, where in
# the image it sits, and how many runs it takes to know.
#
# *Paper:* Section 4.3, Figure 3, Appendix D, Figure 5. *Previous:* `05_evaluation`.
# *Next:* `07_ablations`.
#
# ## What you will do
# Turn each claim of Section 4.3 into a number with an interval, and give it a verdict.
# The artefacts are Figure 3, Figure 5 and `metrics/claims_variance.csv`.
#
# ## What you will learn
# - Compute the prediction error and the predictive variance of a nodule by hand.
# - Explain why an error near 0 or 1 leaves no room for variance.
# - Locate pixel-wise variance relative to the boundary.
# - Tell a real rise of a running variance from one made by its divisor.
# - Decide from an interval whether a claim holds.
#
# ## What you need
# The patient bootstrap of notebook 05, its samples, judge and probabilities; from 02-04 the arm
# `namd`.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 1 min | 5 min (estimate) |
# | memory | 1.6 GB | 20 GB (estimate) |
# | disk | 2 MB | 2 MB |

# %% tags=["parameters"]
run_name: str = "quick"                # folder below outputs/
seed: int = 23                         # names every random draw (App. B)
device: str = "auto"                   # auto, cpu or cuda
threads: int = 1                       # torch threads of this process
precision: str = "float32"             # or tf32, bfloat16: faster, not equal
image_size: int = 64                   # pixels of 0.6 mm
window_low: int = -1000                # HU shown as -1
window_high: int = 400                 # HU shown as +1
llm_path: str = ""                     # language model; empty is the small one of notebook 01
llm_dtype: str = "float32"             # its precision (App. B)
ddim_steps: int = 8                    # steps of one run (Sec. 3.3.2: 50)
eval_batch: int = 200                  # images per forward pass
k_runs: int = 4                        # K of notebook 05 (App. D: 20)
var_nodules: int = 50                  # nodules of Figure 5 (App. D)
var_runs: int = 30                     # runs of Figure 5: beyond 20, to see a plateau at 20
n_boot: int = 1000                     # bootstrap resamples of the patients

# %% [markdown]
# `start` reads the cell above and prints the stamp of this run.

# %%
from functools import partial

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from namd.data.cohort import Cohort
from namd.evaluation import figures, intervals, runs, variance
from namd.evaluation.runs import load_row, run_seeds
from namd.forecasters.namd import NAMD
from namd.models.judge import load_judge
from namd.study.paper import PAPER
from namd.study.run import check, show, start
from namd.training.seeding import numpy_rng

run = start("06_variance_analysis", globals())

# %% [markdown]
# ## 1 · Read the forecasts of notebook 05
# Notebook 05 drew K follow-ups of every test nodule and let the judge read each. Its files are the
# only link between the two notebooks.
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $X^{(1)}, X^{(2)}$ | `x1`, `x2` | (N, 1, 64, 64) | window [-1, 1] |
# | $\hat X^{(2)}_k$ | `x2_hat` | (K, N, 1, 64, 64) | window [-1, 1] |
# | $p_{k,i}$ | `prob` | (K, N) | probability |
# | $L_i$ | `label` | (N,) | 0 benign, 1 malignant |

# %%
test = Cohort.open(run.need("cohort", made_by="01")).split("test")
x1, x2 = test.images(image_size, window_low, window_high)
label, pair_id = test.label, list(test.table.index)
run.need("samples/namd.npy", made_by="05")
x2_hat = load_row(run.root / "samples", "namd")
x2_hat.shape

# %%
probabilities = pd.read_parquet(run.need("metrics/probabilities.parquet", made_by="05"))
rows = probabilities[probabilities["row"] == "namd"]
prob = rows.pivot(index="run", columns="pair_id", values="prob")[pair_id].to_numpy()
pd.DataFrame(prob[:, :5].round(3), columns=pair_id[:5])

# %%
check("one probability for each sample", prob.shape == tuple(x2_hat.shape[:2]), prob.shape)
check("K is what this run declares", len(prob) == k_runs, len(prob))

# %% [markdown]
# ## 2 · Measure error and variance of one nodule
# Section 4.3 sets the error of a nodule's mean probability against the spread of its K runs:
#
# $$\bar p_i = \frac1K \sum_k p_{k,i}, \qquad \text{error}_i = |L_i - \bar p_i|, \qquad
# \mathrm{Var}(p)_i = \frac{1}{K-1} \sum_k (p_{k,i} - \bar p_i)^2$$
#
# The paper does not name its divisor. With K - 1, runs of K = 4 and K = 20 estimate the same
# quantity. Three nodules, four runs:
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\bar p$ | `prob_mean` | (N,) | probability |
# | $\lvert L - \bar p \rvert$ | `error` | (N,) | probability |
# | $\mathrm{Var}(p)$ | `prob_var` | (N,) | squared probability |

# %%
label_3 = np.array([0, 1, 1])                     # benign, malignant, malignant
prob_3 = np.array([[0.05, 0.2, 0.1],
                   [0.10, 0.8, 0.2],
                   [0.05, 0.4, 0.1],
                   [0.20, 0.6, 0.2]])             # (4, 3)
prob_mean = prob_3.sum(0) / 4                     # (3,)
error = np.abs(label_3 - prob_mean)               # (3,)
prob_var = ((prob_3 - prob_mean) ** 2).sum(0) / 3  # (3,)
pd.DataFrame({"error": error, "prob_var": prob_var}).round(4)

# %% [markdown]
# Confidently correct, unsure, confidently incorrect: the third nodule's runs agree on the wrong
# answer. The module does the same for all nodules.

# %%
show(variance.spread)

# %%
fast = variance.spread(prob_3, label_3)
check("slow and fast error agree", np.allclose(fast["error"], error))
check("slow and fast variance agree", np.allclose(fast["prob_var"], prob_var))

# %% [markdown]
# Error and variance are not free of each other. Numbers between 0 and 1 with mean $\bar p$ spread
# most when each is 0 or 1:
#
# $$\mathrm{Var}(p) \le \frac{K}{K-1}\, \bar p\,(1 - \bar p)
# = \frac{K}{K-1}\, \text{error}\,(1 - \text{error})$$
#
# Both ends of the arch are forced: the largest errors *cannot* have a large variance.

# %%
table = variance.spread(prob, label)
ceiling = k_runs / (k_runs - 1) * table["error"] * (1 - table["error"])
check("no nodule lies above its ceiling", (table["prob_var"] <= ceiling + 1e-9).all())
table.describe().round(4)

# %% [markdown]
# ## 3 · Sort the nodules into three regimes
# The paper splits its cloud "roughly" into three and draws no line. We draw two, and state them: a
# nodule is *unsure* when its variance is in the top quarter of the test nodules; the others are
# confident, and *correct* when the error is below 0.5.

# %%
error_cut = 0.5
var_cut = float(table["prob_var"].quantile(0.75))
regime = variance.regimes(table["error"], table["prob_var"], error_cut, var_cut)
cells = pd.crosstab(regime, table["label"]).reindex(variance.REGIMES, fill_value=0)
cells = cells.reindex(columns=[0, 1], fill_value=0).rename(columns={0: "benign", 1: "malignant"})
run.table(cells.rename_axis("regime").reset_index(), "regimes")

# %%
fig = figures.error_and_variance(table, regime, error_cut, var_cut, k_runs, synthetic=run.synthetic)
run.figure(fig, "fig3_error_and_variance")

# %% [markdown]
# **What to see.** Dashed: our two cuts. Dotted: the ceiling. In the paper the cloud rises to the
# middle of the error axis and falls on the right, and the benign box sits left of the malignant
# one. Benign nodules are many: compare the boxes, not the number of dots.
#
# Does the right end really fall? We cut the error axis into thirds and compare the mean variance
# of the middle one with the outer two. One table of patient resamples serves every interval below.

# %%
counts = intervals.resample_counts(label, n_boot, seed, "variance")   # (n_boot, N)
third = np.minimum((table["error"] * 3).astype(int), 2).to_numpy()    # 0, 1, 2
spread_of_p = table["prob_var"].to_numpy()
rise = variance.contrast(spread_of_p, third == 1, third == 0, counts)
fall = variance.contrast(spread_of_p, third == 1, third == 2, counts)
pd.DataFrame([rise, fall], ["middle - low error", "middle - high error"], ["value", "low", "high"])

# %% [markdown]
# An interval above 0 says that the cloud rises (first line) or falls (second line); one that
# crosses 0 leaves it open.
#
# "Benign cases have a lot of confident predictions compared to malignant cases", says the paper.
# Benign nodules are the majority, so we compare the *share* of confident ones in each label.

# %%
confident = (table["prob_var"] <= var_cut).to_numpy(dtype=float)
benign_lead = variance.contrast(confident, label == 0, label == 1, counts)
print("confident: benign {:.2f}, malignant {:.2f}".format(*(confident[label == v].mean() for v in (0, 1))))
print("difference {:+.2f} [{:+.2f}, {:+.2f}]".format(*benign_lead))

# %% [markdown]
# Beware: malignant nodules have higher probabilities, and the ceiling gives 0.3 more room than
# 0.03. Exercise 4 compares nodules of equal $\bar p$.
#
# ## 4 · Look at six cases
# Figure 3 (right) shows one benign and one malignant nodule of each regime. How they were chosen is
# not said; we take the smallest error, the largest variance and the largest error of their cell.

# %%
def case(name, label_i, i):
    """Images of test nodule i for the panel; only the names when the cell is empty."""
    head = {"name": f"{name}\n{figures.LABELS[label_i]}", "note": "no such nodule"}
    if i is None:
        return head
    note = f"mean p {table['prob_mean'][i]:.2f}, Var(p) {table['prob_var'][i]:.4f}"
    return head | {"note": note, "x1": x1[i, 0], "x2": x2[i, 0], "samples": x2_hat[:, i, 0].numpy()}


picked = variance.pick_cases(table, regime)
panel_cases = [case(name, v, i) for (name, v), i in picked.items()]
fig = figures.case_panel(panel_cases, k_runs, synthetic=run.synthetic)
run.figure(fig, "fig3_cases")

# %% [markdown]
# **What to see.** A bright ring in the variance column: samples disagree about the nodule's edge.
# If the last column could tell correct rows from incorrect ones, the paper's second observation
# would be wrong. Six chosen cases prove neither; Section 5 measures both on all nodules.
#
# ## 5 · Locate the disagreement
# To average the variance maps of small and large nodules, we measure distance in radii: the
# boundary is at $r / R = 1$.
#
# $$V_i(u) = \mathrm{Var}_k\, \hat X^{(2)}_{k,i}(u), \qquad
# R_i = \tfrac12 \sqrt{\text{longest} \times \text{perpendicular}}$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $V$ | `pixel_var` | (N, 64, 64) | squared window units |
# | $r / R$ | `ratio` | (N, 64, 64) | radii |
# | rings | `rings` | (N, 6) | squared window units |
#
# R comes from the recorded follow-up diameters. A toy row of five pixels of 0.6 mm across a nodule
# of 1.8 mm:

# %%
row_var = np.array([0.01, 0.05, 0.02, 0.07, 0.01])            # variance of five pixels
row_ratio = np.abs(np.arange(5) - 2) * 0.6 / (1.8 / 2)        # 1.33 0.67 0 0.67 1.33
inside, edge = row_var[row_ratio < 0.6].mean(), row_var[(row_ratio >= 0.6) & (row_ratio < 0.85)].mean()
toy = variance.radial_profile(row_var[None, None], row_ratio[None, None])
check("rings by hand agree with the module", np.allclose(toy[0, :2], [inside, edge]), toy[0, :2].round(3))

# %%
show(variance.radial_profile)

# %%
record = test.attributes(2)[["sct_long_dia", "sct_perp_dia"]].to_numpy(dtype=float, na_value=np.nan)
diameter_mm = np.sqrt(record.prod(1))                                # (N,) mm, NaN when not recorded
pixel_var = x2_hat[:, :, 0].var(0).numpy()                           # (N, 64, 64), over runs
pixel_error = (x2_hat[:, :, 0] - x2[None, :, 0]).abs().mean(0).numpy()  # (N, 64, 64)
rings = variance.radial_profile(pixel_var, variance.relative_radius(diameter_mm, image_size))
np.nanmean(rings, axis=0).round(4)

# %%
profiles = {"benign": rings[label == 0], "malignant": rings[label == 1]}
fig = figures.radial_profile(profiles, f"Where K = {k_runs} runs disagree", synthetic=run.synthetic)
run.figure(fig, "fig3_rings")

# %% [markdown]
# **What to see.** If the paper is right, the curve peaks in the shaded ring and falls on both
# sides.
# A flat curve would be noise all over the crop; one that is highest on the left, an undecided
# interior. Bars are 95 % over nodules.
#
# Two differences within each nodule settle it: the boundary's ring minus the interior, and minus
# the ring beyond 1.6 radii.

# %%
edge_inside = variance.mean_interval(rings[:, 2] - rings[:, 0], counts)
edge_outside = variance.mean_interval(rings[:, 2] - rings[:, 4], counts)
pd.DataFrame([edge_inside, edge_outside], ["boundary - interior", "boundary - outside"], ["value", "low", "high"])

# %% [markdown]
# Error maps are said to show "no clear distinction across confidence levels and correctness". A
# wide interval does not support a claim of *no* difference. We call two regimes alike when the
# interval of their difference stays within 10 % of the mean error.

# %%
mean_error = pixel_error.mean((1, 2))                                # (N,) window units
correct, _, incorrect = (regime == name for name in variance.REGIMES)
gap, low, high = variance.contrast(mean_error, correct, incorrect, counts)
margin = 0.1 * mean_error.mean()
nearest, farthest = max(low, -high, 0), max(-low, high)
print(f"correct - incorrect {gap:+.4f} [{low:+.4f}, {high:+.4f}], margin {margin:.4f} (window units)")

# %% [markdown]
# ## 6 · Count the runs that are needed
# Appendix D follows the variance of the first k probabilities and stops at K = 20, where most
# curves "plateau" after they "initially rise".
#
# $$v_{k,i} = \frac{1}{k - 1} \sum_{j \le k} (p_{j,i} - \bar p_{k,i})^2, \qquad k = 2, \dots, K$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $v_{k,i}$ | `running` | (K, N) | squared probability |
#
# Does a running variance rise by itself? Take every pair of four probabilities. Divided by k - 1,
# the pairs have on average the variance of all four; divided by k, half of it.

# %%
four = np.array([0.2, 0.4, 0.5, 0.9])
pairs = np.array([(a, b) for i, a in enumerate(four) for b in four[i + 1:]])   # (6, 2)
unbiased, divided_by_k = pairs.var(1, ddof=1).mean(), pairs.var(1, ddof=0).mean()
check("k - 1: pairs agree with all four", np.isclose(unbiased, four.var(ddof=1)), round(unbiased, 4))
check("k: pairs reach half of it", np.isclose(divided_by_k, four.var(ddof=1) / 2), round(divided_by_k, 4))

# %% [markdown]
# With divisor k the expected curve is $(k - 1)/k$ of its limit: it rises for every nodule and
# reaches 95 % at k = 20. With k - 1 it is flat, and only its noise shrinks.
#
# To see beyond the K of notebook 05 we draw more runs of a few nodules. Noise is keyed by (seed,
# nodule), so run 0, drawn once more, must be run 0 of notebook 05.

# %%
n_shown = min(var_nodules, len(label))
chosen = np.sort(numpy_rng(seed, "figure 5").choice(len(label), n_shown, replace=False))
maker = partial(NAMD, run.need("arms/namd/namd", made_by="04").parent, run.p)
seeds = run_seeds(1) + run_seeds(max(var_runs, k_runs))[k_runs:]
runs.draw_rows({"figure 5": maker}, x1[chosen], test.ehr.iloc[chosen], {"figure 5": seeds},
               run.root / "samples", eval_batch, threads, precision=precision, key=run.key)

# %%
drawn = load_row(run.root / "samples", "figure 5")                   # (1 + new runs, n_shown, 1, 64, 64)
gap_redrawn = float((drawn[0] - x2_hat[0, chosen]).abs().max())
check("run 0 is drawn again as notebook 05 drew it", gap_redrawn < 0.01, f"{gap_redrawn:.5f}")

# %%
judge = load_judge(run.need("judge", made_by="05")).to(run.device)
extra = [judge.prob(images).numpy()[None] for images in drawn[1:]]
prob_shown = np.concatenate([prob[:, chosen], *extra])               # (var_runs, n_shown)
prob_shown.shape

# %%
tolerance, k_max = 0.2, len(prob_shown)
running = variance.running_variance(prob_shown)                      # (k_max, n_shown)
k_at = min(PAPER["running_variance_plateau"], 2 * k_max // 3)
share = {f"judged against run {k}": variance.settled(running[:k], tolerance) for k in (k_max, k_at)}
fig = figures.running_variance(running, share, title=f"n = {n_shown} test nodules", synthetic=run.synthetic)
run.figure(fig, "fig5_running_variance")

# %% [markdown]
# **What to see.** Upper panel: with divisor k - 1 the mean of the curves should not climb; single
# curves jump early and calm down. Lower panel: the share of nodules whose variance stays within
# 20 % of its last value, 1 at the end by construction. If the K needed were a property of the
# model, both curves would cross one half at the same k.

# %%
show(variance.settled)

# %%
k_long, k_short = variance.k_needed(running, tolerance), variance.k_needed(running[:k_at], tolerance)
is_settled = np.abs(running[k_at - 1] - running[-1]) <= tolerance * running[-1]
settled_ci = binomtest(int(is_settled.sum()), n_shown).proportion_ci(method="wilson")
print(f"K needed: {k_long} of {k_max} runs, but {k_short} of {k_at}")
print(f"within 20 % at K = {k_at}: {is_settled.mean():.2f} [{settled_ci.low:.2f}, {settled_ci.high:.2f}]")

# %% [markdown]
# The variance of K normal draws has a relative standard error of $\sqrt{2 / (K - 1)}$: 82 % at
# K = 4, 32 % at K = 20, and 20 % only at K = 51. The K found by waiting for a plateau grows with
# the number of runs one waits for.
#
# ## 7 · Settle each claim
# A claim *holds* when its interval lies above 0, *fails* below, and is *undecided* otherwise.
# The verdicts concern this run and its data source.

# %%
def claim(text, value, low, high):
    """One row of the claims table."""
    return dict(claim=text, value=value, low=low, high=high, verdict=variance.verdict(low, high))


claims = [
    claim("variance rises from low to middle error", *rise),
    claim("variance falls from middle to high error", *fall),
    claim("benign nodules are more often confident (share)", *benign_lead),
    claim("variance: boundary above interior", *edge_inside),
    claim("variance: boundary above outside", *edge_outside),
    claim("error maps alike (margin minus difference)", margin - abs(gap), margin - farthest, margin - nearest),
    claim(f"most variances settled at K = {k_at} (share minus 1/2)", is_settled.mean() - 0.5,
          settled_ci.low - 0.5, settled_ci.high - 0.5),
]

# %%
n_empty = int((cells == 0).to_numpy().sum())
claims.append(dict(claim="both labels occur in all three regimes (empty cells)", value=n_empty, low=np.nan,
                   high=np.nan, verdict="fails" if n_empty else "holds"))
run.table(pd.DataFrame(claims), "claims_variance").round(4)

# %% [markdown]
# ## Paper and this run
# The paper shows pictures, so its column holds words.

# %%
def shown(value, low, high):
    """Value and interval as text."""
    return f"{value:.4f} [{low:.4f}, {high:.4f}]" if np.isfinite(value) else "a group has no nodule"


why = "phantom data, small models" if run.synthetic else "our cuts, our judge"
common = dict(n=len(label), k=k_runs, comparable=False, why=why)
run.panel([
    dict(quantity="Var(p), middle - high error", paper="falls (Fig. 3 left top)", here=shown(*fall), **common),
    dict(quantity="confident share, benign - malignant", paper="benign higher (Fig. 3 left bottom)",
         here=shown(*benign_lead), **common),
    dict(quantity="pixel variance, boundary - interior", paper="boundary higher (Fig. 3 right)",
         here=shown(*edge_inside), **common),
    dict(quantity="pixel error, correct - incorrect", paper="no clear distinction (Sec. 4.3)",
         here=shown(gap, low, high), **common),
    dict(quantity="K needed (20 % of the last value)", here=f"{k_long} of {k_max}",
         **common | dict(n=n_shown, k=k_max, paper=f"{PAPER['running_variance_plateau']} (App. D)")),
])

# %% [markdown]
# The intervals resample test patients; none covers another training seed or judge. Var(p) at small
# K is itself noisy, which blurs every border between regimes.
#
# ## Exercises
# **1 · Derive.** Show that K numbers in [0, 1] with mean $\bar p$ have
# $\mathrm{Var}(p) \le \frac{K}{K-1}\bar p (1 - \bar p)$, and say when they are equal.
#
# <details><summary>Solution</summary>
#
# For $0 \le p \le 1$ we have $p^2 \le p$, so $\frac1K\sum p_k^2 \le \bar p$. Subtract $\bar p^2$:
# the variance with divisor K is at most $\bar p - \bar p^2$. Multiply by $K/(K-1)$. Both sides are
# equal when every $p_k$ is 0 or 1.
#
# </details>
#
# **2 · Change a parameter.** Call a nodule unsure when the standard deviation of its probability
# exceeds 0.1. How many nodules change their regime?

# %%
# your turn

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
fixed = variance.regimes(table["error"], table["prob_var"], error_cut, 0.1**2)
pd.crosstab(pd.Series(regime, name="top quarter"), pd.Series(fixed, name="sd above 0.1"))

# %% [markdown]
# **3 · Break it on purpose.** Draw the median running variance with divisor k. Predict first where
# it reaches 95 % of the median with divisor k - 1.

# %%
# your turn

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
broken = variance.running_variance(prob_shown, ddof=0)
ratio_of_means = broken[1:].mean(1) / running[1:].mean(1)             # (k - 1) / k, exactly
first = int(np.argmax(ratio_of_means >= 0.95)) + 2
check("the rise is (k - 1) / k", np.allclose(ratio_of_means, 1 - 1 / np.arange(2, k_max + 1)))
print(f"95 % from k = {first}" if ratio_of_means[-1] >= 0.95 else "95 % needs k = 20")

# %% [markdown]
# **4 · Extend.** Are benign nodules more confident at *equal* $\bar p$? Compare the labels within
# five bins of the mean probability and average the differences.

# %%
# your turn

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
bins = pd.qcut(table["prob_mean"], 5, labels=False, duplicates="drop")
within = table.assign(confident=confident, bins=bins).pivot_table(index="bins", columns="label", values="confident")
print(within.round(2))
print("benign - malignant at equal mean p:", round((within[0] - within[1]).mean(), 3))

# %% [markdown]
# <details><summary>What to expect</summary>
#
# When the difference shrinks inside the bins, the label had little to do with it: malignant nodules
# are less often confident because their probabilities are larger.
#
# </details>
#
# ## In practice
# - Recorded diameters have reading errors, which widen the peak. With a mask, measure the distance
#   from its edge.
# - A nodule that all runs get wrong in the same way has no variance: a small Var(p) is no safety
#   signal.
# - Another judge, on the same samples, moves the regimes.
#
# ## Summary
# - Error is the mean's distance from the label, variance the spread of K readings.
# - Near error 0 and 1 part of the arch is arithmetic.
# - Distance in radii puts small and large nodules on one axis.
# - Divided by k, every running variance rises; divided by k - 1 it does not.
# - An interval above 0 holds, below 0 fails, across 0 is undecided.
#
# ## Further reading
# - Kendall and Gal (2017), *What uncertainties do we need in Bayesian deep learning?*: which
#   doubts more data removes.
# - Efron and Tibshirani (1993), *An introduction to the bootstrap*: why we resample patients.
# - Altman and Bland (1995), *Absence of evidence is not evidence of absence*: why "no clear
#   distinction" needs a margin.

# %%
run.finish(k_needed=k_long, claims={row["claim"]: row["verdict"] for row in claims}, var_cut=var_cut)
