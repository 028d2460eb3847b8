# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Ask where the forecasts disagree
# NAMD draws K follow-ups of each nodule. You measure how far they disagree, where in the image, how
# many runs it takes to know, and whether disagreement tells which answers to trust.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Section 4.3, Figure 3, Appendix D, Figure 5.
# *Previous:* `05_evaluation`. *Next:* `07_ablations`.
#
# *Reading:* 13 minutes; the core, sections 1 to 4 and 6, takes 6. The rest is optional.
#
# ## What you will do
# Turn each claim of Section 4.3 into a number with an interval over patients and training seeds, and
# give it a verdict. You make Figure 3, Figure 5 and `metrics/claims_variance.csv`.
#
# ## What you will learn
# - Compute the prediction error and the predictive variance of a nodule by hand.
# - Explain why an error near 0 or 1 leaves no room for variance.
# - Locate pixel-wise variance in millimetres from the boundary.
# - Choose K for a stated precision, from theory and by splitting the runs.
# - Test whether holding back the unsure nodules helps, and give a claim its verdict.
#
# ## What you need
# The patient bootstrap of notebook 05, its samples, [judge](00_start_here.ipynb#judge) and
# probabilities; from 02-04 the [arm](00_start_here.ipynb#arm) `namd`, once for each training seed.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 1 min | 5 min (estimate) |
# | memory | 1.9 GB | 20 GB (estimate) |
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
llm_path: str = "outputs/reference/models/small-gemma"  # language model; empty is the small one of notebook 01
llm_dtype: str = "float32"             # its precision (App. B)
ddim_steps: int = 5                    # steps of one run (Sec. 3.3.2: 50)
eval_batch: int = 64                   # images per forward pass
k_runs: int = 4                        # K of notebook 05 (App. D: 20)
var_nodules: int = 50                  # nodules of Figure 5 (App. D)
var_runs: int = 30                     # runs of Figure 5: beyond 20, to see a plateau at 20
n_boot: int = 1000                     # bootstrap resamples of the patients
arm: str = "namd"                      # the row that is NAMD

# %%
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import display
from scipy.stats import spearmanr

from namd.data.cohort import Cohort
from namd.evaluation.figures import alt, plots, variance_figures
from namd.evaluation.stats import bootstrap, boundary, intervals, metrics, referral, seeds_and_patients, variance
from namd.evaluation.tables import probabilities, told_variance, uncertainty_claims
from namd.forecasters import drawing
from namd.forecasters.namd import NAMD
from namd.ground.paper import PAPER
from namd.models.judge import load_judge
from namd.study.lesson import told
from namd.study.notebook import check, show, start

run = start("06_variance_analysis", globals())

# %%
run.map()

# %% [markdown]
# ## 1 · Read the forecasts of notebook 05
# Notebook 05 drew K follow-ups of every test nodule and let the judge read each. We start from its
# files. Where NAMD was trained from several seeds (`make seeds` trains R = 3), we follow the first,
# row `namd`, until Section 7 reads the others.
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $X^{(1)}, X^{(2)}$ | `x1`, `x2` | (N, 1, 64, 64) | window [-1, 1] |
# | $\hat X^{(2)}_k$ | `x2_hat` | (K, N, 1, 64, 64) | window [-1, 1] |
# | $p_{k,i}$ | `prob`; of all seeds `prob_all` | (K, N); (R, K, N) | probability |
# | $L_i$ | `label` | (N,) | 0 benign, 1 malignant |

# %%
test = Cohort.open(run.need("cohort", made_by="01")).split("test")
x1, x2 = test.images(image_size, window_low, window_high)
label, pair_id, patient = test.label, list(test.table.index), test.patient
x2_hat = drawing.load_row(run.need(f"samples/{arm}.npy", made_by="05").parent, arm)

# %%
judged = pd.read_parquet(run.need("metrics/probabilities.parquet", made_by="05"))
trained = probabilities.training_seeds(judged["row"], arm)              # its own first
prob_all = probabilities.stack(judged, trained, pair_id)
prob = prob_all[0]
pd.DataFrame(prob[:, :5].round(3), columns=pair_id[:5])

# %% [markdown]
# ## 2 · Measure error and variance of one nodule
# The paper sets the error of a nodule's mean probability against the spread of its K runs:
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
# The first nodule is confidently correct, the second unsure, and the third confidently incorrect: its
# runs agree on the wrong answer. The module does the same for all nodules.

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
# Drawn over the error this bound is an arch. Both of its ends are forced: the smallest and the
# largest errors *cannot* have a large variance, whatever the model.

