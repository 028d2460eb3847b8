# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Judge the forecasts
# A follow-up image is worth what a reader learns from it. You train one reader, the
# [judge](00_start_here.ipynb#judge), show it real, drawn and control images of the test patients,
# and fill Table 1.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Sections 4.1.2 and 4.2, Table 1.
# *Previous:* `04_conditional_training`.
# *Next:* `06_variance_analysis`.
#
# *Reading:* 14 minutes; the core, sections 1, 3, 5 and 6, takes 6. The rest is optional.
#
# ## What you will do
# Build Table 1 in the paper's layout and, beside it, every row's difference to NAMD with an
# interval over patients: `metrics/table1.csv` and `metrics/differences.csv`. Below each figure and
# table stands what came out in this run, a sentence made of its numbers.
#
# ## What you will learn
# - Compute AUROC, its DeLong interval and AUPRC by counting pairs of nodules.
# - Tell the spread over sampling seeds from the uncertainty over patients.
# - Read an FID beside its floor, and a pixel error beside a copied baseline.
# - Name the controls and ceilings without which the AUROC of drawn images says little.
# - Decide from a paired interval whether one row beats another.
# - Say whether probabilities and spreads mean what they claim.
#
# ## What you need
# Mean, variance and the normal distribution. The cohort of notebook 01 and, for each
# [arm](00_start_here.ipynb#arm) of `compare_arms` that shall be a row, 02-04: `namd`, and
# `no_align_no_pred`, which is NAMD trained without the alignment and the prediction loss. **This is
# the first notebook that opens the test split.** Models and a judge that were trained elsewhere, such
# as the authors', take their place with `pipeline_path` and `judge_path` (`params/authors.yaml`).
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 3 min | about 1 h on an A40 (estimate) |
# | memory | 2 GB for each of two processes | 20 GB (estimate) |
# | disk | 0.1 GB | 400 MB |

# %% tags=["parameters"]
run_name: str = "quick"                  # folder below outputs/
seed: int = 23                           # names every random draw (App. B)
device: str = "auto"                     # auto, cpu or cuda
threads: int = 1                         # torch threads of one process
precision: str = "float32"               # or tf32, bfloat16: faster, not equal
image_size: int = 64                     # pixels of 0.6 mm
window_low: int = -1000                  # HU shown as -1
window_high: int = 400                   # HU shown as +1
llm_path: str = "outputs/reference/models/small-gemma"  # language model; empty is the small one of notebook 01
llm_dtype: str = "float32"               # App. B
ddim_steps: int = 5                      # steps of one run (Sec. 3.3.2: 50)
judge_dim: int = 96                      # width of the judge (authors' code: 1024)
judge_depth: int = 4                     # blocks
judge_heads: int = 4                     # attention heads
judge_head_dim: int = 24                 # width of a head
judge_mlp: int = 192                     # inner width of the perceptron
judge_patch: int = 8                     # pixels of a patch side
judge_dropout: float = 0.0               # share dropped in training
judge_steps: int = 300                   # optimiser steps
judge_batch: int = 64                    # images per step
judge_lr: float = 1.0e-3                 # peak learning rate
judge_blur: float = 0.5                  # share of training images without noise
judge_attributes: float = 1.0            # weight of the attribute loss; 0 is none
judge_path: str = ""                     # a pretrained judge; empty trains one
judge_seeds: int = 2                     # judges trained with other seeds, to see their spread
save_every: int = 200                    # steps between checkpoints of a judge
k_runs: int = 4                          # K (App. D: 20)
oracle_runs: int = 2                     # K of the oracle
eval_batch: int = 64                     # images per forward pass
eval_workers: int = 0                    # processes; 0 is one per core
eval_lpips_net: str = "efficientnet_lite0"  # network of the LPIPS column: vgg, alex, squeeze too
lpips_weights: str = "imagenet"          # its weights: imagenet, or random and seeded
eval_inception: str = ""                 # Inception weights for the paper's FID; empty: judge's only
n_boot: int = 1000                       # bootstrap resamples of the patients
arm: str = "namd"                        # the row that is NAMD; the others are compared with it
compare_arms: list = ["namd", "no_align_no_pred"]  # Table 1: the last two rows
pipeline_path: str = ""                  # models trained elsewhere that draw; empty: those of 02-04
vae_tanh: bool = False                   # theirs may do otherwise: a tanh after the decoder,
text_order: str = "prompts_first"        # <bos> before the prompts (bos_first), no <eos>,
text_wording: str = "paper"              # the authors' words,
z1_sampled: bool = False                 # z1 drawn anew in each run,
ddim_skip: int = 0                       # steps left out at the noisy end

# %%
from namd.ground import workers

if eval_workers != 1:
    workers.ready("namd.evaluation.tables.table1", "namd.forecasters.namd")  # worker processes import beside us

from copy import copy
from functools import partial

import numpy as np
import pandas as pd
import torch
from IPython.display import display

