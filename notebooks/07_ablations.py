# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Take one part away, then settle the claims
# What is each part of NAMD worth? You compare [arms](00_start_here.ipynb#arm), trained variants of
# NAMD that lack a part or have another one, by their forecasts and by the order of their latents.
# Then you settle claims: a sentence of the paper, and its verdict on this run's data.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Section 4.2.2, the last two rows of Table 1,
# Figure 2. *Previous:* `06_variance_analysis`. *Next:* `08_comparators`.
#
# *Reading:* 12 minutes; the core, sections 1, 2 and 7, takes 4. The rest is optional.
#
# ## What you will do
# Read the arms that other notebooks trained and evaluated; train nothing. You make Figure 2,
# `metrics/effects.csv`, `metrics/ablation_order.csv` and `metrics/doses.csv`.
#
# ## What you will learn
# - Name what an ablation row leaves out, and what else changed with it.
# - Compare two systems on the same patients, and say which kinds of chance the interval covers.
# - Compute a nearest-neighbour R2 and a trustworthiness by hand.
# - Read a t-SNE map together with the numbers that it hides.
# - Settle a claim by a rule that is fixed before a run.
#
# ## What you need
# AUROC and paired tests (notebook 05), the alignment loss (notebook 02). From 05 the probabilities
# and Table 1; from 02-04 one folder for each arm. Below the stamp you read which arms are not
# trained yet; without any, NAMD is compared with the controls of notebook 05.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 1 min | 3 min (estimate) |
# | memory | 1.6 GB | 8 GB (estimate) |
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
arm: str = "namd"                # the row that is NAMD: the reference
compare_arms: list = ["namd", "no_align_no_pred"]  # rows of Table 1

# %%
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from scipy.stats import sem, t
from sklearn.manifold import trustworthiness

from namd.data.cohort import Cohort
from namd.evaluation.figures import forests, plots
from namd.evaluation.figures.doses import dose_curves
from namd.evaluation.stats import bootstrap, intervals, latent, metrics, seeds_and_patients
from namd.evaluation.stats.rows import plain
from namd.evaluation.tables import differences, doses, probabilities, told_ablations
from namd.evaluation.tables.claims import PAPER_ARMS
from namd.evaluation.tables.ledger import ledger, settle
from namd.ground import order, paths
from namd.ground.errors import UserError
from namd.ground.paper import PAPER
from namd.models.vae import load_vae
from namd.study import params
from namd.study.lesson import told
from namd.study.notebook import check, show, start

run = start("07_ablations", globals())
compare_arms = run.trained_arms()

# %%
run.map()

# %% [markdown]
# ## 1 · Name what was left out
# What changed in the last row of the paper's Table 1? Label, text and code give three answers:
#
# | | $\lambda_\text{align}$ | $\lambda_\text{pred}$ | start of the VAE | learning rate | batch |
# |---|---|---|---|---|---|
# | NAMD (authors' code) | 1 | 0.2 | SD1.5 | 5e-5 | 64 |
# | the row's label: "w/o $\mathcal L_\text{align}$" | **0** | 0.2 | SD1.5 | 5e-5 | 64 |
# | Section 4.2.2: both losses "are omitted" | **0** | **0** | SD1.5 | 5e-5 | 64 |
# | the authors' shipped ablation file | **0** | **0** | **random** | **1e-4** | **16** |
#
# If the published row came from the shipped file, its drop of 0.040 in AUROC mixes five changes.
# Here an arm is one file in `params/ablations/` that says what it changes. A name with `-seed24` is
# the same arm trained from another seed. Which arms does this run have, and what makes a missing one?

# %%
judged = pd.read_parquet(run.need("metrics/probabilities.parquet", made_by="05"))
evaluated = list(dict.fromkeys(judged["row"]))
files = {file.stem: params.read_layer(file) for file in sorted(paths.ABLATIONS.glob("*.yaml"))}
if missing := set(compare_arms) - set(evaluated):
    raise UserError(f"{min(missing)} was trained after notebook 05 had run: run 05 again")
