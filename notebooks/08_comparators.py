# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Compare with every other system
# NAMD's number means something beside the numbers of others, measured in the same way. You train the
# systems of the paper's table, two more, and two controls that share NAMD's
# [record](00_start_here.ipynb#record) and nothing else of it.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Section 4.1.3, Table 1.
# *Previous:* `07_ablations`. *Next:* `09_autorad_lung`. It needs `05_evaluation`.
#
# *Reading:* 11 minutes; the core, sections 1, 5 and 7, takes 4. The rest is optional.
#
# ## What you will do
# Train each system, draw its follow-ups of the test patients and print all of Table 1, with paired
# differences to NAMD and the cost of every row. You make `metrics/comparators.csv`,
# `metrics/comparator_differences.csv` and `metrics/comparator_costs.csv`.
#
# ## What you will learn
# - Say in one equation what each system learns, and where its randomness comes from.
# - Keep a Wasserstein critic's slope near 1, and see what happens without.
# - Integrate a flow by Euler and a stochastic one by Euler-Maruyama.
# - Tell a rectified flow from noise from one that starts at the baseline.
# - Give every system one tuning budget, and read a validation table before a test table.
# - Tell the worth of a record from the worth of a method.
#
# ## What you need
# Gradients, differential equations in one variable. Notebook 05, and notebooks 02 and 03 of the
# [arm](00_start_here.ipynb#arm) `system_arm`: the systems on latents share its VAE, which was trained
# without alignment.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 25 min | not measured |
# | memory | 4.6 GB in all | 24 GB for the frozen weights of FLUX.1 (12 billion, bfloat16) |
# | disk | 0.8 GB | not measured |

# %% tags=["parameters"]
run_name: str = "quick"                  # folder below outputs/
seed: int = 23                           # names every random draw (App. B)
device: str = "auto"                     # auto, cpu or cuda
threads: int = 1                         # torch threads of one process
precision: str = "float32"               # or tf32, bfloat16: faster, not equal
image_size: int = 64                     # pixels of 0.6 mm
window_low: int = -1000                  # HU shown as -1
window_high: int = 400                   # HU shown as +1
augment: str = "square"                  # the same turns for both images of a pair
vae_channels: list = [16, 16, 32]        # of the autoencoders that systems bring along
vae_layers: int = 1                      # blocks per level
unet_path: str = "outputs/reference/models/small-sd"  # empty: the small untrained U-Net of notebook 03
unet_layers: int = 1                     # blocks per level of the U-Net that DDL-CXR brings along
unet_heads: int = 4                      # its attention heads
n_timesteps: int = 1000                  # T of the diffusion systems
beta_start: float = 8.5e-4               # beta_1
beta_end: float = 1.2e-2                 # beta_T
beta_schedule: str = "scaled_linear"     # as for NAMD
prediction_type: str = "v_prediction"    # as for NAMD
zero_terminal_snr: bool = True           # as for NAMD
timestep_spacing: str = "trailing"       # as for NAMD
ddim_steps: int = 5                      # as for NAMD
llm_path: str = "outputs/reference/models/small-gemma"  # of NAMD itself
llm_dtype: str = "float32"               # App. B
ema_decay: float = 0.995                 # as for NAMD
grad_clip: float = 1.0                   # as for NAMD
save_every: int = 200                    # steps between checkpoints
systems: list = [                        # files of namd/forecasters/systems/
    "mcwgan", "corrflownet", "sd15", "flux", "ddl_cxr", "imageflownet", "brlp", "delta_lfm", "sd15_report",
    "imageflownet_record"]