from namd.data import brock
from namd.data.cohort import Cohort
from namd.data.images import MM_PER_PX
from namd.data.phantom import oracle
from namd.data.report import PATIENT, record_vector
from namd.evaluation.figures import curves, forests, plots
from namd.evaluation.stats import bootstrap, calibration, growth, image_quality, intervals, metrics, rows
from namd.evaluation.stats.inception import load as load_inception
from namd.evaluation.tables import beside_paper, cells, differences, probabilities, table1, two_judges
from namd.evaluation.tables import told_evaluation as words
from namd.evaluation.tables.table1_layout import paper_table
from namd.evaluation.tables.told_training import chosen
from namd.forecasters import controls, drawing, imported
from namd.ground.paper import PAPER
from namd.models import judge as judging
from namd.models import judges as readers
from namd.models import vae as vaes
from namd.models.perceptual import load_perceptual
from namd.study.lesson import told
from namd.study.notebook import check, show, start

run = start("05_evaluation", globals())

# %%
run.map()

# %% [markdown]
# ## 1 · Open the test split and train one judge
# From here on nothing is chosen any more: every row of Table 1 is read on the same test patients by
# the same judge.
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $X^{(1)}, X^{(2)}$ | `x1`, `x2` | (N, 1, 64, 64) | window [-1, 1] |
# | $e$ | `test.ehr` | (N, 13) | codes, mm, years |
# | $L$ | `label` | (N,) | 0 benign, 1 malignant |

# %%
compare_arms = run.trained_arms()
cohort = Cohort.open(run.need("cohort", made_by="01"))
train, val, test = (cohort.split(name) for name in ("train", "val", "test"))
fitted = cohort.split("train", "val")
crop = (image_size, window_low, window_high)
x1, x2 = test.images(*crop)                                # (N, 1, 64, 64) each
label, pair_id, patient = test.label, list(test.table.index), test.patient                  # (N,) each
sizes = {name: [len(part), part.table["patient_id"].nunique(), part.label.sum()]
         for name, part in (("train", train), ("val", val), ("test", test))}
check("no test patient was trained on", set(fitted.patient).isdisjoint(test.patient), len(set(fitted.patient)))
print(f"{len(label)} test pairs of {len(set(patient))} patients")
pd.DataFrame(sizes, ["pairs", "patients", "malignant"]).T

# %% [markdown]
# The number of malignant nodules limits every interval below; the paper has 53 among 450 patients.
# Where a patient has several nodules, the intervals keep them together.
#
# Of its reader the paper says no more than "a pre-trained ViT-based binary classification model"
# (Section 4.1.2). Ours, a small [vision transformer](https://arxiv.org/abs/2010.11929), has the
# shape of the authors'. It learns from *real follow-up* images of training patients only, and
# validation patients choose its weights. In training it never sees a drawn image or a baseline.
# Its loss is the cross-entropy; in the small profiles a second output learns the follow-up's
# attributes $f$, which helps with few images, and is ignored afterwards:
#
# $$\mathcal L_\text{judge} = -\tfrac1B \sum_i \big[ L_i \log p_i + (1 - L_i) \log (1 - p_i) \big]
# + \lambda \lVert \hat f - f \rVert^2 / (B \, n_\text{feat})$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $p$ | `prob` | (B,) | probability |
# | $\lambda$ | `judge_attributes` | () | dimensionless |
# | $f$ | `f` | (B, n_feat) | standardised |
#
# Three nodules before any training:

# %%
torch.manual_seed(0)
tiny = judging.Judge(8, 8, dim=4, depth=1, heads=1, head_dim=4, mlp=4, dropout=0.0, n_attributes=2).eval()
x_3, label_3 = torch.rand(3, 1, 8, 8), torch.tensor([1.0, 0.0, 0.0])
f_3 = torch.tensor([[1.2, 0.9], [-0.5, 0.0], [0.3, 0.1]])                    # (3, n_feat)
with torch.no_grad():
    h = tiny(x_3)                                                            # (3, dim): the class token
    prob_3 = tiny.head(h)[:, 0].sigmoid()                                    # (3,)
    slow = -(label_3 * prob_3.log() + (1 - label_3) * (1 - prob_3).log()).mean()
    slow = slow + 0.5 * ((tiny.attributes(h) - f_3) ** 2).mean()
    fast = judging.judge_loss(tiny, x_3, label_3, f_3, weight=0.5)["loss"]
check("judge loss by hand and by the module agree", torch.isclose(slow, fast), round(float(slow), 4))

# %%
show(judging.judge_loss)

# %% [markdown]
# Training turns and mirrors each image in one of the 8 ways that a square allows. Drawn images have
# no scanner noise, and a judge that never met such an image might take its smoothness for a sign of
# disease. So half of the images of a step (`judge_blur`) lose their noise to a mean over 3 x 3
# pixels.

# %%
(judge, *others), history = readers.judges_of(run, train, val, workers.count(eval_workers, judge_seeds))
if history is not None:                                    # else the judge is that of judge_path
    title = "The judge learns from real follow-ups (losses in nats, attributes squared)"
    losses = [name for name in ("loss_label", "loss_attributes", "val_loss") if name in history]
    run.figure(plots.training_curves(history, losses, title, run.synthetic), "judge_training")
    told(chosen(history))
prob = {row: judge.prob(x).double().numpy()[None] for row, x in (("real baseline", x1), ("real follow-up", x2))}
told(words.worth_of_the_year(label, prob, patient))