reference = arm
others = [name for name in compare_arms if name != reference and "-seed" not in name]
pd.DataFrame([dict(arm=name, changes=layer, command="" if name in evaluated else f"make ablations PROFILE={run_name}")
              for name, layer in files.items() if not name.startswith("seed")])

# %% [markdown]
# The stamps of notebooks 02-04 say what each arm was really trained with. Every difference from
# the reference must come from the arm's own file.

# %%
def stamp(arm, numbers=order.PER_ARM):
    """Parameters that notebooks 02-04 of an arm were run with."""
    records = [run.need(f"arms/{arm}/runs/{n}.json", made_by=n) for n in numbers]
    return {name: v for file in records for name, v in json.loads(file.read_text())["parameters"].items()}


stamps = pd.DataFrame({arm: stamp(arm) for arm in compare_arms}).astype(str).drop("arm")
changed = {arm: list(stamps.index[stamps[arm] != stamps[reference]]) for arm in compare_arms if arm != reference}
stamps[stamps.nunique(axis=1) > 1]

# %%
own = {arm: {key for part in arm.removeprefix(f"{reference}-").split("-") for key in files[part]} for arm in changed}
check("each arm differs in its own file's parameters alone", all(set(changed[a]) <= own[a] for a in changed), changed)

# %% [markdown]
# Some arms take a part away or exchange it. Others only change a *dose*, the weight
# $\lambda_\text{align}$ of Eq. 6 or the width $\sigma_z$ of Eq. 2; these wait for Section 5.

# %%
ladder = doses.doses(stamps, reference, ["lambda_align", "sigma_z"])
dosed = set(ladder["arm"]) - {reference, *PAPER_ARMS}
parts = [arm for arm in others if arm not in dosed]
ladder

# %% [markdown]
# ## 2 · Compare the forecasts
# The rows share patients, [judge](00_start_here.ipynb#judge) and noise, so we compare them on the
# same nodules. With R training seeds and K runs each,
#
# $$\Delta = \frac1{RK} \sum_{r,k} \mathrm{AUROC}(p^\text{ NAMD}_{r,k})
# - \frac1{RK} \sum_{r,k} \mathrm{AUROC}(p^\text{ row}_{r,k})$$
#
# Three kinds of chance move it: other patients, other noise, another training seed. The paper's ±
# is over the noise alone; patients and training are held fixed. Our interval resamples patients,
# and each brings its own noise. Where the run has several training seeds, they widen it.
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $p_{r,k,i}$ of a row | `prob_a`, `prob_b` | (R, K, N) | probability |
# | $L_i$ | `label` | (N,) | 0 benign, 1 malignant |
# | $\Delta$ | `delta` | () | AUROC |

# %%
test = Cohort.open(run.need("cohort", made_by="01")).split("test")
label, pair_id, patient = test.label, list(test.table.index), test.patient


def names(row):
    """Rows of the reference and of `row` at each training seed that both have."""
    if row.startswith("permuted"):                                       # drawn by the reference itself
        return [reference], [row]
    ours, theirs = (probabilities.training_seeds(evaluated, arm) for arm in (reference, row))
    if row in compare_arms:
        ours = [arm for arm in ours if arm.replace(reference, row, 1) in theirs]
        theirs = [arm.replace(reference, row, 1) for arm in ours]
    return ours, theirs


{row: names(row)[0] for row in others}

# %% [markdown]
# A tiny case by hand: two malignant and two benign nodules, two systems, two runs each. AUROC is
# the share of (malignant, benign) pairs in the right order.

# %%
label_4 = np.array([1, 1, 0, 0])
prob_a = np.array([[0.9, 0.6, 0.3, 0.1], [0.8, 0.2, 0.3, 0.1]])      # (K, N): 4/4 and 3/4 of the pairs
prob_b = np.array([[0.9, 0.2, 0.3, 0.1], [0.4, 0.2, 0.5, 0.3]])      # 3/4 and 1/4
by_hand = [np.mean([[p[i] > p[j] for i in (0, 1) for j in (2, 3)] for p in prob]) for prob in (prob_a, prob_b)]
tiny = seeds_and_patients.resample(label_4, 1, 10, seed, "tiny")
delta, *_ = seeds_and_patients.estimate(bootstrap.auroc_draws, label_4, prob_a[None], tiny, minus=prob_b[None])
check("difference by hand and by the module agree", np.isclose(delta, by_hand[0] - by_hand[1]), delta)