system_arm: str = "no_align_no_pred"     # whose VAE they share
system_steps: int = 640                  # of each system, all stages together
system_tune_steps: int = 100             # for each learning rate that is tried
system_rates: list = [3.0e-4, 1.0e-3, 3.0e-3]  # the learning rates that are tried
system_batch: int = 32                   # pairs per step
system_channels: list = [32, 64]         # of the networks a system brings along
system_flow_steps: int = 10              # Euler steps
imageflownet_part: int = 8               # its flows learn from one pair of a batch in so many
ddl_cxr_channels: list = [48, 96]        # of its U-Net, trained from scratch (its authors: 224, 448, 896)
ddl_cxr_ddim_steps: int = 5              # its authors: 200
ddl_cxr_eta: float = 0.0                 # share of DDPM's noise in each step (its authors: 1)
flux_path: str = "outputs/reference/models/small-sd"  # FLUX.1; empty builds a small transformer
flux_dtype: str = "float32"              # of its frozen weights
flux_rank: int = 64                      # of its LoRA
k_runs: int = 4                          # K (App. D: 20)
eval_batch: int = 64                     # images per forward pass
eval_workers: int = 0                    # processes; 0 is one per core
eval_lpips_net: str = "efficientnet_lite0"  # network of the LPIPS column: vgg, alex, squeeze too
lpips_weights: str = "imagenet"          # its weights: imagenet, or random and seeded
eval_inception: str = ""                 # Inception weights for the paper's FID; empty: judge's only
n_boot: int = 1000                       # bootstrap resamples of the patients
arm: str = "namd"                        # the row that is NAMD
compare_arms: list = ["namd", "no_align_no_pred"]  # rows of notebook 05

# %%
from namd.ground import workers

if eval_workers != 1:
    workers.ready("namd.evaluation.tables.table1", "namd.forecasters.namd")  # worker processes import beside us

from copy import copy
from functools import partial

import numpy as np
import pandas as pd
import torch

from namd.data.cohort import Cohort
from namd.data.images import MM_PER_PX
from namd.evaluation.figures import forests, plots, training_and_cost
from namd.evaluation.stats import bootstrap, rows
from namd.evaluation.stats.inception import load as load_inception
from namd.evaluation.tables import beside_paper, cells, comparators, differences, probabilities, table1, two_judges
from namd.evaluation.tables import told_comparators as words
from namd.evaluation.tables.ledger import ledger
from namd.evaluation.tables.table1_layout import paper_table
from namd.evaluation.tables.told_ablations import claims_found
from namd.evaluation.tables.told_evaluation import standing, verdicts
from namd.forecasters import drawing, flow
from namd.forecasters import registry as compared
from namd.forecasters.controls import CopyBaseline, MeanFollowUp
from namd.forecasters.namd import NAMD
from namd.forecasters.systems import brlp, ddl_cxr, mcwgan
from namd.forecasters.trained import ComparedSystem
from namd.models.judge import load_judge
from namd.models.perceptual import load_perceptual
from namd.study.lesson import told
from namd.study.notebook import check, show, start

run = start("08_comparators", globals())

# %%
run.map()

# %% [markdown]
# ## 1 · Give everyone the same budget
# Whoever tunes one system longer than another measures the effort of tuning, not the systems. So
# each gets the same pairs, augmentations, batch size and number of steps, and one rule for its
# learning rate: try each of `system_rates` for `system_tune_steps`, keep the one with the lowest
# validation loss, and start again from the first weights. Systems of several stages split the
# budget.
#
# Equal steps are not equal lessons: Section 5 counts what each was shown. NAMD is outside the rule.
# Its stages have steps and rates of their own, set by hand, and that may favour it.
#
# What each system is, in a line:

# %%
p = run.p
known = {name: compared.system(name) for name in p.systems}
sheets = pd.DataFrame({name: kind.description._asdict() for name, kind in known.items()}).T.rename_axis("system")
WIDE = {"text-align": "left", "white-space": "normal"}
sheets[["source", "conditions", "noise", "optimises"]].style.set_properties(**WIDE)

# %% [markdown]
# No paper says everything. What each leaves open, and what we chose:

# %%
sheets[["left_open"]].style.set_properties(**WIDE)

# %%
show(ComparedSystem.fit)