# %% [markdown]
# **What to see.** The last panel shows the loss on patients that did not train the judge: the curve
# falls, then stays or rises, and the weights of its lowest point are kept. The difference of the
# two AUROCs is all that a year of waiting adds for this reader, so it is what a forecast can hope
# to save.
#
# ## 2 · Count pairs
# *Optional.* AUROC is a probability: take a malignant and a benign nodule at random; how often does
# the malignant one score higher? Ties count half.
#
# $$\mathrm{AUROC} = \frac{1}{n_1 n_0} \sum_{i: L_i = 1} \sum_{j: L_j = 0} M_{ij}, \qquad
# M_{ij} = [s_i > s_j] + \tfrac12 [s_i = s_j]$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $s$ of malignant, benign nodules | `s1`, `s0` | (n1,), (n0,) | any |
# | $M$ | `M` | (n1, n0) | wins |
#
# Three malignant and three benign nodules make nine pairs.

# %%
s1 = np.array([0.9, 0.6, 0.3])                             # malignant
s0 = np.array([0.7, 0.3, 0.1])                             # benign
M = (s1[:, None] > s0) + 0.5 * (s1[:, None] == s0)         # (3, 3)
label_6, prob_6 = np.array([1, 1, 1, 0, 0, 0]), np.concatenate([s1, s0])
run.figure(plots.matrices([M], ["wins of malignant i over benign j"], "AUROC counts won pairs"), "auroc_pairs")

# %% [markdown]
# **What to see.** Six wins, one tie, two losses: 6.5 / 9. Row 3 is the weak malignant nodule,
# column 1 the benign one that looks dangerous.
#
# The same table gives the uncertainty: with other patients, rows and columns would have changed.
# [DeLong](https://doi.org/10.2307/2531595) adds the variance of the row means to that of the column
# means:
#
# $$\mathrm{Var} = \frac{\mathrm{Var}_i(V_i)}{n_1} + \frac{\mathrm{Var}_j(W_j)}{n_0},
# \qquad V_i = \tfrac1{n_0} \sum_j M_{ij}, \quad W_j = \tfrac1{n_1} \sum_i M_{ij}$$
#
# Two readers of the same patients share most of their sampling error. Take the differences of their
# V and W first, and put them through the same formula: this is the *paired* test.

# %%
V, W = M.mean(1), M.mean(0)                                # (3,) each
se = np.sqrt(V.var(ddof=1) / 3 + W.var(ddof=1) / 3)
auc_fast, se_fast, *_ = intervals.delong(label_6, prob_6)
s1_b, s0_b = np.array([0.8, 0.7, 0.6]), np.array([0.5, 0.4, 0.65])                           # another reader
M_b = (s1_b[:, None] > s0_b) + 0.5 * (s1_b[:, None] == s0_b)                                 # (3, 3)
se_paired = np.sqrt((V - M_b.mean(1)).var(ddof=1) / 3 + (W - M_b.mean(0)).var(ddof=1) / 3)
paired_fast = intervals.delong_paired(label_6, prob_6, np.concatenate([s1_b, s0_b]))
check("counted AUROC = scikit-learn's", np.isclose(M.mean(), metrics.auroc(label_6, prob_6)), M.mean().round(3))
check("DeLong by hand and by the module agree", np.allclose([M.mean(), se], [auc_fast, se_fast]), se.round(3))
check("paired DeLong by hand and by the module agree", np.isclose(se_paired, paired_fast[1]), se_paired.round(3))

# %%
show(intervals.placements)

# %% [markdown]
# The module finds row and column means from ranks, without the table.
#
# AUPRC, the second number of Table 1, walks down the thresholds and sums the *precision*, the share
# of malignant nodules among those called so, over the steps of *recall*, the share of malignant
# nodules that are found. For a coin it is the share of malignant nodules. Exercise 1 counts it.
#
# For everything else we resample patients: a *bootstrap* draws as many patients as there are, with
# replacement, malignant and benign apart, and computes the number again, a thousand times. One
# table of counts serves every row of Table 1, which keeps differences paired.

# %%
counts = bootstrap.resample_counts(label, n_boot, seed, "table1", patient=patient)          # (n_boot, N)
_, _, low, high = intervals.delong(label, prob["real follow-up"][0], patient=patient)
boot = bootstrap.percentile_interval(bootstrap.auroc_draws(label, prob["real follow-up"], counts))
print(f"AUROC of the real follow-up: DeLong [{low:.3f}, {high:.3f}], bootstrap [{boot[0]:.3f}, {boot[1]:.3f}]")

# %% [markdown]
# Two ways lead to nearly the same interval. The paper's Table 1 shows none: its ± is the spread over
# the noise of the sampler, with the patients held fixed.
#
# ## 3 · Draw K follow-ups for every row
# NAMD draws K follow-ups of each nodule, each from other noise. Noise is named by (seed, nodule), so
# the same images come out however many processes draw them, and a notebook that was stopped goes on
# where it was.
#
# Beside NAMD stand *controls*, rows that tell what its number is worth:
#
# | row | follow-up image | why it is there |
# |---|---|---|
# | namd, other arms | drawn by the models of notebooks 02-04 | the question |
# | permuted records | NAMD with another subject's record | does the text matter? |
# | permuted patients | NAMD with another's 8 patient fields, age to family | does the patient matter? |
# | copy-baseline | $\hat X^{(2)} = X^{(1)}$ | AUROC of the real baseline, by construction |
# | mean follow-up | the training mean, for everyone | AUROC .5, by construction |
# | [oracle](00_start_here.ipynb#oracle) | from the law $p(X^{(2)} \mid X^{(1)}, e)$ | the best that drawing can be |
#
# Figures and sentences call them by plain names: the two permuted rows are *another's record* and
# *another's patient fields*, *mean follow-up* is *one mean image for all*.