# %%
show(seeds_and_patients.estimate)

# %% [markdown]
# Now every arm, and with the arms five controls of notebook 05.

# %%
table1 = pd.read_csv(run.need("metrics/table1.csv", made_by="05")).set_index("row")
paired = pd.read_csv(run.need("metrics/differences.csv", made_by="05"))
STATISTICS = {"AUROC": bootstrap.auroc_draws, "AUPRC": bootstrap.auprc_draws}


def diagnosis(row):
    """Reference - row in AUROC and AUPRC."""
    prob_a, prob_b = (probabilities.stack(judged, rows, pair_id) for rows in names(row))
    n_train = len(prob_a)
    resamples = seeds_and_patients.resample(label, n_train, n_boot, seed, "effects", patient=patient)
    for quantity, statistic in STATISTICS.items():
        value, low, high = seeds_and_patients.estimate(statistic, label, prob_a, resamples, minus=prob_b)
        yield dict(row=row, quantity=quantity, value=value, low=low, high=high, over=seeds_and_patients.covers(n_train),
                   training_seeds=n_train)


# %% [markdown]
# LPIPS has a number for each nodule, so its interval is over patients, as in notebook 05. FID is
# one number a run: with one training seed its interval covers the sampling noise alone. The column
# `over` says which kind each line has.

# %%
def image_quality(row):
    """Reference - row in LPIPS and FID."""
    for metric in ("lpips", "fid"):
        yield dict(row=row, quantity=metric.upper()) | differences.of_images(table1, paired, metric, *names(row))


show(differences.of_images)


# %% [markdown]
# The share of a gap that NAMD closes (notebook 05) needs three rows at once, so it is formed draw
# by draw from the same resamples.

# %%
def share(ceiling):
    """Share of the gap from the real baseline to the ceiling that the reference closes."""
    rows = [["real baseline"], names(ceiling)[0], [ceiling]]
    prob = [probabilities.stack(judged, part, pair_id) for part in rows]
    n_train = len(prob[1])
    resamples = seeds_and_patients.resample(label, n_train, n_boot, seed, "effects", patient=patient)
    drawn = intervals.gap_closed(*(seeds_and_patients.draws(bootstrap.auroc_draws, label, part, resamples)
                                   for part in prob))
    means = [np.mean([metrics.auroc(label, p) for p in part.reshape(-1, len(label))]) for part in prob]
    value = intervals.gap_closed(*means)
    low, high = bootstrap.percentile_interval(drawn) if np.isfinite(value) else (np.nan, np.nan)
    return dict(row=ceiling, quantity="gap closed", value=value, low=low, high=high,
                over=seeds_and_patients.covers(n_train), training_seeds=n_train)


# %% [markdown]
# Some questions set arms against one another. Does it help that the soft prompts learn? The cleanest
# answer is `prompts_every_step` (Eq. 10) minus `frozen_prompts`. Does alignment help? Four arms have
# each of the two losses on or off. The *main effect* of alignment averages over the prediction loss:
#
# $$\Delta_\text{align} = \tfrac12 \big[ \mathrm{AUROC}_\text{both} + \mathrm{AUROC}_\text{align}
# - \mathrm{AUROC}_\text{pred} - \mathrm{AUROC}_\text{none} \big]$$
#
# Two arms count as 2K runs of one row, so the function above needs no change.