# %% [markdown]
# ## 2 · Move pixels
# *Optional*, as are Sections 3 and 4: what each kind of system learns.
#
# **McWGAN** forecasts one image, and a second network, the *critic* $f$, says how real it looks. The
# critic estimates the Wasserstein distance between real and forecast pairs, which is right only
# while its slope is 1. A penalty with weight $\lambda$ keeps it there:
#
# $$\mathcal L_\text{critic} = \mathbb E\, f(\hat X^{(2)}) - \mathbb E\, f(X^{(2)})
# + \lambda \, \mathbb E \big( \lVert \nabla f(\tilde X) \rVert - 1 \big)^2$$
#
# with $\tilde X$ anywhere on the line between a real and a forecast image. A linear critic has the
# same slope everywhere, so three nodules do by hand:

# %%
torch.manual_seed(0)
critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 1, bias=False))         # f = w . [x1, x2]
x1, x2, x2_hat = torch.rand(3, 3, 1, 2, 2)                # three nodules of 2 x 2 pixels
w = critic[1].weight[0, 4:]                               # the half that reads x2: its slope everywhere
by_hand = 10 * (w.norm() - 1) ** 2 - (w * (x2 - x2_hat).flatten(1)).sum(1).mean()
by_module = mcwgan.critic_loss(critic, x1, x2, x2_hat, mix=torch.rand(3, 1, 1, 1))
check("critic's loss by hand and by the module agree", torch.isclose(by_hand, by_module), round(by_hand.item(), 3))

# %% [markdown]
# The forecasting network also pays for L1, SSIM and a distance in the features of a ResNet-18 that
# first learnt to tell malignant from benign. Nothing is random, so K is 1.
#
# **ImageFlowNet** encodes the image with a U-Net and lets every feature map drift and shake for a
# year before it is decoded. A control of ours, `imageflownet_record`, lets the record e scale and
# shift every drift. It has NAMD's knowledge without NAMD's method, so it tells which of the two
# counts:
#
# $$d\mathbf h = f(\mathbf h)\, dt + \sigma\, dW, \qquad
# f(\mathbf h, e) = f_2\big((1 + \gamma_e)\, f_1(\mathbf h) + \beta_e\big)$$
#
# NAMD starts from noise, and noise decides the whole image; here it only disturbs the features of
# $X^{(1)}$. *Euler-Maruyama* walks in steps of $\Delta t$ and shakes by $\sigma \sqrt{\Delta t}$ at
# each. So n steps of variance $\sigma^2 / n$ sum to $\sigma^2$, however many there are:

# %%
shakes = torch.randn(3, 10, 20_000, generator=torch.Generator().manual_seed(seed))          # three nodules, 10 steps
h_1 = flow.integrate(lambda h, t: 0 * h, torch.zeros(3, 20_000), 10, sigma=0.5, noise=lambda i: shakes[:, i])
by_hand = 0.5 * np.sqrt(1 / 10) * shakes.sum(1)
check("Euler-Maruyama by hand and by the module agree", torch.allclose(h_1, by_hand, atol=1e-5))
variance = h_1.var().item()
check("its variance is sigma squared, whatever the steps", abs(variance - 0.25) < 0.01, round(variance, 3))

# %% [markdown]
# ## 3 · Flow through latents
# A flow learns a velocity and follows it. **Flux** starts at noise, as diffusion does, and takes the
# straight way: $\mathbf z_t = (1 - t)\, \mathbf z^{(2)} + t\, \boldsymbol\epsilon$ with velocity
# $\boldsymbol\epsilon - \mathbf z^{(2)}$. **CorrFlowNet** starts at the baseline instead:
#
# $$\mathbf z_t = (1 - t)\, \mathbf z^{(1)} + t\, \mathbf z^{(2)}, \qquad
# \min_v \; \mathbb E\, \lVert v(\mathbf z_t, t) - (\mathbf z^{(2)} - \mathbf z^{(1)}) \rVert^2$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\mathbf z_t$ | `z_t` | (B, 4 or 16, h, w) | scaled latent |
# | $v$ | `velocity` | as z_t | latent a year |
# | $t$ | `t` | (B,) | 0 to 1 |
#
# On three nodules that all move by the same c, the velocity is c and Euler is exact in one step:

# %%
z1, c = torch.randn(3, 4, 8, 8), 0.5                      # three latents, all to move by c
z2, t = z1 + c, torch.tensor([0.0, 0.3, 1.0])
z_t = (1 - t)[:, None, None, None] * z1 + t[:, None, None, None] * z2
check("the line by hand and by the module agree", torch.allclose(z_t, flow.line(z1, z2, t)))
arrived = flow.integrate(lambda z, t: torch.full_like(z, c), z1, 1)
check("one Euler step along a constant velocity arrives", torch.allclose(arrived, z2))

# %% [markdown]
# Such a flow forecasts an average of what may come, because the same baseline is followed by many
# follow-ups; its second row, SDE, adds noise on the way. Why does the velocity see only
# $\mathbf z_t$ and t, and not $\mathbf z^{(1)}$ as well? In training it could then compute the answer
# from the difference of the two. At t = 0, where a forecast starts, there is no difference, and it
# would have learnt nothing. The latents come from a *correlational* autoencoder, in which one visit
# can be predicted from the other.
#
# **Δ-LFM** follows a flow of the same kind, in years instead of shares of the interval, reads the
# record, and asks the singular values $s_j$ of its latents to grow with time, by a margin m:
#
# $$v^\star = \frac{\mathbf z^{(2)} - \mathbf z^{(1)}}{t_2 - t_1}, \qquad
# \mathcal L_\text{rank} = \textstyle\sum_j \max\big(0,\; m - (s^{(2)}_j - s^{(1)}_j)\big)$$
#
# ## 4 · Denoise latents
# **SD1.5** is NAMD's last stage without alignment, prediction loss and record. Every prompt is the
# empty one, $\varnothing$:
#
# $$\mathcal L = \mathbb E \big[\, \lVert \boldsymbol\epsilon -
# \boldsymbol\epsilon_\theta(\mathbf z^{(1)}, \mathbf z^{(2)}_t, t, \varnothing) \rVert^2 \,\big]$$
#
# Its control, **SD1.5 with the report**, replaces $\varnothing$ by what CLIP's text network makes of
# the report, 77 vectors. With the true SD1.5 that network is frozen; with a small U-Net it is small
# as well and learns.
#
# **DDL-CXR** adds the record through a transformer of its own, and punishes a U-Net that would do as
# well with a wrong record:
#
# $$\mathcal L = \ell_i + 1.4\, \mathrm{BCE} + w\, (1 - \bar\alpha_t)\,
# \frac1D \sum_{d=1}^D \max(0,\; \ell_{id} - \ell_{id}^\text{wrong} + 0.2)$$
#
# where $\ell_{id}$ is the squared error of number d of nodule i, $\ell_i$ their mean, BCE the
# cross-entropy of the label as it reads it, and w grows from 0 to 1 over the training. Three nodules
# of two numbers. With the wrong record the first is much worse; the second a little worse; the third
# worse by the margin as a whole, but not in each number:

# %%
right = torch.tensor([[0.3, 0.3], [0.3, 0.3], [0.1, 0.5]])  # squared errors, (3, D)
wrong = torch.tensor([[0.6, 0.6], [0.4, 0.4], [0.6, 0.6]])
alpha_bar_t = torch.tensor([0.0, 0.0, 0.5])
by_hand = 1.0 * (1 - alpha_bar_t) * (right - wrong + 0.2).clamp(min=0).mean(1)
by_module = ddl_cxr.contrast(right[..., None, None], wrong[..., None, None], alpha_bar_t, 1.0)
check("contrast by hand and by the module agree", torch.allclose(by_hand, by_module), by_hand.tolist())

# %% [markdown]
# **BrLP** trains a U-Net on single visits with the record as context, freezes it, and lets a
# [*ControlNet*](https://arxiv.org/abs/2302.05543) $\kappa$ add the baseline. A forecast averages m
# latents before it decodes. That makes each follow-up steadier, and the runs more alike:
#
# $$\hat{\boldsymbol\epsilon} = \boldsymbol\epsilon_\theta\big(\mathbf z_t, t, e;\;
# \kappa(\mathbf z_t, t, e, \mathbf z^{(1)})\big), \qquad
# \hat{\mathbf z}^{(2)} = \frac1m \sum_{i=1}^m \mathrm{DDIM}(\mathbf z_T^{(i)})$$