# %%
mean_follow_up = controls.MeanFollowUp(run.p)
mean_follow_up.fit(train)
makers = {row: imported.maker(run, row) for row in compare_arms}             # NAMD, by 04 or pipeline_path
exchanged = partial(controls.PermutedRecords.of, makers[arm], test.ehr, seed, patient=patient)
makers |= {"permuted records": exchanged, "permuted patients": partial(exchanged, fields=PATIENT),
           "copy-baseline": controls.CopyBaseline, "mean follow-up": partial(copy, mean_follow_up)}

# %%
truth = run.root / "delivery" / "truth"
if known_law := run.synthetic and truth.exists():
    makers["oracle"] = partial(controls.Oracle, truth, test.table["patient_id"], run.p)

# %%
show(controls.PermutedRecords)

# %%
k_of = {"oracle": oracle_runs} | dict.fromkeys(compare_arms, k_runs)         # the other rows: one run
seeds = {row: drawing.run_seeds(k_of.get(row, 1)) for row in makers}
drawn_by = dict.fromkeys(makers) | {arm: arm for arm in compare_arms}
drawn_by |= dict.fromkeys(["permuted records", "permuted patients"], arm)
keys = {row: drawing.row_key(run, drawn_by[row], row, seeds[row], *imported.decides(run)) for row in makers}
drawing.draw_rows(makers, x1, test.ehr, seeds, run.root / "samples", eval_batch, threads, eval_workers,
               run.p.precision, keys)
run.made("judge", *(drawing.row_file("samples", row) for row in makers))
{row: tuple(drawing.load_row(run.root / "samples", row).shape[:2]) for row in makers}

# %% [markdown]
# Six test patients, three malignant and three benign, chosen at random. Nodules of the same size
# may grow or not; that is why we draw several follow-ups of each:

# %%
rng = np.random.default_rng(seed)
six = np.concatenate([rng.permutation(np.flatnonzero(label == v))[:3] for v in (1, 0)])
x2_hat = drawing.load_row(run.root / "samples", arm)                            # (K, N, 1, 64, 64)
error = x2_hat.mean(0) - x2                                                  # (N, 1, 64, 64)
grid = [[x1[i, 0], x2[i, 0], *x2_hat[:2, i, 0], x2_hat[:, i, 0].mean(0), error[i, 0]] for i in six]
heads = ["baseline x1", "follow-up x2", "sample 1", "sample 2", f"mean of {k_runs}", "mean - x2"]
names = [f"{plots.LABELS[label[i]]}\n{test.table['sct_long_dia'].iloc[i]:.0f} mm" for i in six]
title = "Six test patients: what came, what NAMD drew, and where they differ"
run.figure(plots.image_grid(grid, heads, names, title, run.synthetic, MM_PER_PX, "mean - x2 (window)"), "test_grid")

told(words.middle_error(x2_hat, x2, counts))

# %% [markdown]
# **What to see.** In the last column white is no error. A blue ring means that the drawn nodule is
# too small there, a red one that it is too large. Single patients err on both sides; the sentence
# above counts over all of them.
#
# ## 4 · Ask how good the images are
# *Optional.* [LPIPS](https://arxiv.org/abs/1801.03924) compares each image with its own follow-up,
# in the features of a network. The [FID](https://arxiv.org/abs/1706.08500) compares two clouds of
# features, each summarised by mean $\mu$ and covariance $\Sigma$:
#
# $$\mathrm{FID} = \lVert \mu_a - \mu_b \rVert^2 + \mathrm{tr}\big(\Sigma_a + \Sigma_b -
# 2 (\Sigma_a \Sigma_b)^{1/2}\big)$$
#
# With one feature this is (difference of means)² + (difference of standard deviations)²:

# %%
a, b = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[2.0], [5.0], [8.0]])
fid_slow = (b.mean() - a.mean()) ** 2 + (b.std() - a.std()) ** 2             # 9 + 4
check("FID of one feature by hand and by torchmetrics agree", np.isclose(fid_slow, metrics.fid(a, b)), fid_slow.item())

# %% [markdown]
# The paper's FID is taken in 2,048 features of the Inception network. A covariance of 2,048 features
# cannot be estimated from 450 images, so most of that FID is bias. Ours is taken in the judge's own
# features, on another scale. Beside it stands one in the 112 mean features of EfficientNet-Lite0,
# which sees texture, and, with `eval_inception`, the paper's. [KID](https://arxiv.org/abs/1801.01401)
# asks the same without bias. Both need a *floor*: the distance of two halves of the real follow-ups,
# which a perfect generator cannot beat. Halves have N/2 images, so the floor of FID is a little high.

# %%
inception_net = load_inception(eval_inception).to(run.device) if eval_inception else None
net = load_perceptual(eval_lpips_net, lpips_weights, seed).to(run.device)
clouds_x1, clouds_x2 = (table1.clouds(x, judge, inception_net, net) for x in (x1, x2))
features_x1, features_x2 = clouds_x1[""], clouds_x2[""]                      # (N, dim)
floors = pd.DataFrame({name + end: [metrics.floor(d, of_x2, seed, patient=patient), d(of_x2, clouds_x1[end])]
                       for end, of_x2 in clouds_x2.items() for name, d in (("FID", metrics.fid), ("KID", metrics.kid))},
                      ["floor: real against real", "real baseline against real follow-up"])