# %%
table = variance.spread(prob, label)
ceiling = k_runs / (k_runs - 1) * table["error"] * (1 - table["error"])
check("no nodule lies above its ceiling", (table["prob_var"] <= ceiling + 1e-9).all())
table.describe().round(4)

# %% [markdown]
# ## 3 · Sort the nodules into three regimes and look at six
# The paper splits its cloud of nodules "roughly" into three and draws no line. We draw two, and state
# them. A nodule is *unsure* when its variance is in the top quarter of the test nodules. The others
# are *confident*: correct when the error is below 0.5, else incorrect.

# %%
error_cut, unsure = uncertainty_claims.ERROR_CUT, uncertainty_claims.UNSURE            # 0.5 and a quarter
var_cut = float(table["prob_var"].quantile(1 - unsure))
regime = variance.regimes(table["error"], table["prob_var"], error_cut, var_cut)
cells = pd.crosstab(regime, table["label"]).reindex(variance.REGIMES, fill_value=0)
cells = cells.reindex(columns=[0, 1], fill_value=0).rename(columns={0: "benign", 1: "malignant"})
told(told_variance.regimes_found(table, regime))
run.table(cells.rename_axis("regime").reset_index(), "regimes")

# %%
fig = variance_figures.error_and_variance(table, regime, error_cut, var_cut, k_runs, synthetic=run.synthetic)
run.figure(fig, "fig3_error_and_variance")

# %% [markdown]
# **What to see.** Dashed are our two cuts, dotted is the arch. In the paper the cloud rises to the
# middle of the error axis and falls on the right, and the benign box sits below the malignant
# one. Benign nodules are many, so compare the boxes and not the number of dots. And mind the words:
# a judge whose probabilities stay below two thirds is *confident* only in the sense that its runs
# agree, and an error above two thirds can only be a malignant nodule that it misses.
#
# Does the right end really fall? We cut the error axis into thirds and compare the mean variance
# of the middle one with the outer two. One table of patient resamples serves every interval below.

# %%
resamples = seeds_and_patients.resample(label, len(trained), n_boot, seed, "variance", patient=patient)
counts = resamples.counts                                             # (n_boot, N)
third = np.minimum((table["error"] * 3).astype(int), 2).to_numpy()    # 0, 1, 2
spread_of_p = table["prob_var"].to_numpy()
rise = bootstrap.contrast(spread_of_p, third == 1, third == 0, counts)
fall = bootstrap.contrast(spread_of_p, third == 1, third == 2, counts)
told(told_variance.arch(rise, fall))

# %% [markdown]
# "Benign cases have a lot of confident predictions compared to malignant cases", says the paper.
# Benign nodules are the majority, so we compare the *share* of confident ones in each label.

# %%
confident = (table["prob_var"] <= var_cut).to_numpy(dtype=float)
benign_lead = bootstrap.contrast(confident, label == 0, label == 1, counts)
told(told_variance.confident_shares(confident, label, benign_lead))

# %% [markdown]
# Beware: malignant nodules have higher probabilities, and the arch leaves more room for variance at a
# probability of 0.3 than at 0.03. Exercise 4 compares nodules of equal $\bar p$.
#
# Figure 3 (right) shows one benign and one malignant nodule of each regime. The paper does not say
# how they were chosen. We take the smallest error of the confidently correct, the largest variance
# of the unsure and the largest error of the confidently incorrect.

# %%
def case(name, label_i, i):
    """Images of test nodule i for the panel; only the names when the cell is empty."""
    head = {"name": f"{name}\n{plots.LABELS[label_i]}", "note": "no such nodule"}
    if i is None:
        return head
    note = f"mean p {table['prob_mean'][i]:.2f}, Var(p) {table['prob_var'][i]:.4f}"
    return head | {"note": note, "x1": x1[i, 0], "x2": x2[i, 0], "samples": x2_hat[:, i, 0].numpy()}


picked = variance.pick_cases(table, regime)
panel_cases = [case(name, v, i) for (name, v), i in picked.items()]
fig = variance_figures.case_panel(panel_cases, k_runs, synthetic=run.synthetic)
run.figure(fig, "fig3_cases")
told(told_variance.chosen_cases(table, picked))