# %%
show(brlp.stabilised)

# %% [markdown]
# ## 5 · Train them side by side
# Each core trains one system. If you stop the notebook, it goes on from the newest checkpoint next
# time, and a system that did not change is not trained again.

# %%
cohort = Cohort.open(run.need("cohort"))
pairs, val, test = cohort.split("train", "val"), cohort.split("val"), cohort.split("test")
keys = compared.keys(run, p.systems)
compared.fit_all(run.root, p, keys, pairs, workers.count(eval_workers, len(keys)))

# %%
folders = {name: run.root / "systems" / name for name in p.systems}
tuned = pd.concat({name: pd.read_csv(folder / "tuning.csv") for name, folder in folders.items()}, names=["system"])
tuned = run.table(tuned.reset_index("system"), "comparator_tuning")
tuned.assign(loss=tuned.val_loss.round(4).astype(str) + np.where(tuned.chosen, " ←", "")).pivot(
    index=["system", "stage"], columns="lr", values="loss")

# %%
learnt = {f"{name}, {stage}": pd.read_csv(folders[name] / f"history_{stage}.csv")
          for name, stage in tuned.groupby(["system", "stage"], sort=False).groups}
title = "How each stage learns: loss on validation patients"
run.figure(training_and_cost.histories(learnt, title, run.synthetic), "comparator_training")
told(words.still_falling(learnt))

# %% [markdown]
# **What to see.** A curve that falls and flattens has had enough; one that still falls at its end
# would take more steps than the budget has. Where it rises, the weights of its lowest point are kept.
#
# In the next table `seen` counts the images that a system was shown in training, repeats included.
# The VAE of the systems on latents comes on top.

# %%
budget = run.table(compared.budget(run.root, p.systems, arm, system_arm), "comparator_budget")
steps = budget.loc[p.systems, "steps"].groupby("system").sum()
check("every system took the same steps, up to rounding", (steps - p.system_steps).abs().max() <= 2, steps.to_dict())
budget

# %% [markdown]
# Before any test image is opened: does each system forecast the *change* better than the mean image
# does? If not, it was trained badly, and its row would say nothing. A copy of the baseline scores 2
# in Δ-RMAE (notebook 05).

# %%
crop = (image_size, window_low, window_high)
x1_val, x2_val = val.images(*crop)
mean_follow_up = MeanFollowUp(p)
mean_follow_up.fit(cohort.split("train"))
makers, paper_names = compared.makers(run.root, p, keys)
namd = partial(NAMD, run.need(f"arms/{arm}/namd", made_by="04").parent, p)
controls = {"copy-baseline": CopyBaseline, "mean follow-up": partial(copy, mean_follow_up), arm: namd}
change = comparators.change_on_validation(controls | makers, x1_val, x2_val, val.ehr, [1, 2])
told(words.change_found(change, list(makers), arm))
run.table(change, "comparator_validation").round(3)

# %%
if p.system_steps >= 200:
    better = change.loc[list(makers), "delta_rmae"] < change.loc["mean follow-up", "delta_rmae"]
    check("every system forecasts the change better than the mean image", better.all(), list(better.index[~better]))
    check("every stochastic system has a spread, no deterministic one has",
          all((change.loc[row, "spread"] > 0) == make().stochastic for row, make in makers.items()))

# %% [markdown]
# ## 6 · Look at the same six patients
# *Optional.* Now the test split is opened, with the patients, seeds and noise of notebook 05.

# %%
x1, x2 = test.images(*crop)                                # (N, 1, S, S) each
label, pair_id, patient = test.label, list(test.table.index), test.patient
seeds = {row: drawing.run_seeds(p.k_runs if make().stochastic else 1) for row, make in makers.items()}
drawing.draw_rows(makers, x1, test.ehr, seeds, run.root / "samples", eval_batch, threads, eval_workers, precision,
               compared.row_keys(keys, seeds, eval_batch))
run.made(*(f"systems/{name}" for name in keys), *(drawing.row_file("samples", row) for row in makers))