run.table(floors, "floors").round(4)

# %% [markdown]
# Pixel errors are misleading: most nodules hardly change, so a copied baseline is close to most
# follow-ups. PSNR (in dB) averages squared errors; SSIM compares mean, contrast and pattern in
# small windows and is 1 for equal images. Both praise the copy. The Δ-RMAE looks at the *change*
# $d = X^{(2)} - X^{(1)}$ and its forecast $\hat d$, over the pixels of the central disc:
#
# $$\Delta\text{-RMAE} = \frac{\sum |d - \hat d|}{\tfrac12 \sum (|d| + |\hat d|)} \in [0, 2]$$

# %%
zero, trials = np.zeros((1, 1, 16, 16)), {"perfect": 0.2, "half the change": 0.1, "copied baseline": 0.0}
{name: round(float(metrics.delta_rmae(zero, zero + 0.2, zero + guess)[0]), 3) for name, guess in trials.items()}

# %% [markdown]
# A copy forecasts no change and reaches 2, the worst value. Now every row of the run:

# %%
sampled, values = table1.score_rows(run.root / "samples", list(makers), x1, x2, judge, net,
                                    threads, eval_workers, inception_net)
prob |= sampled
images = table1.image_columns(values)
told(words.likeness(images, floors, arm))
images.filter(like="_mean").round(3)

# %% [markdown]
# A reader of CT asks for growth. The *diameter error* is in mm, the error of the *doubling time* in
# days. K draws also claim how sure they are: *coverage* is the share of nodules whose true diameter
# lies between the smallest and the largest draw. If truth and draws come from one law, that happens
# (K - 1) / (K + 1) of the time. The *CRPS* rewards being near and being honest:
#
# $$\mathrm{CRPS} = \frac1K \sum_k |d_k - d| - \frac{1}{2 K (K - 1)} \sum_{k \neq l} |d_k - d_l|$$

# %%
d, d_hat = np.array([10.0, 8.0, 9.0]), np.array([[9.0, 8.5, 8.0], [12.0, 10.0, 11.0]])      # (3,), (2, 3) mm
crps_slow = np.abs(d_hat - d).mean(0) - 0.5 * np.abs(d_hat[0] - d_hat[1])    # (3,)
check("CRPS by hand and by the module agree", np.allclose(crps_slow, growth.crps(d, d_hat)), crps_slow)

# %% [markdown]
# The second nodule lies outside its two draws and pays half a millimetre. The run's follow-ups, where
# the phantom can be measured:

# %%
if known_law:
    d1, d2 = metrics.diameter_mm(x1), metrics.diameter_mm(x2)                # (N,) mm
    days = test.table["interval_days"].to_numpy(dtype=float)
    grown = pd.DataFrame([growth.growth_columns(d1, d2, found["diameter"], days, counts)
                          for found in values.values()], index=pd.Index(values, name="row"))
    units = dict(diameter_error=2, vdt_error=0, vdt_error_growing=0, crps=2, coverage=2)
    told(words.known_growth(grown, arm))
    display(cells.interval_cells(run.table(grown, "growth"), units).assign(honest=grown["coverage_nominal"].round(2)))

# %% [markdown]
# Coverage below *honest* is false confidence. A copy is right about every stable nodule and misses
# all growth: compare the two columns of the doubling time, over all nodules and over those that grow
# (`vdt_error_growing`).
#
# Are these pictures of CT? A decoder that blurs limits every row (notebook 02), a nodule with a hole
# is seldom real, and you would expect a drawing to look more like its follow-up than the copied
# baseline does:

# %%
x2_decoded = vaes.decoded(imported.vae_of(run, arm).to(run.device), x2)
clouds_decoded = table1.clouds(x2_decoded, judge, inception_net, net)
beside = {row: values[row]["lpips"] for row in ("copy-baseline", "oracle") if row in values}
quality = [*image_quality.decoded_rows(x2_decoded, x2, patient, clouds_decoded, clouds_x2),
           *image_quality.generated_rows(x2_hat, x2, values[arm]["lpips"], beside, counts)]
run.table(pd.DataFrame(quality), "image_quality").round(4)