# %% [markdown]
# **What to see.** Where the samples disagree, the variance column shows a bright ring: they disagree
# about the nodule's edge. The paper adds that the last column, the error, looks the same for right
# and wrong answers. Look for a difference between the correct rows and the incorrect ones: six
# chosen cases prove nothing, and Section 4 measures both statements on all nodules.
#
# ## 4 · Locate the disagreement
# The paper sees the variance "predominantly concentrated along the boundary of the nodule rather
# than the interior". We measure each pixel's distance from the boundary, negative inside:
#
# $$V_i(u) = \mathrm{Var}_k\, \hat X^{(2)}_{k,i}(u), \qquad d_i(u) = \lVert u \rVert - R_i, \qquad
# R_i = \tfrac12 \sqrt{\text{longest} \times \text{perpendicular}}$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $V$ | `pixel_var` | (N, 64, 64) | squared window units |
# | $d$ | `distance` | (N, 64, 64) | mm |
#
# Here $u$ is a pixel's place as seen from the middle of the crop, and $R_i$ the nodule's radius at
# the follow-up. The record holds two diameters and no outline, so the true nodule is taken for a
# *disc*. Two numbers answer the claim: the mean of V by distance, and the share of all V that lies
# in the ring $|d| \le 1.8$ mm (three pixels), beside the ring's share of the area. A map without any
# pattern would have both shares equal.
#
# A toy row of five pixels of 0.6 mm across a nodule of 1.8 mm, with a ring of 0.5 mm:

# %%
row_var = np.array([0.01, 0.05, 0.02, 0.07, 0.01])            # variance of five pixels
row_mm = np.abs(np.arange(5) - 2) * 0.6 - 1.8 / 2             # 0.3 -0.3 -0.9 -0.3 0.3
near = np.abs(row_mm) <= 0.5                                  # all but the middle
by_hand = [row_var[near].sum() / row_var.sum(), near.mean()]  # 0.14 / 0.16 on 4 / 5 of the pixels
toy = boundary.share_within(row_var[None, None], row_mm[None, None], [0.5], np.ones((1, 1), int))
check("ring by hand agrees with the module", np.allclose([toy.share[0], toy.flat[0]], by_hand), by_hand)

# %%
show(boundary.share_within)

# %%
record = test.attributes(2)[["sct_long_dia", "sct_perp_dia"]].to_numpy(dtype=float, na_value=np.nan)
diameter_mm = np.sqrt(record.prod(1))                                # (N,) mm, NaN when not recorded
distance = boundary.signed_distance(diameter_mm, image_size)         # (N, 64, 64) mm


def maps(x2_hat):
    """Variance and mean error of each pixel over the runs, both (N, 64, 64)."""
    images = x2_hat[:, :, 0]
    return images.var(0).numpy(), (images - x2[None, :, 0]).abs().mean(0).numpy()


pixel_var, pixel_error = maps(x2_hat)

# %%
edges = np.arange(-6.6, 10.3, 1.2)                                   # bins of two pixels, mm
bins = boundary.profile(pixel_var, distance, edges)                  # (N, 14)
within = boundary.share_within(pixel_var, distance, np.arange(0.6, 12.1, 0.6), counts)
cuts = np.nanquantile(diameter_mm, [1 / 3, 2 / 3])
sizes = [f"below {cuts[0]:.1f} mm", "between", f"{cuts[1]:.1f} mm and more"]
size_third = np.digitize(diameter_mm, cuts)                          # (N,) of 0, 1, 2
profiles = {name: (bins[size_third == i], patient[size_third == i]) for i, name in enumerate(sizes)}
fig = variance_figures.boundary(profiles, edges, within, boundary.RING_MM, k_runs, synthetic=run.synthetic)
run.figure(fig, "boundary")

# %% [markdown]
# **What to see.** Left, the nodules in three parts by diameter, because only large ones have a deep
# interior. The paper's sentence asks that each curve peaks in the shaded ring and falls on both
# sides. A curve that is highest at its left end would say that the runs disagree about the inside.
# Right, the solid line is the share of the variance within a distance; the farther it runs above
# the dashed share of the area, the more the variance gathers at the boundary.
#
# Now as numbers: within each nodule we subtract the mean inside the ring, and the mean outside it,
# from the ring's own. "Predominantly" asks for more: over half of all variance in the ring.