# %%
def contrast(row, with_it, without):
    """AUROC of the arms `with_it` minus that of those `without`; nothing where an arm is missing."""
    sides = [[probabilities.training_seeds(evaluated, arm) for arm in side] for side in (with_it, without)]
    n_train = min(map(len, sides[0] + sides[1]))
    if n_train == 0:
        return []
    prob_a, prob_b = (np.concatenate([probabilities.stack(judged, arm[:n_train], pair_id) for arm in side], axis=1)
                      for side in sides)
    resamples = seeds_and_patients.resample(label, n_train, n_boot, seed, "effects", patient=patient)
    value, low, high = seeds_and_patients.estimate(bootstrap.auroc_draws, label, prob_a, resamples, minus=prob_b)
    return [dict(row=row, quantity="AUROC", value=value, low=low, high=high, over=seeds_and_patients.covers(n_train),
                 training_seeds=n_train)]


# %%
controls = ["real baseline", "direct", "Brock", "permuted records", "permuted patients"]
found = [line for row in [*others, *controls] for line in diagnosis(row)]
found += [line for row in [*others, "copy-baseline"] for line in image_quality(row)]
found += [share(ceiling) for ceiling in ("real follow-up", "oracle") if ceiling in evaluated]
found += contrast("soft prompts", ["prompts_every_step"], ["frozen_prompts"])
found += contrast("alignment", [reference, "no_pred"], ["no_align", "no_align_no_pred"])
found += contrast("alignment, epsilon", ["epsilon", "no_pred-epsilon"],
                  ["no_align-epsilon", "no_align_no_pred-epsilon"])
effects = pd.DataFrame(found).assign(n=len(label), k=k_runs)
run.table(effects, "effects").round(4)

# %%
compared = [*parts, *controls, "soft prompts", "alignment", "alignment, epsilon"]
shown = effects[effects["row"].isin(compared) & (effects["quantity"] == "AUROC")]
n_malignant = int(label.sum())
title = f"What NAMD gains over each row\n95 %; n = {len(label)}, {n_malignant} malignant, K = {k_runs}"
run.figure(forests.effect_forest(shown, "difference in AUROC, NAMD - row", title, run.synthetic), "effects_auroc")
told(told_ablations.effects_found(shown))
told(told_ablations.part_effects(shown, parts))

# %% [markdown]
# **What to see.** A dot right of the dashed line favours NAMD. Where the bar crosses the line, this
# run cannot tell the two apart, whatever the dot says. In the table above, a positive difference is
# good for AUROC and AUPRC, and bad for LPIPS and FID, where smaller is better.
#
# Rows under *two arms against two* are no rows of Table 1 but main effects; right of the line the
# part helps. Three arms, where they are trained, ask what the paper takes for granted:
# `frozen_prompts` (must prompts learn?), `no_llm` (is text better than a learned vector of the same
# 13 features?) and `scratch` (are pretrained weights worth a download?).
#
# ## 3 · Put a number on order
# *Optional.* Figure 2 colours a map of the latents by diameter and speaks of "structure". Can a
# colour gradient be measured? If neighbours in the latent have similar diameters, then the diameter
# of a nodule can be read from its neighbours. The nearest-neighbour R2 measures how well:
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
# $\mathcal N_i$ are the nearest nodules of nodule i. R2 is 1 for a perfect reading, 0 for a reader
# who always says the mean.
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
# A flat map of the latents can also invent order. *Trustworthiness* asks whether neighbours on the
# map are neighbours in the latent. A false neighbour j of i is among the k nearest on the map
# ($\mathcal U_i$ holds these), but is only number $r(i, j) > k$ in the latent:
#
# $$T = 1 - \frac{2}{n k (2n - 3k - 1)} \sum_i \sum_{j \in \mathcal U_i} \bigl(r(i, j) - k\bigr)$$
#
# It is 1 when no neighbour on the map is false. Take the ordered line as the latent and the tangled
# one as its map, with k = 1:

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
# *Optional.* An arm that changes the VAE has latents of its own. One that changes text, noise or the
# U-Net's pretraining shares NAMD's latents, and their order. Which have their own?

# %%
trained_02 = {arm: {name: v for name, v in stamp(arm, ["02"]).items() if name != "arm"} for arm in compare_arms}
own_vae = [arm for arm in others if trained_02[arm] != trained_02[reference]]
own_vae