# %% [markdown]
# The last two lines subtract nodule by nodule, NAMD's distance minus the copy's and minus the
# oracle's: below 0 NAMD is nearer. The oracle draws from the law that made the follow-up, and its
# own drawing still differs from what came.
#
# ## 5 · Fill Table 1
# Some rows need no drawing, only a logistic regression that is fitted on train and val:
#
# | row | what it reads |
# |---|---|
# | direct x1 | the judge's features of $X^{(1)}$; val says how far to shrink their weights |
# | record only | the [record](00_start_here.ipynb#record), 13 fields |
# | direct | the judge's logit of $X^{(1)}$, and the record |
# | [true risk](00_start_here.ipynb#true-risk) | the phantom's $P(L = 1 \mid X^{(1)}, e)$, which none can beat |
# | Brock | the record, by a published formula |
#
# *Direct* matters most. Drawn pixels are made from $(X^{(1)}, e)$ and noise, so they cannot hold more
# about the label than $(X^{(1)}, e)$ does (00, Section 5). A drawing that is read worse than *direct*
# has lost something on the way.
#
# *Brock* is the [PanCan model](https://doi.org/10.1056/NEJMoa1214726) of doctors (full, with
# spiculation), with nothing fitted:
#
# $$\begin{array}{l} \mathrm{logit}\, P = 0.0287\,(\text{age} - 62) + 0.6011\,[\text{female}] +
# 0.2961\,[\text{family}] + 0.2953\,[\text{emphysema}] \\
# \quad - 5.3854\,\big((d / 10)^{-1/2} - 1.58113883\big) - 0.1276\,[\text{nonsolid}] +
# 0.3770\,[\text{part-solid}] \\
# \quad + 0.7729\,[\text{spiculated}] + 0.6581\,[\text{upper lobe}] - 0.0824\,(n - 4) - 6.7892
# \end{array}$$
#
# d is the longest diameter in mm. The record does not hold the number n of nodules, so n = 4, the
# value at which its term is 0; whatever else is missing is treated so, too. Read Brock by its order:
# its risks are those of the Canadian population that it was fitted on.

# %%
record_fit, stats = record_vector(fitted.ehr)                                # (n_fit, n)
record, _ = record_vector(test.ehr, stats)                                   # (N, n)
features_fit = judge.features(fitted.images(*crop)[0])                       # (n_fit, dim)
logit_fit, logit_x1 = (judge.logit(part)[:, None].numpy() for part in (features_fit, features_x1))
held = (fitted.table["split"] == "val").to_numpy()
strength = controls.choose_strength(features_fit, fitted.label, held)
prob["direct x1"] = controls.logistic_score(features_fit, fitted.label, features_x1, strength)[None]
inputs = {"direct": (np.hstack([logit_fit, record_fit]), np.hstack([logit_x1, record])),
          "record only": (record_fit, record)}
prob |= {row: controls.logistic_score(old, fitted.label, new)[None] for row, (old, new) in inputs.items()}
prob["Brock"] = brock.risk(test.ehr)[None]
if known_law:
    prob["true risk"] = oracle.read_truth(truth).loc[patient, "risk"].to_numpy(dtype=float)[None]

# %%
woman = test.ehr[:1].assign(age=72, gender=2, diagemph=1, famfather=1, sct_long_dia=10.0, sct_pre_att=1,
                            sct_margins=1, sct_epi_loc=1)      # solid, spiculated, right upper lobe
log_odds = 0.287 + 0.6011 + 0.2961 + 0.2953 + 5.3854 * 0.58113883 + 0.7729 + 0.6581 - 6.7892
by_hand, (by_module,) = 1 / (1 + np.exp(-log_odds)), brock.risk(woman)
check("Brock by hand and by the module agree", np.isclose(by_hand, by_module), round(by_hand, 3))
copied, real = (metrics.auroc(label, prob[row][0]) for row in ("copy-baseline", "real baseline"))
check("copy-baseline scores as the real baseline", abs(copied - real) < 0.005, round(copied - real, 5))

# %%
prob = {row: prob[row] for row in rows.ordered(prob)}
known_as, ruler = beside_paper.paper_rows(arm), (eval_lpips_net, lpips_weights)
table = table1.whole(label, prob, images, patient)
table = beside_paper.beside_the_paper(table, run.stamp["source"], ruler, known_as)
shown = [row for row in prob if "-seed" not in row]        # other training seeds: notebook 07

# %%
run.table(table.round(6), "table1")
probabilities.save_probabilities(run.root / "metrics" / "probabilities.parquet", prob, pair_id, patient)
run.made("metrics/probabilities.parquet")
told(words.standing(table.loc[shown], arm), imported.unknown(run))
paper_table(table.loc[shown], compare_arms)

# %% [markdown]
# "±" is over K runs of one trained model, as in the paper. Among the rows that draw, the best value
# is bold and the second underlined; equal printed values share a mark. LPIPS (`eval_lpips_net`,
# `lpips_weights`) and FID depend on a network, so numbers of other networks do not compare.

# %%
again = {"real baseline": x1[None], "real follow-up": x2[None], arm: x2_hat}
read = run.table(table1.judge_spread(label, prob, again, others), "judges")
told(words.other_judges(read, arm))
read.round(3)

# %% [markdown]
# The judge is a draw as well: trained from another seed it would have read a little differently, and
# `sd` says how much. Neither mark nor ± says how the numbers would move with other patients. The
# bars of the next figure do:

# %%
n_text = f"n = {len(label)}, {int(label.sum())} malignant, 95 % intervals over {len(set(patient))} patients"
title = f"{words.headline(table, arm)}\n{n_text}"
run.figure(forests.row_forests(table.loc[shown], title, run.synthetic, bold=arm), "table1_auroc")
told(words.averaged(table, arm))

# %% [markdown]
# **What to see.** The dashed line is the real baseline: what a drawing gains begins right of it.
# Compare NAMD with three rows. *Record only* and *direct* read what NAMD was given, without a
# drawing. *Another's record* is NAMD told about another patient: the way from there to NAMD is what
# the record is worth to the drawing.
#
# ## 6 · Decide what holds
# Bars that overlap decide nothing, because all rows share their patients: a hard test set pulls all
# of them down together. So we subtract NAMD patient by patient. The *mean over runs* compares rows of
# any K; the *K-mean*, of the K probabilities of a nodule, adds DeLong's test.