# %%
rng = np.random.default_rng(seed)
six = np.concatenate([rng.permutation(np.flatnonzero(label == v))[:3] for v in (1, 0)])
run.need(drawing.row_file("samples", arm), made_by="05")
drawn = {row: drawing.load_row(run.root / "samples", row)[0] for row in [arm, *makers]}
grid = [[x1[i, 0], x2[i, 0], *(images[i, 0] for images in drawn.values())] for i in six]
names = [f"{'malignant' if label[i] else 'benign'}\n{pair_id[i]}" for i in six]
heads = ["x1", "x2", *(rows.plain(row).replace(" ", "\n", 1) for row in drawn)]
title = f"One drawing by every system, of the same few of {len(label)} test patients"
run.figure(plots.image_grid(grid, heads, names, title, run.synthetic, MM_PER_PX), "comparator_grid")
told(words.spread_found(change, arm))

# %% [markdown]
# **What to see.** Compare the systems that read the record with those that do not (table of Section
# 1), most of all where x2 has grown. Look at rims: a system without noise smears where growth is
# uncertain; one that starts from noise decides for a size, and may be wrong. A system that edits
# $X^{(1)}$ keeps its background.
#
# ## 7 · Print the whole table
# The [judge](00_start_here.ipynb#judge) of notebook 05 reads the new rows; the old rows are taken
# from there. NAMD alone is read once more, because both readings of a difference must come from one
# machine.

# %%
judge = load_judge(run.need("judge", made_by="05")).to(run.device)
net = load_perceptual(eval_lpips_net, lpips_weights, seed).to(run.device)
inception_net = load_inception(eval_inception).to(run.device) if eval_inception else None
prob, values = table1.score_rows(run.root / "samples", [arm, *makers], x1, x2, judge, net, threads, eval_workers,
                                 inception_net)

# %%
old = pd.read_csv(run.need("metrics/table1.csv", made_by="05")).set_index("row")
beside = {"table1_digest": old.pop("digest").iloc[0]}      # the rows below stand beside this very table
readings = pd.read_parquet(run.need("metrics/probabilities.parquet", made_by="05"))
apart = np.abs(probabilities.stack(readings, [arm], pair_id)[0] - prob[arm]).max()
check("the judge reads every image of NAMD as in notebook 05", apart < 0.01, float(apart))
by_row = {row: prob[row] for row in makers}
new = table1.whole(label, by_row, table1.image_columns({row: values[row] for row in makers}), patient)
new = beside_paper.beside_the_paper(new, run.stamp["source"], (eval_lpips_net, lpips_weights), paper_names)
run.table(new.assign(**beside), "comparators")
probabilities.save_probabilities(run.root / "metrics" / "comparator_probabilities.parquet", by_row, pair_id, patient)
run.made("metrics/comparator_probabilities.parquet")

# %%
whole = pd.concat([old.drop(columns="run_name"), new]).fillna({"paper_row": "", "comparable": ""})
whole = whole[["-seed" not in row for row in whole.index]]
told(standing(whole, arm))
paper_table(whole, [*compare_arms, *makers])

# %% [markdown]
# Overlapping intervals decide nothing, for the rows share their patients. So NAMD is subtracted,
# patient by patient:

# %%
counts = bootstrap.resample_counts(label, n_boot, seed, "table1", patient=patient)          # as in notebook 05
found = run.table(differences.differences(label, prob, values, counts, patient, arm), "comparator_differences")
cells.difference_cells(found)

# %%
n_text = f"n = {len(label)}, {int(label.sum())} malignant, 95 % intervals over {len(set(patient))} patients"
run.figure(forests.difference_forests(found, arm, n_text, run.synthetic), "comparator_forests")
told(verdicts(found, arm))

# %% [markdown]
# **What to see.** In AUROC and AUPRC, a row left of 0 is behind NAMD, and one right of 0 ahead; in
# LPIPS and Δ-RMAE it is the other way round. An interval across 0 decides nothing. Look for rows
# that are ahead in LPIPS and behind in AUROC: a likeness is not a diagnosis.
#
# Notebook 09 asks a second judge about the same images; where it has run since, this is its answer:

# %%
asked = two_judges.as_kept(run.root / "metrics", label, prob)
told(two_judges.in_words(asked))
asked

# %%
one = x1[:1], test.ehr[:1]
costs = pd.concat([compared.costs(makers, *one), compared.costs_of_namd(namd, run.root, arm, *one)])
run.table(costs, "comparator_costs").round(1)

# %%
run.figure(training_and_cost.cost_against_auroc(whole, costs, n_text, run.synthetic, bold=arm), "cost_against_auroc")
told(words.cost_found(whole, costs))

# %% [markdown]
# **What to see.** The best place is up and left; NAMD's mark is filled. A row on the dashed line
# gives nothing that the real baseline did not have, at whatever cost. Take the seconds of training
# for orders of magnitude: other programs may have run at the same time, and after an interruption
# only the last part is counted.
#
# Is it the record or is it NAMD? From SD1.5, and from ImageFlowNet, two steps lead to NAMD. The first
# gives the system the record, the second exchanges the system for NAMD:

# %%
record = run.table(comparators.record_controls(label, prob, counts, arm).assign(**beside), "record_controls")
told(words.record_or_method(record))
record[["row", "beside", "value", "low", "high"]].round(3)

# %% [markdown]
# The claims that waited for these rows are settled now. Is NAMD better than every system of the
# paper's table? The best of many systems, chosen after the test, is partly lucky, so each resample
# of the patients picks its own best system.

# %%
theirs = [row for row, paper in paper_names.items() if paper]
run.table(comparators.against_best(label, prob, theirs, counts, arm).assign(**beside), "best_system")
run.reading_tables("05")
claims = ledger(run.root, arm, notebooks=("05", "08")).set_index("id")
shown = ["claim", "effect", "low", "high", "verdict", "why"]
ids = ["best", "lpips_best", "fid_best", "sd15_report", "sd15_record", "imageflownet_record", "imageflownet_gain"]
told(claims_found(claims.loc[ids]))
claims.loc[ids, shown].style.set_properties(**WIDE)

# %% [markdown]
# ## Paper and this run

# %%
known_as = paper_names | {arm: "NAMD"}
run.panel([beside_paper.panel_row(whole, row, "auroc", run.stamp["source"], (eval_lpips_net, lpips_weights), known_as)
           for row in [arm, *makers] if known_as[row]])

# %% [markdown]
# The order of rows on a phantom says how these systems deal with the phantom's law, with small
# networks and minutes of training. It says nothing about their order on NLST.
#
# ## Exercises
# ### 1 · Implement
# Integrate $dh = -h\,dt$ from $h = 1$ over one unit of time by ten Euler steps, without the module.
# Call the end `mine`; then
#
#     theirs = flow.integrate(lambda h, t: -h, torch.ones(3), 10)
#     check("Euler by hand", torch.allclose(theirs, torch.full((3,), float(mine))), mine)
#
# How far from the truth, $e^{-1}$, is it, and how far with twenty steps?
#
# <details><summary>Hint</summary>
#
# A step adds the velocity at the place where you are, times the length of the step.
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
mine = 1.0
for _ in range(10):
    mine = mine + -mine / 10
theirs = flow.integrate(lambda h, t: -h, torch.ones(3), 10)
check("Euler by hand", torch.allclose(theirs, torch.full((3,), mine)), round(mine, 4))
print(f"off by {np.exp(-1) - mine:.4f}; with twenty steps by {np.exp(-1) - 0.95**20:.4f}: half as much")

# %% [markdown]
# ### 2 · Predict
# Double the steps of the flow that starts at the baseline. Does the forecast change much? Decide,
# then run it.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
from types import SimpleNamespace

slow = SimpleNamespace(**{**vars(p), "system_flow_steps": 2 * p.system_flow_steps})
six_of = x1[:6], test.ehr[:6], [0]
moved = {}
for name in {"corrflownet", "delta_lfm", "flux"} & set(keys):
    here, finer = (known[name](run.root, budget, keys[name]).sample(*six_of) for budget in (p, slow))
    moved[name] = round((here - finer).abs().mean().item(), 4)