# %% [markdown]
# We encode the baseline images of the test nodules, which no VAE has seen. Eq. 2 compares latents,
# and the paper leaves open in which form. So we read both: `pooled`, the mean over height and
# width, 4 numbers, as in the authors' code, and `flat`, all of z.

# %%
x1, _ = test.images(image_size, window_low, window_high)
diameter_mm = test.attributes(1)["sct_long_dia"].to_numpy(dtype=float, na_value=np.nan)
known = np.isfinite(diameter_mm)
y = np.log(diameter_mm[known])
pairs = {arm: list(zip(*names(arm), strict=True)) for arm in own_vae}     # (NAMD, arm), one for each training seed
latents = {}
for name in sorted({reference, *(name for each in pairs.values() for pair in each for name in pair)}):
    vae = load_vae(run.need(f"arms/{name}/vae", made_by="02")).to(run.device).eval()
    with torch.no_grad():
        z = torch.cat([vae.encode(x.to(run.device)).cpu() for x in x1[known].split(200)])
    latents[name] = latent.views(z.numpy())
{view: z.shape for view, z in latents[reference].items()}

# %% [markdown]
# Every arm is read by the same folds and resampled with the same patients, so the differences are
# paired. Training seeds are averaged, and widen the interval.

# %%
def order(view, kind):
    """R2 of log diameter, and reference - arm with its paired interval, for every arm with a VAE of its own."""
    y_hat = {arm: latent.out_of_fold(z[view], y, kind, seed=seed, patient=patient[known]) for arm, z in latents.items()}
    score = {arm: latent.r2(y, values) for arm, values in y_hat.items()}
    for arm, each in pairs.items():
        resamples = seeds_and_patients.resample(label[known], len(each), n_boot, seed, "order", patient=patient[known])
        drawn = {a: latent.r2_draws(y, y_hat[a], resamples.counts) for pair in each for a in pair}
        value, low, high = seeds_and_patients.interval(np.array([score[a] - score[b] for a, b in each]),
                                           np.array([drawn[a] - drawn[b] for a, b in each]), resamples.weights)
        yield dict(arm=arm, latent=view, reader=kind, r2_reference=score[reference], r2_arm=score[arm], n=len(y),
                   value=value, low=low, high=high, verdict=intervals.verdict(low, high),
                   over=seeds_and_patients.covers(len(each)), training_seeds=len(each))


columns = "arm latent reader r2_reference r2_arm n value low high verdict over training_seeds".split()
ordered = pd.DataFrame([row for view in ("pooled", "flat") for kind in ("knn", "linear") for row in order(view, kind)],
                       columns=columns)
run.table(ordered, "ablation_order").round(3)

# %%
if len(lines := ordered[ordered["arm"].isin(parts)]):
    told_orders = [told_ablations.order_found(lines, name, align_latent) for name in lines["arm"].unique()]
    lines = lines.assign(row=lines["arm"].map(plain) + ": " + lines["latent"] + ", " + lines["reader"])
    title = f"How much better NAMD's latents tell the diameter\nR2, NAMD - arm, 95 %; n = {len(y)}"
    run.figure(plots.forest(lines, "difference in R2", title, 0, synthetic=run.synthetic), "ablation_order")
    told(*told_orders)

# %% [markdown]
# **What to see.** A bar right of 0 says that NAMD's latent tells more about the diameter than the
# arm's. Compare the two readers. The straight line finds the diameter wherever it is written; the
# neighbours find it only where distances show it. Eq. 2-4 ask for the second. So alignment did its
# work if the neighbour R2 rises, and most clearly if it rises more than the linear R2.
#
# ## 5 · Change the dose
# *Optional.* NAMD was trained with one weight and one width. Would others have done better? The
# paper gives neither value. Along each we ask for the gain in AUROC and for the order of the latent
# that the loss acts on:
#
# $$\Delta(\lambda) = \mathrm{AUROC}(\lambda) - \mathrm{AUROC}(\lambda_\text{NAMD})$$