# %%
found = run.table(differences.differences(label, prob, values, counts, patient, arm), "differences")
found = found[found["row"].isin(shown)]
cells.difference_cells(found)

# %%
run.figure(forests.difference_forests(found, arm, n_text, run.synthetic), "differences")
told(words.verdicts(found, arm))

# %% [markdown]
# **What to see.** An interval across 0 is *undecided*: these patients cannot tell the two apart. An
# arrow stands for a row that lies outside the panel. One in twenty intervals misses by chance, so
# do not pick the best of many.
#
# All these verdicts are one judge's. Notebook 09 asks a second one, of another kind, about the same
# images; where it has run, its verdicts on the AUROC of the first draw stand here:

# %%
asked = two_judges.as_kept(run.root / "metrics", label, prob)
told(two_judges.in_words(asked))
asked

# %% [markdown]
# How much of the [gap](00_start_here.ipynb#gap), the way from the real baseline to a ceiling, does a
# row close?
#
# $$\text{gap closed} = \frac{\mathrm{AUROC} - \mathrm{AUROC}_\text{baseline}}
# {\mathrm{AUROC}_\text{ceiling} - \mathrm{AUROC}_\text{baseline}}$$
#
# With the real follow-up as ceiling, the paper's numbers give 0.82. With the oracle as ceiling it is
# the share of what a drawing can reach at all.

# %%
ceilings = ["real follow-up", "oracle"] if known_law else ["real follow-up"]
gaps = differences.gaps(label, prob, [*compare_arms, *ceilings[1:], "direct"], ceilings, counts)
told(words.gaps_closed(gaps, arm))
run.table(gaps, "gaps").round(3)

# %% [markdown]
# ## 7 · Ask whether to believe a probability
# *Optional.* AUROC reads the order of the nodules. Whoever acts on a probability needs more: where
# to cut, whether 0.3 means three in ten, and whether acting helps at all.

# %%
scores = {row: prob[row].mean(0) for row in ("real baseline", "real follow-up", arm, "direct")}
run.figure(curves.roc_and_pr(label, scores, synthetic=run.synthetic), "roc_and_pr")
told(words.found_at(label, scores))

# %% [markdown]
# **What to see.** Left, false alarms are the price, and a curve that is highest at the far left
# helps screening most. Right, precision ends at the dashed share of malignant nodules for every
# row, once all nodules are called malignant.

# %%
run.figure(curves.reliability(label, scores, synthetic=run.synthetic, patient=patient), "reliability")

# %% [markdown]
# **What to see.** On the diagonal, as many nodules are malignant as the probability says. Above it
# the judge says too little, below it too much. Two numbers sum it up:
#
# $$\mathrm{logit}\, P(L = 1) = a + b \; \mathrm{logit}\, p$$
#
# A slope $b$ below 1 is overconfident: the probabilities are too extreme. An intercept $a$ (at
# $b = 1$) above 0 means that they are too low on average.

# %%
free = bootstrap.resample_counts(0 * label, n_boot, seed, "calibration", patient=patient)   # prevalence varies too
fits = {row: calibration.calibration(label, prob[row].mean(0), free) for row in [*scores, "Brock"]}
fits = run.table(pd.DataFrame(fits).T.rename_axis("row"), "calibration")
told(words.calibrated(fits))
cells.interval_cells(fits, dict(slope=2, intercept=2)).assign(brier=table.loc[fits.index, "brier"].round(4))

# %% [markdown]
# Would it help to act on $p$? Whoever sends every nodule above a threshold $t$ to biopsy accepts
# $(1 - t) / t$ needless biopsies for one cancer: nine at $t = 0.1$. The *net benefit* counts hits
# TP and false alarms FP at this rate of exchange:
#
# $$\text{net benefit} = \frac1N \Big( \mathrm{TP} - \frac{t}{1 - t} \, \mathrm{FP} \Big)$$

# %%
benefit, fast = (1 - 1 * 0.2 / 0.8) / 3, calibration.net_benefit([1, 0, 0], [0.6, 0.3, 0.1], [0.2])
check("net benefit (a hit, an alarm) by hand and by the module agree", np.isclose(benefit, fast[0]), round(benefit, 3))
thresholds = np.linspace(0.02, 0.4, 39)
run.figure(curves.decision_curves(label, scores, free, "real baseline", thresholds, run.synthetic), "decision_curves")
told(words.useful_range(label, scores, free, "real baseline", thresholds, arm))

# %% [markdown]
# **What to see.** Left, a score helps where its line lies above both grey ones, working up everybody
# and working up nobody. Right, one panel a row: its gain over the baseline is certain where the band
# does not hold 0.
#
# ## Paper and this run

# %%
wanted = [("real baseline", "auroc"), ("real follow-up", "auroc"), ("real follow-up", "auprc"), (arm, "auroc"),
          (arm, "auprc"), (arm, "lpips"), (arm, "fid")]