moved

# %% [markdown]
# ### 3 · Derive
# BrLP averages m latents. By what factor does the variance between its runs fall, and what
# becomes of the coverage of its K draws (notebook 05)?

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# By m, if the draws are independent. K draws that are too alike cover the truth less often: the
# spread now describes the mean, not the patient.
# </details>

# %% [markdown]
# ### 4 · Change a parameter
# Look at `comparator_tuning`: did a system choose the largest or the smallest rate? What would
# you try, and on which split?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
edge = tuned[tuned.chosen & tuned.lr.isin([min(p.system_rates), max(p.system_rates)])]
edge[["system", "stage", "lr", "val_loss"]]

# %% [markdown]
# <details><summary>Solution</summary>
#
# A choice at the edge asks for one more rate beyond it, for every system alike, on the validation
# split.
# </details>

# %% [markdown]
# ### 5 · Break it
# Take the penalty of Section 2 away. A linear critic has the slope $w$, and the real and the forecast
# images differ on average by `gap = torch.tensor([0.3, -0.1, 0.2])`. What happens to the critic's
# loss, with and without the penalty, as it makes $w$ longer and longer?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
gap = torch.tensor([0.3, -0.1, 0.2])
for length in (0.5, 1.0, 2.0, 100.0):
    gain = length * gap.norm().item()                      # w points along the gap
    print(f"|w| = {length:5.1f}: without {-gain:8.2f}, with {-gain + 10 * (length - 1) ** 2:10.2f}")

# %% [markdown]
# <details><summary>Solution in words</summary>
#
# Without a penalty the loss falls without end, and the critic's number says how long $w$ is and not
# how far the images lie apart. With it the loss is lowest near $|w| = 1$.
# </details>

# %% [markdown]
# ## In practice
# - **Equal budgets are not equal chances.** A GAN needs more steps than a regression; a transformer
#   more data than a U-Net. The paper's rows ran at their authors' settings, ours at one budget.
# - **No public code.** McWGAN, CorrFlowNet and Δ-LFM have none. Their rows test an idea that we
#   built from a paper, not a product.
# - **FLUX.1** is 12 billion weights under a non-commercial licence. Without it a transformer of the
#   same class, thousands of times smaller, stands in.
# - **A new system** is one file and one line: `namd/forecasters/README.md`.
#
# ## Summary
# - Systems differ in what they are told, where their noise is and what they optimise.
# - A critic's slope is held at 1 by a penalty; Euler is exact on a straight, constant flow.
# - A flow from the baseline averages what it cannot know; one from noise decides.
# - One tuning budget by validation for all, and no row that forecasts less than the mean image.
# - A system with the record and one without tell the record's worth from the method's.
# - The verdict is the paired interval, not the order of the column.
#
# ## Further reading
# - Gulrajani and others (2017), [*Improved training of Wasserstein
#   GANs*](https://arxiv.org/abs/1704.00028).
# - Liu, Gong, Liu (2023), [*Flow straight and fast*](https://arxiv.org/abs/2209.03003): rectified
#   flow.
# - Perez and others (2018), [*FiLM*](https://arxiv.org/abs/1709.07871): scale and shift by a record.
# - Yao and others (2024), [*Addressing asynchronicity in clinical multimodal
#   fusion*](https://openreview.net/forum?id=uCvdw0IOuU): DDL-CXR.
# - Liu and others (2024), [*ImageFlowNet*](https://arxiv.org/abs/2406.14794). Puglisi, Alexander,
#   Ravì (2025), [*BrLP*](https://doi.org/10.1016/j.media.2025.103734).
# - Documentation of [diffusers](https://huggingface.co/docs/diffusers), whose U-Nets and schedulers
#   these systems share.

# %%
run.finish(auroc={row: float(np.mean(whole.loc[row, "auroc_mean"])) for row in [arm, *makers]},
           delta_rmae_val=change["delta_rmae"].to_dict(), costs=costs.to_dict("index"))