# %%
width = boundary.RING_MM
zones = boundary.profile(pixel_var, distance, (-np.inf, -width, width, np.inf))      # (N, 3)
edge_inside = bootstrap.mean_interval(zones[:, 1] - zones[:, 0], counts)
edge_outside = bootstrap.mean_interval(zones[:, 1] - zones[:, 2], counts)
ring = boundary.share_within(pixel_var, distance, [width], counts).iloc[0]
ring_share, ring_lead = ring[["share", "low", "high"]].to_numpy(), ring[["lead", "lead_low", "lead_high"]].to_numpy()
told(told_variance.ring_found(ring_share, ring.flat, edge_inside, edge_outside, within))

# %% [markdown]
# Error maps are said to show "no clear distinction across confidence levels and correctness". We
# test correctness among the confident nodules and leave the other half, confidence levels, out.
# That no difference was seen is no proof of none: with few patients every interval is wide. We call
# two regimes alike only when the whole interval of their difference stays within 10 % of the mean
# error.

# %%
mean_error = pixel_error.mean((1, 2))                                # (N,) window units
correct, _, incorrect = (regime == name for name in variance.REGIMES)
gap, low, high = bootstrap.contrast(mean_error, correct, incorrect, counts)
margin = uncertainty_claims.ALIKE * mean_error.mean()
alike = uncertainty_claims.alike(gap, low, high, margin)                      # margin - |gap|, low, high
told(told_variance.errors_alike(gap, low, high, margin))

# %% [markdown]
# From the maps the paper concludes that pixel fidelity "does not fully determine downstream
# diagnostic accuracy". The squared rank correlation of pixel error and prediction error says how
# much of one the other determines; we read "not fully" as less than half.

# %%
fixed_share = spearmanr(mean_error, table["error"]).statistic ** 2
drawn = bootstrap.rank_correlation_draws(mean_error, table["error"], counts) ** 2
told(told_variance.pixels_fix(fixed_share, *bootstrap.percentile_interval(drawn)))

# %% [markdown]
# ## 5 · Count the runs that are needed
# *Optional.* Appendix D follows the variance of the first k probabilities and stops at K = 20, where
# most curves "plateau" after they "initially rise".
#
# $$v_{k,i} = \frac{1}{k - 1} \sum_{j \le k} (p_{j,i} - \bar p_{k,i})^2, \qquad k = 2, \dots, K$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $v_{k,i}$ | `running` | (K, N) | squared probability |
#
# Does a running variance rise by itself? Take all six pairs of four probabilities. With divisor k - 1
# the pairs have on average the variance of all four; with divisor k, half of it.

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
# To see beyond the K of notebook 05 we draw more runs of a few nodules of different patients, with
# each trained model.
# Noise is keyed by (seed, nodule), so run 0, drawn once more, must be run 0 of notebook 05.

# %%
chosen = uncertainty_claims.one_a_patient(patient, var_nodules, seed, "figure 5")
n_shown = len(chosen)
makers = {f"figure 5 {row}": partial(NAMD, run.need(f"arms/{row}/namd", made_by="04").parent, run.p) for row in trained}
seeds = drawing.run_seeds(1) + drawing.run_seeds(max(var_runs, k_runs))[k_runs:]
keys = {f"figure 5 {row}": drawing.row_key(run, row, seeds, chosen.tolist()) for row in trained}
drawing.draw_rows(makers, x1[chosen], test.ehr.iloc[chosen], dict.fromkeys(makers, seeds),
               run.root / "samples", eval_batch, threads, precision=precision, keys=keys)
run.made(*(drawing.row_file("samples", row) for row in makers))

# %%
drawn = [drawing.load_row(run.root / "samples", name) for name in makers]    # R of (1 + new runs, n_shown, 1, 64, 64)
gap_redrawn = float((drawn[0][0] - x2_hat[0, chosen]).abs().max())
check("run 0 is drawn again as notebook 05 drew it", gap_redrawn < 0.01, f"{gap_redrawn:.5f}")

# %%
judge = load_judge(run.need("judge", made_by="05")).to(run.device)
extra = np.array([[judge.prob(images).numpy() for images in new[1:]] for new in drawn]).reshape(len(drawn), -1, n_shown)
prob_shown, *_ = shown_all = np.concatenate([prob_all[:, :, chosen], extra], axis=1)  # (R, var_runs, n_shown)