# %%
order_at = ordered[(ordered["latent"] == align_latent) & (ordered["reader"] == "knn")]
auroc_at = effects[effects["quantity"] == "AUROC"].rename(columns={"row": "arm"})
curves = pd.concat([doses.against(ladder, found.set_index("arm"), reference, name) for name, found in
                    (("AUROC", auroc_at), (f"R2 of log diameter, {align_latent}", order_at))])
if len(ladder):
    title = f"What a larger dose does to order and forecast\n95 % over patients (and training seeds), n = {len(label)}"
    run.figure(dose_curves(run.table(curves, "doses"), reference, title, run.synthetic), "doses")
    told(told_ablations.doses_found(curves, reference))
else:
    print(f"This run has one dose of each: make ablations PROFILE={run_name}")

# %% [markdown]
# **What to see.** Where this run has several doses, a ring marks its own, at 0 by definition. The
# lower row asks whether the loss does what it is for: order should rise with
# $\lambda_\text{align}$, and fall where $\sigma_z$ is so narrow that a row of Q has one neighbour, or
# so wide that all are neighbours. The upper row asks what order is good for. Flat above and rising
# below means order without better forecasts.
#
# ## 6 · Draw Figure 2
# *Optional.* [t-SNE](https://jmlr.org/papers/v9/vandermaaten08a.html) places points so that near
# neighbours stay near. Its axes have no unit, far distances mean little, and another seed gives
# another picture. So each map carries its own R2 and trustworthiness. We draw NAMD and the arms of
# the paper's row.

# %%
pictured = [reference, *(arm for arm in others if arm in PAPER_ARMS)]