why = beside_paper.other_patients(run.stamp["source"])
share = gaps[(gaps["row"] == arm) & (gaps["ceiling"] == "real follow-up")].iloc[0]
gap_row = dict(quantity=f"gap closed, {arm}", paper=PAPER["gap_closed_auroc"], n=len(label), k=k_runs,
               here=f"{share['value']:.2f} [{share['low']:.2f}, {share['high']:.2f}]",
               comparable=not why, why=why)
run.panel([*(beside_paper.panel_row(table, *pair, run.stamp["source"], ruler, known_as) for pair in wanted), gap_row])

# %% [markdown]
# On phantom data the phantom's law decides what can be found: only the share of the oracle's gap says
# something about the method. Open NLST has other patients than the paper and 7 of the 13 features.
#
# ## Exercises
# ### 1 · Implement
# Count the AUPRC of the six nodules of Section 2, `label_6` and `prob_6`, without a library. Call it
# `mine`; then
#
#     check("AUPRC by hand", np.isclose(mine, metrics.auprc(label_6, prob_6)), round(mine, 3))
#
# <details><summary>Hint</summary>
#
# Go through the different scores from the highest down. Each is a threshold: the nodules at or above
# it are called malignant. Add (recall now - recall before) x precision now.
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
called = prob_6 >= np.unique(prob_6)[::-1, None]           # (thresholds, 6)
hits = (called * label_6).sum(1)
mine = (np.diff(hits / 3, prepend=0) * hits / called.sum(1)).sum()
check("AUPRC by hand", np.isclose(mine, metrics.auprc(label_6, prob_6)), round(mine, 3))

# %% [markdown]
# ### 2 · Predict
# Every probability is squared. What happens to AUROC, AUPRC and the Brier score, the mean squared
# distance of probability and label?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
p_namd, measures = prob[arm].mean(0), (metrics.auroc, metrics.auprc, metrics.brier)
{f.__name__: [round(f(label, p), 4) for p in (p_namd, p_namd**2)] for f in measures}

# %% [markdown]
# <details><summary>Solution</summary>
#
# Squaring keeps the order, so AUROC and AUPRC stay. The Brier score reads the values and moves.
# </details>

# %% [markdown]
# ### 3 · Change a parameter
# Compute the floor of the FID with fewer and fewer images. What would you ask an author whose FID
# comes from another N?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
{n: round(metrics.floor(metrics.fid, features_x2[:n], seed, patient=patient[:n]), 3)
 for n in (len(label) // 4, len(label) // 2, len(label))}

# %% [markdown]
# <details><summary>Solution</summary>
#
# The floor tends to rise as N falls, though the images come from the same law; where two N are
# close, the random choice of the halves decides. Ask for the floor at that N, or for the KID.
# </details>

# %% [markdown]
# ### 4 · Break it
# Compare NAMD's AUROC of the K-mean with the mean of its single runs: the same model, the same
# patients. How would you make a weaker system seem better than NAMD with this?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
table.loc[compare_arms, ["auroc_mean", "auroc_kmean"]].round(4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The mean averages the sampling noise away and usually ranks better than a single run. Set the K-mean
# of your system beside a single run of the rival: you compare K with 1, not two methods. This is why
# Table 1 prints the mean over runs for every row, and the K-mean beside it for every row as well.
# </details>

# %% [markdown]
# ## In practice
# - This is one judge. Notebook 09 lets a second one read the same images, and says which verdicts
#   survive.
# - With 53 malignant test nodules, half the width of DeLong's interval is about 0.06. The published
#   table has no paired intervals, so nobody can tell whether its differences of 0.02 are larger
#   than chance.
# - All rows share one training seed. Other seeds need more runs of 02-04 (`make seeds`).
# - Small negative KIDs are no mistake: an estimator without bias scatters around 0.
#
# ## Summary
# - AUROC, its DeLong interval and AUPRC are counts over pairs of nodules.
# - "±" over seeds and brackets over patients answer different questions; both stand in Table 1.
# - FID has a floor that depends on N; a copied baseline fools pixel errors, not Δ-RMAE.
# - Copy, mean, permuted, direct, Brock, oracle and true risk tell what NAMD's AUROC is worth.
# - A verdict comes from a paired interval, and "undecided" is one of the answers.
# - Slope, net benefit and coverage ask whether to believe a probability and a spread.
#
# ## Further reading
# - [DeLong and others](https://doi.org/10.2307/2531595) 1988: comparing areas under ROC curves.
# - [Sun and Xu](https://doi.org/10.1109/LSP.2014.2337313) 2014: the fast algorithm of `placements`.
# - [Zhang and others](https://arxiv.org/abs/1801.03924) 2018: LPIPS, and why the network matters.
# - [Binkowski and others](https://arxiv.org/abs/1801.01401) 2018: KID, and the bias of FID.
# - [Vickers and Elkin](https://doi.org/10.1177/0272989X06295361) 2006: decision curves.
# - [McWilliams and others](https://doi.org/10.1056/NEJMoa1214726) 2013: the Brock model.
#   Obuchowski 1997, *Biometrics* 53:567: AUROC with several nodules a patient.
# - Documentation: scikit-learn's
#   [model evaluation](https://scikit-learn.org/stable/modules/model_evaluation.html).

# %%
run.finish(auroc_namd=table.loc[arm, "auroc_mean"], auroc_baseline=table.loc["real baseline", "auroc_mean"],
           auroc_follow_up=table.loc["real follow-up", "auroc_mean"], gap_closed=float(share["value"]))