# %%
tolerance, k_max = uncertainty_claims.TOLERANCE, len(prob_shown)
running = variance.running_variance(prob_shown)                      # (k_max, n_shown)
k_at = min(PAPER["running_variance_plateau"], 2 * k_max // 3)
share = {f"judged against run {k}": variance.settled(running[:k], tolerance) for k in (k_max, k_at)}
run.figure(variance_figures.running_variance(running, share, synthetic=run.synthetic), "fig5_running_variance")
told(told_variance.plateau(share))

# %% [markdown]
# **What to see.** Above, single curves jump early and calm down, and their black mean stays level,
# as it must with divisor k - 1. Below, the share of nodules whose variance stays within 20 % of its
# last value; at the end it is 1 by construction. If the plateau were a property of the model, it
# would begin at the same k however many runs we draw.

# %%
is_settled = np.abs(running[k_at - 1] - running[-1]) <= tolerance * running[-1]
majority = np.array([is_settled.mean(), *intervals.wilson(is_settled.mean(), n_shown)]) - 0.5
print(f"within 20 % at K = {k_at}:", "{:.2f} [{:.2f}, {:.2f}]".format(*(majority + 0.5)))

# %% [markdown]
# Instead of waiting for a plateau we state a precision and ask for its K. Theory has a formula for
# the mean, and one for the variance of normal draws:
#
# $$\mathrm{se}(\bar p_i) = \sqrt{\mathrm{Var}(p)_i / K}, \qquad
# \mathrm{se}(\mathrm{Var}) / \mathrm{Var} \approx \sqrt{2 / (K - 1)}$$
#
# To measure it, split the runs: two groups of K that share no run are two independent tries, and
# half their mean squared difference is the variance of one. Our four probabilities split into
# halves in three ways:

# %%
halves = pairs.mean(1) - pairs[::-1].mean(1)                         # a pair minus the two left over
by_hand = (halves**2).mean() / 2
measured = variance.split_error(lambda values: values.mean(0), four[:, None], 2, 2000, seed, "toy")
check("splits by hand give Var / K", np.isclose(by_hand, four.var(ddof=1) / 2), round(by_hand, 4))
check("2,000 random splits agree", np.isclose(measured**2, by_hand, rtol=0.1), round(measured**2, 4))

# %%
show(variance.split_error)

# %% [markdown]
# We ask for three precisions: 0.02 for a probability (root mean square over nodules), 20 % for its
# variance, and .005 for the AUROC of all test nodules, which have the K runs of notebook 05. No
# formula gives the last; its line continues the last point as $1 / \sqrt K$.

# %%
def panel(name, values, ks, target, statistic, theory=None, **options):
    """What the split runs measure, the line to compare it with, and the target."""
    measured = np.array([variance.split_error(statistic, values, k, 400, seed, name, **options) for k in ks])
    line, law = (theory(grid), "theory") if theory else (measured[-1] * np.sqrt(ks[-1] / grid), "last point / sqrt K")
    return dict(name=name, n=values.shape[1], k=ks, measured=measured, grid=grid, line=line, law=law, target=target)


grid, ks, ks_all = np.arange(2, 61), np.arange(1, k_max // 2 + 1), np.arange(1, k_runs // 2 + 1)
panels = [
    panel("mean p", prob_shown, ks, uncertainty_claims.TARGET, lambda v: v.mean(0),
          lambda k: np.sqrt(running[-1].mean() / k)),
    panel("Var(p), relative", prob_shown, ks[1:], tolerance, lambda v: v.var(0, ddof=1),
          lambda k: np.sqrt(2 / (k - 1)), relative=True),
    panel("AUROC of mean p", prob, ks_all, 0.005, lambda v: intervals.placements(label, v.mean(0))[0].mean()),
]
run.figure(variance_figures.precision(panels, synthetic=run.synthetic), "run_precision")

# %% [markdown]
# **What to see.** The K that is needed is where a line falls below its orange target. In the first
# panel dots and line agree by arithmetic, as the four probabilities did. The second line is exact
# for normal draws only: dots above it mean that some runs are outliers. In the third panel the line
# beyond the last dot is a guess.

# %%
paper_k, target = PAPER["running_variance_plateau"], uncertainty_claims.TARGET
mean_var = np.array(bootstrap.mean_interval(table["prob_var"], counts))       # value, low, high
k_mean = np.ceil(mean_var / target**2).astype(int)
k_auroc = ks_all[-1] * (panels[2]["measured"][-1] / panels[2]["target"]) ** 2
k_text = "{} [{}, {}] / ".format(*k_mean) + f"{1 + 2 / tolerance**2:.0f} / {np.ceil(k_auroc):.0f}"
one_run, _ = metrics.over_runs(metrics.auroc, label, prob)
all_runs = intervals.delong(label, prob.mean(0), patient=patient)
told(told_variance.runs_needed(k_mean, 1 + 2 / tolerance**2, np.ceil(k_auroc), all_runs[1]))
print(f"AUROC of one run {one_run:.3f}, of the mean of {k_runs} {all_runs[0]:.3f}")

# %% [markdown]
# Averaging runs moves the AUROC itself, as the second line shows. So say with which K it was read.
#
# ## 6 · Hold back the unsure nodules
# A variance is useful if it says which answers to distrust. So *refer* the nodules with the largest
# Var(p) to a radiologist, and score those that are kept. Referring at random would change nothing on
# average: AUROC and error rate stay where they were.
#
# Five nodules, of which two are referred:

# %%
five = pd.DataFrame({"label": [0, 0, 0, 1, 1], "prob_mean": [0.1, 0.3, 0.6, 0.5, 0.8]})
five["error"] = (five["label"] - five["prob_mean"]).abs()     # 0.1 0.3 0.6 0.5 0.2: two wrong answers
five_var = [0.00, 0.01, 0.05, 0.04, 0.02]                     # the third and the fourth are referred
curve = referral.referral_curve(five, five_var, error_cut, [0, 0.4], np.ones((1, 5), int))
check("AUROC by hand: 5 of 6 pairs, then 2 of 2", np.allclose(curve["auroc"], [5 / 6, 1]))
check("wrong answers by hand: 2 of 5, then 0 of 3", np.allclose(curve["error"], [2 / 5, 0]))

# %%
show(referral.referral_curve)

# %% [markdown]
# We compare two orders: by Var(p), and by the share of the arch that Var(p) reaches. The first tends
# to refer what has $\bar p$ near one half; the second asks about disagreement alone.

# %%
shares = np.linspace(0, 0.6, 13)
orders = {"largest Var(p) first": table["prob_var"], "largest share of its ceiling first": table["prob_var"] / ceiling}
referred = {name: referral.referral_curve(table, order, error_cut, shares, counts) for name, order in orders.items()}
fig = variance_figures.referral(referred, len(label), synthetic=run.synthetic)
run.figure(fig, "referral")

# %% [markdown]
# **What to see.** Left, a variance that marks bad answers lifts the curve above the dotted line.
# Right, do not be pleased too soon when the curve falls. Most wrong answers are malignant nodules
# that were missed, and these are referred more often. So a fall comes by itself; the grey line shows
# what calling each kept nodule benign would give, and the judge is of use only below it.

# %%
quarter = referred["largest Var(p) first"].iloc[5]                           # 25 %: the unsure
gain = quarter[["gain", "gain_low", "gain_high"]].to_numpy()
told(told_variance.referred(quarter, shares[5]))

# %% [markdown]
# ## 7 · Repeat on every training seed, and settle each claim
# *Optional.* So far we saw one trained model. `measure` takes the same steps in one call: on row
# `namd` it must find our numbers, then it reads the other models.

# %%
show(uncertainty_claims.measure)

# %%
found = [uncertainty_claims.measure(p, label, *maps(drawing.load_row(run.root / "samples", row)), distance, counts)
         for row, p in zip(trained, prob_all, strict=True)]
settled_all = np.array([uncertainty_claims.settled_at(p, k_at) for p in shown_all])     # (R, n_shown)

# %%
by_hand = dict(rise=rise, fall=fall, benign_confident=benign_lead, boundary_inside=edge_inside,
               boundary_outside=edge_outside, ring_lead=ring_lead, ring_most=ring_share - 0.5, error_maps=alike,
               both_labels=[(cells == 0).to_numpy().sum()], pixel_diagnosis=[0.5 - fixed_share],
               mean_known=[target - np.sqrt(mean_var[0] / paper_k)], referral=gain, plateau=majority)
by_seed = pd.DataFrame({row: uncertainty_claims.over_training([found[r]], settled_all[r:r + 1], resamples.weights)
                        for r, row in enumerate(trained)}).map(lambda three: three[0]).rename_axis("id")
same = [np.isclose(by_seed[arm][name], value[0], equal_nan=True) for name, value in by_hand.items()]
check("thirteen numbers by hand agree with the module", all(same), sum(same))

# %% [markdown]
# How do R trained models become one interval? Let $\theta_r$ be the number of model r, and
# $\theta_r^{(b)}$ the same in resample b of the patients, which all models share:
#
# $$\theta^{(b)} = \frac1R \sum_r \theta_r^{(b)} + \kappa\, T^{(b)} \frac{s}{\sqrt R}, \qquad
# s^2 = \frac{1}{R - 1} \sum_r (\theta_r - \bar\theta)^2$$
#
# $T^{(b)}$ is drawn from Student's t with R - 1 degrees of freedom, because three models are few.
# The models differ for two reasons: they were trained from other seeds, and each is measured on the
# same finite set of patients. The first term already contains that patient noise, so $\kappa$
# removes its share from $s$. That share is estimated by what resampling the patients adds to the
# spread of the models:
#
# $$\kappa^2 = 1 - \frac{\bar v - s^2}{s^2}, \qquad
# \bar v = \frac1B \sum_b \frac{1}{R - 1} \sum_r \big(\theta_r^{(b)} - \bar\theta^{(b)}\big)^2$$
#
# cut at 0 and 1. With one model the second term is left out, and the interval is over patients alone.

# %%
show(seeds_and_patients.combine)

# %%
over = uncertainty_claims.over_training(found, settled_all, resamples.weights, seed, "figure 5")
run.table(by_seed.join(pd.DataFrame(over, ["over all", "low", "high"]).T), "claims_by_seed").round(4)

# %% [markdown]
# Each number was formed so that the claim says "above 0". A claim *holds* when its whole interval
# lies above 0, *fails* when it lies below, and is *undecided* otherwise. The verdicts concern this
# run and its data.

# %%
claims = uncertainty_claims.table(over, len(trained)).assign(n=label.size, k=k_runs)
claims.loc[claims.index.str.contains("boundary|ring_"), "n"] = np.isfinite(diameter_mm).sum()
claims.loc["plateau", ["n", "k"]] = n_shown, k_max
told(told_variance.settled(claims))
run.table(claims, "claims_variance").drop(columns="claim").round(4)

# %% [markdown]
# ## Paper and this run
# The paper shows pictures and gives no number for these statements, so its column holds words.

# %%
def shown(value, low, high):
    """Value and interval as text."""
    return f"{value:.4f} [{low:.4f}, {high:.4f}]" if np.isfinite(value) else "a group has no nodule"


why = "phantom data, small models" if run.synthetic else "our cuts, our judge"
common = dict(n=len(label), k=k_runs, comparable=False, why=why)
run.panel([
    dict(quantity="Var(p), middle - high error", paper="falls (Fig. 3 left top)", here=shown(*over["fall"]), **common),
    dict(quantity="confident share, benign - malignant", paper="benign higher (Fig. 3 left bottom)",
         here=shown(*over["benign_confident"]), **common),
    dict(quantity="pixel variance, boundary - interior", paper="boundary higher (Fig. 3 right)",
         here=shown(*over["boundary_inside"]), **common),
    dict(quantity="pixel error, correct - incorrect", paper="no clear distinction (Sec. 4.3)",
         here=shown(*over["error_gap"]), **common),
    dict(quantity="ring's share, minus 1/2", paper="predominant (Sec. 4.3)", here=shown(*over["ring_most"]), **common),
    dict(quantity=f"K needed, row {arm}: mean p / Var(p) / AUROC", paper=f"{paper_k} (App. D)", here=k_text, **common),
    dict(quantity="AUROC gained by referring a quarter", paper="not reported", here=shown(*over["referral"]), **common),
])

# %% [markdown]
# In the table of claims, `over` says what an interval covers: patients alone when the run has one
# training seed, and never another judge. Var(p) of few runs is itself noisy, which blurs every border
# between regimes.
#
# ## Exercises
# ### 1 · Implement
# Compute the running variance of all shown nodules, `prob_shown`, for all k at once, without a loop
# and without `var`. Call it `mine`, (k_max, n_shown); then
#
#     check("running variance", np.allclose(mine[1:], running[1:]))
#
# <details><summary>Hint</summary>
#
# $$\sum_{j \le k} (p_j - \bar p_k)^2 = \sum_{j \le k} p_j^2
# - \frac1k \Big(\sum_{j \le k} p_j\Big)^2$$
#
# Both sums over the first k grow along an axis: `np.cumsum`.
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
k = np.arange(1, k_max + 1)[:, None]
mine = (np.cumsum(prob_shown**2, 0) - np.cumsum(prob_shown, 0) ** 2 / k) / np.maximum(k - 1, 1)
check("running variance", np.allclose(mine[1:], running[1:]))

# %% [markdown]
# ### 2 · Predict
# Call a nodule unsure when the standard deviation of its probability exceeds 0.1, instead of the top
# quarter. Will more nodules be unsure, or fewer? From where do the others come? Guess, then count.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
fixed = variance.regimes(table["error"], table["prob_var"], error_cut, 0.1**2)
pd.crosstab(pd.Series(regime, name="top quarter"), pd.Series(fixed, name="sd above 0.1"))

# %% [markdown]
# ### 3 · Break it
# Use the wrong divisor: draw the median over nodules of the running variance with divisor k beside
# the one with k - 1. Predict first at which k it reaches 95 % of the other.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
k, broken = np.arange(2, k_max + 1), variance.running_variance(prob_shown, ddof=0)          # (k_max, n_shown)
medians = pd.DataFrame({"by k - 1": np.median(running[1:], axis=1), "by k": np.median(broken[1:], axis=1)}, index=k)
with plots.look():
    ax = medians.plot(figsize=(5, 3), style=["-", "--"], xlabel="runs k", ylabel="median Var(p)",
                      title="Divisor k climbs by itself")
    fig = plots.finish(ax.figure, synthetic=run.synthetic)
    display(fig, metadata={"image/png": {"alt": alt.describe(fig, "two divisors")}})
plots.plt.close(fig)
check("the ratio is (k - 1) / k: 95 % at k = 20", np.allclose(medians["by k"] / medians["by k - 1"], 1 - 1 / k))

# %% [markdown]
# ### 4 · Extend
# Are benign nodules more confident at *equal* $\bar p$? Compare the labels within five bins of
# the mean probability and average the differences.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
fifth = pd.qcut(table["prob_mean"], 5, labels=False, duplicates="drop")
within = pd.crosstab(fifth, table["label"], confident, aggfunc="mean")
print(within.round(2), "\nbenign - malignant at equal mean p:", round((within[0] - within[1]).mean(), 3))

# %% [markdown]
# <details><summary>What to expect</summary>
#
# The difference shrinks inside the bins as far as malignant nodules are less often confident only
# because their probabilities are larger. What is left over is a difference of the labels.
#
# </details>

# %% [markdown]
# ### 5 · Derive
# Show that K numbers in [0, 1] with mean $\bar p$ have
# $\mathrm{Var}(p) \le \frac{K}{K-1}\bar p (1 - \bar p)$, and say when they are equal.

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# For $0 \le p \le 1$ we have $p^2 \le p$, so $\frac1K\sum p_k^2 \le \bar p$. Subtract $\bar p^2$:
# the variance with divisor K is at most $\bar p - \bar p^2$. Multiply by $K/(K-1)$. Both sides are
# equal when every $p_k$ is 0 or 1.
#
# </details>

# %% [markdown]
# ## In practice
# - Recorded diameters have reading errors, and a nodule is no disc: both widen the peak of Section 4.
#   With an outline, measure the distance from it.
# - A nodule that all runs get wrong in the same way has no variance: a small Var(p) is no safety
#   signal.
# - Another judge, on the same samples, moves the regimes.
#
# ## Summary
# - Error is the distance of the mean from the label, variance the spread of K readings.
# - Near error 0 and 1 part of the arch is arithmetic.
# - The ring's share of the variance means something beside its share of the area.
# - A stated precision determines K; where a plateau seems to begin depends on how many runs were
#   drawn.
# - Fewer errors among the kept are no merit when the malignant were referred. A claim holds when its
#   interval lies above 0, fails below 0, and is undecided across 0.
#
# ## Further reading
# - Kendall and Gal (2017), [*What uncertainties do we need in Bayesian deep
#   learning?*](https://arxiv.org/abs/1703.04977): which doubts more data removes.
# - Efron and Tibshirani (1993), *An introduction to the bootstrap*: why we resample patients.
# - Altman and Bland (1995), [*Absence of evidence is not evidence of
#   absence*](https://doi.org/10.1136/bmj.311.7003.485): why "no clear distinction" needs a margin.

# %%
run.finish(k_needed=k_text, claims=claims["verdict"].to_dict(), training_seeds=trained, var_cut=var_cut)