def drawn(view):
    """t-SNE maps of one view, with a line of numbers for each."""
    maps = list(ThreadPoolExecutor().map(lambda arm: latent.tsne(latents[arm][view], seed), pictured))
    k = min(5, (len(y) - 1) // 2)
    r2 = [latent.r2(y, latent.out_of_fold(m, y, "knn", seed=seed, patient=patient[known])) for m in maps]
    trust = [trustworthiness(latents[arm][view], m, n_neighbors=k) for arm, m in zip(pictured, maps, strict=True)]
    scores = [f"map R2 {a:.2f}, trustworthiness {b:.2f}" for a, b in zip(r2, trust, strict=True)]
    told(told_ablations.maps_found(dict(zip(pictured, zip(r2, trust, strict=True), strict=True))))
    return plots.latent_maps(maps, diameter_mm[known], [plain(name) for name in pictured], scores,
                             f"Are nodules of like size neighbours? t-SNE of the {view} test latents", run.synthetic)


run.figure(drawn(align_latent), "fig2_latent_space")

# %% [markdown]
# **What to see.** The paper's left panel runs from small nodules to large ones, and its right panel
# is mixed. Follow the colours from end to end, then read the numbers. A gradient has a map R2 well
# above 0; a map with low trustworthiness shows neighbours that are none in the latent.
#
# The loss acted on the view above. Does the order reach the other view as well?

# %%
other_view = "pooled" if align_latent == "flat" else "flat"
run.figure(drawn(other_view), "fig2_other_view")

# %% [markdown]
# **What to see.** The same nodules in the other view, and its R2 beside the one above. Four pooled
# numbers can lose what 256 hold, and they can be ordered while the flat latent is not. So a claim
# about "the latent space" has to say which view it means.
#
# ## 7 · Settle the claims
# A *ledger* has one row for each claim of the paper: the sentence, its place, the statistic, the
# table that holds it, and the rule by which it is settled. The rule stands in the code and not in
# the text, so a number of a later run cannot choose it. One claim by hand: "generated follow-ups
# diagnose better than real baselines". Rule: the interval of the difference in AUROC lies above 0.
# The module settles all claims that rest on tables of notebooks 05 and 07:

# %%
effect, low, high = effects.set_index(["row", "quantity"]).loc[("real baseline", "AUROC"), ["value", "low", "high"]]
by_hand = "holds" if low > 0 else "fails" if high < 0 else "undecided"
run.reading_tables("05")
claims = ledger(run.root, reference, parts, notebooks=("05", "07"))
row = claims.set_index("id").loc["gain"]
check("effect by hand and in the ledger agree", np.isclose(row["effect"], effect), round(effect, 4))
check("verdict by hand and in the ledger agree", row["verdict"] == by_hand, by_hand)

# %%
show(settle)

# %% [markdown]
# The same rule with other limits: "nearer to the follow-up than to the baseline" asks for more than
# half of the gap, "near the best" for less than 10 % above it. Two more verdicts exist. *Not
# comparable*: the number is not the paper's quantity here. *Not run here*: the table or the arm is
# missing, and the last column says how to make it.

# %%
told(told_ablations.claims_found(claims))
claims[["claim", "place", "effect", "low", "high", "verdict", "why"]].style.hide().format(precision=3, na_rep="")

# %% [markdown]
# What does not hold on this data, and why? The sentences are computed from the tables.

# %%
for line in claims[claims["verdict"].isin(["fails", "undecided"])].itertuples():
    measured = f"{line.effect:+.3g} [{line.low:+.3g}, {line.high:+.3g}] {line.unit}"
    print(f"{line.verdict.upper()} on {line.data} data ({line.place}): {line.claim}.\n  {line.statistic}: {measured}."
          f"\n  Why: {line.why}.\n")
# %% [markdown]
# A verdict concerns this run and its data; it never says "reproduced". Note that ordered latents and
# better forecasts are two claims. The alignment loss asks for order and nothing else; that order
# makes better forecasts is a further step of the paper, with an interval of its own.
#
# Claims about variance are settled in notebook 06, the one about every other system in 08. The
# whole ledger is `metrics/claims.csv`, and folded under "Claims" on `index.html`. `make study`
# writes both last; by hand: `python -m namd page --params params/quick.yaml`.
#
# ## Paper and this run
# The paper's difference has no paired interval. With 53 malignant test nodules, the standard error
# of one AUROC is about 0.031 over patients.

# %%
paper = PAPER["table1"]
with_it, without = paper["NAMD"], paper["NAMD (w/o L_align)"]
why = "phantom data, small models" if run.synthetic else "the paper's row mixes its arms"
entries = []
for line in effects[effects["row"].isin([arm for arm in others if arm in PAPER_ARMS])].itertuples():
    name = line.quantity.lower()
    entries.append(dict(
        quantity=f"{line.quantity}, {reference} - {line.row}", n=line.n, k=line.k, comparable=False, why=why,
        paper=f"{with_it[name][0] - without[name][0]:+.3f} (Table 1)",
        here=f"{line.value:+.3f} [{line.low:+.3f}, {line.high:+.3f}] over {line.over}"))
run.panel(entries)

# %% [markdown]
# Where the table says one training seed, no interval covers another one, and with small models
# another seed can move a number as much as an arm does. `make seeds` trains three.
#
# ## Exercises
# ### 1 · Implement
# Three training seeds gave these differences in AUROC, NAMD - arm:
#
#     each = np.array([0.021, 0.004, 0.013])
#
# Compute the 95 % interval of their mean from Student's t with two degrees of freedom, and call it
# `mine`, (low, high). Is the effect settled? Then
#
#     check("interval over seeds", np.allclose(mine, t.interval(0.95, 2, each.mean(), sem(each))))
#
# <details><summary>Hint</summary>
#
# The standard error of a mean of R numbers is their standard deviation, with divisor R - 1, over
# $\sqrt R$. `t.ppf(0.975, 2)` says how many standard errors to go to each side. `sem` is in
# `scipy.stats`.
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
each = np.array([0.021, 0.004, 0.013])
half = t.ppf(0.975, 2) * each.std(ddof=1) / np.sqrt(3)
mine = each.mean() - half, each.mean() + half
check("interval over seeds", np.allclose(mine, t.interval(0.95, 2, each.mean(), sem(each))), np.round(mine, 3))

# %% [markdown]
# <details><summary>In words</summary>
#
# It is not settled, though all three seeds favour NAMD: with three of them t is 4.3, not 1.96.
# </details>

# %% [markdown]
# ### 2 · Predict
# In `paper.yaml` the loss acts on the pooled latent. Which of the two views of Section 6 will
# then be better ordered, and why can the other one stay tangled?

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# The pooled view: Eq. 4 sees four means and nothing else. The remaining 252 directions of the flat
# latent carry the picture, are not touched by the loss, and dominate its distances.
#
# </details>

# %% [markdown]
# ### 3 · Break it
# Shuffle the diameters between nodules. What must R2 become? Which part of Figure 2 would still
# look orderly?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

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

# %% [markdown]
# ### 4 · Derive
# The standard error of a paired difference, here NAMD and real baseline, shrinks with the square
# root of the number of malignant nodules, the rarer class. How large would it be with the paper's
# 53, and what is the smallest difference an interval could separate from 0?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
mean_a, mean_b = (probabilities.stack(judged, [row], pair_id)[0].mean(0) for row in (reference, "real baseline"))
_, se_here, *_ = intervals.delong_paired(label, mean_a, mean_b, patient=patient)
n_paper, drop = PAPER["cohort"]["test_malignant"], with_it["auroc"][0] - without["auroc"][0]
se_paper = se_here * np.sqrt(n_malignant / n_paper)
print(f"here {se_here:.4f} with {n_malignant} malignant; with {n_paper} about {se_paper:.4f}")
print(f"smallest separable difference: {1.96 * se_paper:.3f}; the paper reports {drop:.3f}")

# %% [markdown]
# ### 5 · Extend
# Write a claim of your own and settle it: "the prediction loss alone carries the gain". Which
# arms does it need, and which side of which limit must the interval lie on?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
print("claim: AUROC, no_align - no_align_no_pred, above 0;", settle("above", 0, 0.002, 0.021), "for [0.002, 0.021]")

# %% [markdown]
# <details><summary>Solution in words</summary>
#
# It needs `no_align` (the prediction loss alone) and `no_align_no_pred` (neither): `make ablations`
# trains both. The whole interval must lie on the claim's side of its limit.
# </details>

# %% [markdown]
# ## In practice
# - Change one thing at a time, and keep the stamp that proves that you did.
# - Train each arm with several seeds before you call a small difference an effect: `make seeds`.
#   Arms are independent, so they run side by side.
# - Of forty intervals at 95 %, two miss by chance on average. Read the ledger as a whole.
# - The VAE of SD1.5 has never seen a lung, and its latent tells size all the same. Measure its R2,
#   too, before you credit the loss.
#
# ## Summary
# - The published row has a label, a text and a file that disagree; ours are named by parameters.
# - Arms are compared on the same patients; the interval says which kinds of chance it covers.
# - Nearest-neighbour R2 measures order; trustworthiness measures whether a map may be believed.
# - A t-SNE map without numbers supports neither order nor disorder.
# - A claim is settled by its interval and a rule; undecided is one of the answers.
#
# ## Further reading
# - van der Maaten and Hinton (2008), [*Visualizing data using
#   t-SNE*](https://jmlr.org/papers/v9/vandermaaten08a.html): what the map keeps.
# - Wattenberg, Viegas and Johnson (2016), [*How to use t-SNE
#   effectively*](https://doi.org/10.23915/distill.00002): how it misleads.
# - Venna and Kaski (2001), *Neighborhood preservation in nonlinear projection methods*:
#   [trustworthiness](https://scikit-learn.org/stable/modules/manifold.html)
#   and its twin, continuity.
# - DeLong and others (1988), [*Comparing the areas under two or more correlated ROC
#   curves*](https://doi.org/10.2307/2531595).

# %%
run.finish(arms=parts, verdicts=dict(zip(claims["id"], claims["verdict"], strict=True)),
           order={f"{r['latent']} {r['reader']} {r['arm']}": r["verdict"] for _, r in ordered.iterrows()})
