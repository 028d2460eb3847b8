# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Align a latent space with what the radiologist wrote
# The diffusion model of the next notebooks never sees a pixel: it works on
# [latents](00_start_here.ipynb#latent), a few numbers for each image. Here we train the network
# that makes them, so that nodules which a radiologist describes alike lie close together.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Section 3.2, Eq. 2-6, Figure 2. *Previous:*
# `01_data_preparation`. *Next:* `03_diffusion_pretraining`.
#
# *Reading:* 14 minutes; the core, sections 2, 3, 5 and 6, takes 7. The rest is optional.
#
# ## What you will do
# Train a nodule-aligned variational autoencoder (VAE) and store the scaled latents of the training
# and validation images. The artefacts are `vae/`, `latents/`, Figure 2 and
# `metrics/latent_space.csv` of the [arm](00_start_here.ipynb#arm), the trained variant that the
# parameter `arm` names.
#
# ## What you will learn
# - Compute the neighbour distributions P and Q of three nodules by hand.
# - Explain what a width sigma does to the number of neighbours, and why a long latent needs more.
# - Derive the force with which Eq. 4 moves a latent.
# - Compose the five terms of Eq. 6 and name the unit of each.
# - Measure how well a latent space orders nodules by diameter, without a t-SNE picture.
# - Justify the latent scale that the diffusion model needs.
#
# ## What you need
# Softmax, the Kullback-Leibler (KL) divergence of two distributions, the idea of a VAE
# ([Kingma and Welling](https://arxiv.org/abs/1312.6114)). From notebook 01: `cohort/`.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 3 min for each arm, two side by side | about 1.5 h on an A40 (estimate of `namd check`) |
# | memory | 2.4 GB | 12 GB (estimate) |
# | disk | 0.2 GB | 500 MB (estimate) |

# %% tags=["parameters"]
run_name: str = "quick"                # folder below outputs/
arm: str = "namd"                      # namd, or an ablation of params/ablations/
seed: int = 23                         # names every random draw (App. B)
device: str = "auto"                   # auto, cpu or cuda
threads: int = 1                       # torch threads of this process
processes: int = 1                     # processes that share every batch
precision: str = "float32"             # or tf32, bfloat16: faster, not equal
image_size: int = 64                   # pixels of 0.6 mm
window_low: int = -1000                # HU shown as -1
window_high: int = 400                 # HU shown as +1
augment: str = "square"                # 8 symmetries (App. B: rotations)
vae_path: str = "outputs/reference/models/small-sd"  # pretrained VAE; empty builds a small one
vae_channels: list = [16, 16, 32]      # widths of the small VAE (SD1.5: 128, 256, 512, 512)
vae_layers: int = 1                    # residual blocks of a level (SD1.5: 2)
vae_steps: int = 160                   # training steps
vae_batch: int = 16                    # images in a step (App. B: 64)
vae_lr: float = 5.0e-4                 # learning rate (App. B: 5.0e-5 from SD1.5)
vae_lr_schedule: str = "one_cycle"     # constant or one_cycle
lambda_kl: float = 1.0e-7              # weight of the KL term (Eq. 6)
lambda_lpips: float = 0.2              # weight of the perceptual term (Eq. 6)
lambda_align: float = 0.1              # weight of the alignment term (Eq. 6)
lambda_pred: float = 0.02              # weight of the prediction term (Eq. 6)
lpips_net: str = "efficientnet_lite0"  # perceptual network: vgg, alex, squeeze too
lpips_weights: str = "imagenet"        # or random: seeded filters that saw no picture
lpips_share: float = 0.25              # part of the batch that the perceptual term sees
align_latent: str = "flat"             # what Eq. 2 compares: flat (256 numbers) or pooled (4)
align_features: str = "standardised"   # standardised, or raw: integer codes beside millimetres
align_perplexity: float = 0.0          # neighbours wanted in a row of P; 0 uses sigma_f
sigma_f: float = 1.0                   # width of attribute distances (Eq. 2)
sigma_z: float = 16.0                  # width of latent distances (Eq. 2)
align_temperature: float = 1.0         # divides both sides of Eq. 2 (authors' code: 0.5)
align_floor: float = 1.0e-8            # raises P and Q in Eq. 4 (authors' code); 0: Eq. 4 itself
latent_scale: float = 0.0              # factor on the latents; 0 measures 1/std
grad_clip: float = 1.0                 # largest gradient norm (App. B)
save_every: int = 200                  # steps between checkpoints

# %% [markdown]
# The stamp below says which run this is, what it was made from, and whether its data are a phantom.

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import display

from namd.data.cohort import Cohort
from namd.data.images import AUGMENTATIONS
from namd.data.leakage.common import before_training
from namd.data.report import has_attributes, nodule_features
from namd.evaluation.figures import plots, vae_shapes, worked
from namd.evaluation.stats import image_quality, latent
from namd.evaluation.tables import latent_space, told_latents, told_training
from namd.ground.errors import UserError
from namd.ground.seeding import generator, noise
from namd.models import hub, losses
from namd.models import vae as vaes
from namd.models.perceptual import load_perceptual
from namd.study.lesson import drawing, told
from namd.study.notebook import check, show, start
from namd.training import loop, parallel

run = start("02_aligned_vae", globals())

# %%
run.map()

# %% [markdown]
# ## 1 · Meet the image, the latent and the attributes
# One nodule, seen at one visit, gives three things: an image, five attributes that a radiologist
# wrote down, and the label of its patient. Both visits train the VAE, each with its own
# attributes. The test patients stay closed until notebook 05. Below the symbols you see the
# attributes of three baseline nodules: diameters in mm, codes as in the tables of NLST, the
# National Lung Screening Trial (notebook 01 decodes them).
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\mathbf X$ | `x` | (B, 1, 64, 64) | window [-1, 1] |
# | $\mathbf f$ | `f` | (B, n_feat) | standard deviations, one-hot codes |
# | $m$ | `m` | (B,) | 1 with any attribute, else 0 |
# | $L$ | `label` | (B,) | 0 benign, 1 malignant |
# | $\mathbf z$ | `z` | (B, 4, 8, 8) | unscaled |

# %%
cohort = Cohort.open(run.need("cohort", made_by="01"))
train, val = cohort.split("train"), cohort.split("val")
train.attributes(1).head(3)

# %% [markdown]
# The paper writes $\mathbf f^{(n)}$ and does not define the superscript. We read "normalised":
# the logarithms of the two diameters in standard deviations, each code one-hot, so that two
# different codes lie at distance 1. `stats` keeps the training means for the validation rows.
#
# A missing diameter takes the mean, a missing code leaves its ones out; where nothing is known,
# `m` is 0.


# %%
def both_visits(pairs, stats=None):
    attributes = pd.concat([pairs.attributes(1), pairs.attributes(2)])
    f, stats = nodule_features(attributes, align_features, stats)
    m = torch.from_numpy(has_attributes(attributes))
    return torch.from_numpy(f), m, torch.from_numpy(pairs.label).repeat(2), stats


f_train, m_train, label_train, stats = both_visits(train)
f_val, m_val, label_val, _ = both_visits(val, stats)

# %% [markdown]
# Every augmentation of every image fits in memory, so a training step picks from a table. Turning an
# image leaves attributes and label alone.

# %%
turned = [torch.cat(train.augmented(k, augment, image_size, window_low, window_high))
          for k in range(AUGMENTATIONS[augment])]
x_train = torch.stack(turned)                        # (A, 2N, 1, S, S)
x_val = torch.cat(val.images(image_size, window_low, window_high))

# %% [markdown]
# The VAE is an [`AutoencoderKL`](https://huggingface.co/docs/diffusers/api/models/autoencoderkl) of
# the library diffusers, at every size. Stable Diffusion's sees the image three times, as red, green
# and blue. The small one sees it folded: each 2 x 2 square of pixels becomes four channels, and
# three levels give the factor 8. Both make a latent of the same shape. The paper *fine-tunes*
# Stable Diffusion's weights; this run fine-tunes those of `vae_path`, which have seen phantoms only.
# An arm may name other weights. If they have seen a validation or test patient, the arm ends here.

# %%
display(before_training(cohort, vae_path=vae_path))
show(vaes.NoduleVAE)

# %%
source = vae_path or vaes.build_vae(run.dir / "checkpoints/vae_start", run.p, run.part_key(["namd.models.vae"], []))
vae = vaes.load_vae(source, image_size, seed, precision).to(run.device)
with torch.no_grad():
    z_first = vae.posterior(x_val[:3].to(run.device)).mean
print(f"{sum(w.numel() for w in vae.vae.parameters()) / 1e6:.1f} M weights, latent {tuple(z_first.shape)}")
check("the latent's side is 8 times smaller", z_first.shape[1:] == (4, image_size // 8, image_size // 8))

# %%
drawing(vae_shapes.draw(vae, image_size))

# %% [markdown]
# Follow one image through the drawing. On the way down each level halves the side, so that a number
# sees an ever larger part of the image. At the end stand *two* latents: for each of its numbers the
# encoder gives a mean and a (log) variance, and a draw from them is $\mathbf z$. The decoder is the
# mirror image. Nothing but $\mathbf z$ passes from the upper row to the lower.

# %% [markdown]
# ## 2 · Turn attribute distances into a distribution
# "Close together" needs a definition that does not depend on the scale of the latent. Eq. 2-3
# give one: for each nodule, a probability over the others in its batch, large for those that
# resemble it.
#
# $$\ell^{(\mathbf f)}_{ij}=-\frac{\lVert\mathbf f_j-\mathbf f_i\rVert^2}{2\sigma_f^2}\quad(2)\qquad
# P_{ij}=\frac{\exp\ell^{(\mathbf f)}_{ij}}{\sum_{k\neq i}\exp\ell^{(\mathbf f)}_{ik}},\quad P_{ii}=0
# \quad(3)$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\sigma_f$ | `sigma_f` | () | same as `f` |
# | $\ell^{(\mathbf f)}$ | `ell_f` | (B, B) | nats |
# | $P$ | `P` | (B, B) | probability |
#
# Three nodules: 6 mm smooth, 7 mm smooth, 16 mm spiculated (with spikes). The first number is the
# size in standard deviations, the second is 1 over the square root of 2 for "spiculated".

# %%
f_3 = torch.tensor([[-0.6, 0.0], [-0.3, 0.0], [1.5, 0.7071]])   # (3, 2)
difference = f_3[:, None] - f_3[None]                           # (3, 3, 2)
ell_f = -difference.square().sum(-1) / (2 * 1.0**2)             # (3, 3)  Eq. 2, sigma_f = 1
ell_f

# %% [markdown]
# The diagonal is 0, the largest value: each nodule is nearest to itself. Eq. 3 leaves it out,
# otherwise every row would give most of its probability to the nodule itself.

# %%
ell_f.fill_diagonal_(-torch.inf)                                # Eq. 3: no self-similarity
P = ell_f.exp() / ell_f.exp().sum(1, keepdim=True)              # (3, 3)
P

# %% [markdown]
# The two small smooth nodules give each other more than 85 % of their rows. The row of the large
# one sums to 1 as well, but that nodule has only two poor matches to divide it between. So a row
# says who is *nearer*, not who is near, and P is not symmetric.

# %%
show(losses.neighbour_rows)

# %%
check("each row of P sums to 1", torch.allclose(P.sum(1), torch.ones(3)))
check("slow and fast agree on P", torch.allclose(P, losses.neighbour_rows(f_3, 1.0)))

# %% [markdown]
# ## 3 · Ask the latent for the same neighbours
# The same recipe on the latents gives Q. Eq. 4 is the KL divergence of P from Q, row by row: how much
# is lost, in nats, when you look for the neighbours of the attributes by distances of the latents.
#
# $$\mathcal L_{\text{align}}=\frac1B\sum_i\sum_{j\neq i}P_{ij}\log\frac{P_{ij}}{Q_{ij}}\qquad(4)$$
#
# In our toy latent the third nodule sits beside the first, where it does not belong.

# %%
z_3 = torch.tensor([[0.0, 0.0], [0.0, 1.5], [0.5, 0.0]])        # (3, 2)
ell_z = -(z_3[:, None] - z_3[None]).square().sum(-1) / 2        # (3, 3)  Eq. 2, sigma_z = 1
Q = ell_z.fill_diagonal_(-torch.inf).softmax(1)                 # (3, 3)  Eq. 3
ratio = (P / Q).fill_diagonal_(1.0)                             # 0 log 0 counts as 0
kl_rows = (P * ratio.log()).sum(1)                              # (3,)    nats
kl_rows, kl_rows.mean()                                         # Eq. 4

# %%
run.figure(plots.matrices([P, Q], ["P: attributes", "Q: latents"],
                            f"Three toy nodules: Q is {kl_rows.mean():.2f} nats away from P"), "neighbour_rows")
told(told_latents.rows(P, Q, kl_rows))

# %% [markdown]
# **What to see.** In P the first row points to nodule 2, in Q to nodule 3. That row costs most.
# Gradients of Eq. 4 reach z only through Q: training moves the latents, the attributes stay.
#
# <details class="derivation"><summary>Derived: why KL(P || Q) moves a latent, and where to</summary>
#
# P does not depend on $\mathbf z$, so only $-\sum_j P_{ij} \log Q_{ij}$ moves. With
# $\log Q_{ij} = \ell_{ij} - \log \sum_k \exp \ell_{ik}$ and $\sum_j P_{ij} = 1$, a change of the
# $\ell_{ij}$ changes the loss by
#
# $$d\mathcal L_{\text{align}} = \frac1B \sum_{i,j} (Q_{ij} - P_{ij})\, d\ell_{ij},
# \qquad \ell_{ij} = -\frac{\lVert \mathbf z_j - \mathbf z_i \rVert^2}{2 \sigma_z^2}.$$
#
# $\mathbf z_i$ stands in row $i$ and in column $i$, and
# $\partial \ell_{ij} / \partial \mathbf z_i = (\mathbf z_j - \mathbf z_i) / \sigma_z^2$. Together:
#
# $$-\frac{\partial \mathcal L_{\text{align}}}{\partial \mathbf z_i} = \frac{1}{B \sigma_z^2} \sum_j
# \big[(P_{ij} - Q_{ij}) + (P_{ji} - Q_{ji})\big] (\mathbf z_j - \mathbf z_i)$$
#
# Read it as springs. Where the attributes want a neighbour that the latents lack ($P > Q$), a spring
# pulls the two together; where the latents have one that nobody wants ($Q > P$), it pushes them
# apart. At P = Q all springs are slack. KL(Q || P) would weigh by Q instead, and a wanted neighbour
# that lies far away ($Q \approx 0$) would feel nothing: that is why the order of the two matters.
# Exercise 2 builds the springs.
#
# </details>
#
# A nodule without any attribute has no neighbours by its record. With $m_i=0$ it leaves P and Q, as
# a row and as a neighbour:
#
# $$P_{ij}=\frac{m_j\exp\ell^{(\mathbf f)}_{ij}}{\sum_{k\neq i}m_k\exp\ell^{(\mathbf f)}_{ik}},\quad
# \mathcal L_{\text{align}}=\frac1{\sum_im_i}\sum_im_i\sum_{j\neq i}P_{ij}\log\frac{P_{ij}}{Q_{ij}}$$
#
# and Q likewise: Eq. 3-4 where all are known. A fourth, unknown nodule must change nothing.

# %%
show(losses.alignment_loss)
check("slow and fast agree on L_align", torch.allclose(kl_rows.mean(), losses.alignment_loss(f_3, z_3, 1.0, 1.0)))
check("L_align is 0 when z repeats f", losses.alignment_loss(f_3, 5 * f_3 + 7, 1.0, 5.0).abs() < 1e-6)
masked = losses.alignment_loss(*(torch.cat([v, 0 * v[:1]]) for v in (f_3, z_3)), 1.0, 1.0, known=torch.arange(4) < 3)
check("a fourth nodule without attributes changes nothing", torch.allclose(kl_rows.mean(), masked))
n_known = int(torch.count_nonzero(m_train))
if n_known < 2:
    raise UserError(f"The tables name attributes of {n_known} of {len(m_train)} training images, and Eq. 4 needs two or"
                    " more: put the abnormality table's rows of these nodules into the delivery, run 01 again.")

# %% [markdown]
# Eq. 4 has no upper end: where Q gives next to nothing to a wanted neighbour, the logarithm grows
# with the squared distance. The authors' code adds 1e-8 to each entry of P and Q, and once more
# inside the logarithm. A row then costs at most log(1 / 2e-8) = 17.7 nats, and a latent that far
# off is hardly pulled back. Their $\lambda_{\text{align}}$ was chosen with that floor, so
# `align_floor` is theirs; 0 is Eq. 4 as printed. The toy latent, stretched:

# %%
price = [[losses.alignment_loss(f_3, by * z_3, 1.0, 1.0, floor=n).item() for by in (1, 4, 16)] for n in (0, 1e-8)]
pd.DataFrame(price, ["Eq. 4", "with the floor"], [1, 4, 16]).rename_axis(columns="stretched by").round(2)

# %% [markdown]
# ### How many neighbours does a row have?
# The entropy of a row says how sharply it chooses; its exponential, the *perplexity*, counts
# neighbours: from 1 (one takes all) to B - 1 (all alike). The widths decide it, and the paper does
# not print them. We draw 64 latents of unit variance: *pooled* ones, where each of the four channels
# is averaged to one number, and *flat* ones with all 256.

# %%
sigmas = np.geomspace(0.2, 30, 40)
lengths = {n: torch.randn(64, n, generator=generator(seed, "perplexity", n)) for n in (4, 256)}
counts = {n: [losses.perplexity(losses.neighbour_rows(v, s)).median().item() for s in sigmas]
          for n, v in lengths.items()}

run.figure(worked.perplexities(sigmas, counts), "perplexity")
told(told_latents.neighbours(sigmas, counts))
at = {n: losses.perplexity(losses.neighbour_rows(v, 1.0)).median().item() for n, v in lengths.items()}
wide = losses.perplexity(losses.neighbour_rows(lengths[256], 256**0.5 / 4)).median().item()
check("a flat latent at sigma_z = 1 collapses to one neighbour", at[256] < 1.5, f"{at[256]:.2f}")
check("with sigma_z = sqrt(256) / 4 it keeps its neighbours", wide > 10, f"{wide:.1f}")

# %% [markdown]
# **What to see.** Follow the dashed line, $\sigma_z = 1$. With 256 numbers the squared distances of a
# row differ by tens, and a softmax keeps only the smallest: the long latent has one neighbour left.
# The authors' code pools, which is what makes its $\sigma_z = 1$ usable.

# %% [markdown]
# This run compares latents as `align_latent` says, at the width `sigma_z`. Attributes use `sigma_f`
# or, where `align_perplexity` is above 0, the width that gives a row of P that many neighbours.

# %%
pick = torch.randperm(int(m_train.sum()), generator=generator(seed, "vae", "width"))[:vae_batch]
f_some = f_train[m_train][pick]                                 # a batch of known ones
width_f = losses.sigma_for_perplexity(f_some, align_perplexity, align_temperature) if align_perplexity else sigma_f
perplexity_f = losses.perplexity(losses.neighbour_rows(f_some, width_f, align_temperature)).median().item()
print(f"sigma_f {width_f:.3f}: a nodule has {perplexity_f:.1f} neighbours among {len(pick) - 1}")


# %%
def compared(z):
    """What Eq. 2 sees of a latent: (B, 4) or (B, 4 h w)."""
    return z.mean((2, 3)) if align_latent == "pooled" else z.flatten(1)


# %% [markdown]
# ## 4 · Predict the label and keep the image
# A latent space can be well ordered by size and still say nothing about malignancy, or about the
# image. The other terms of Eq. 6 see to that. A linear probe $h_\theta$ reads the label from z:
#
# $$\mathcal L_{\text{pred}} = -L \log h_\theta(\mathbf z) - (1 - L) \log(1 - h_\theta(\mathbf z))
# \qquad (5)$$

# %%
logit_3, label_3 = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([1, 0, 1])
h = torch.sigmoid(logit_3)                                      # (3,) probability
by_hand = -(label_3 * h.log() + (1 - label_3) * (1 - h).log())  # (3,) nats  Eq. 5
by_hand

# %% [markdown]
# A *probe* is a small reader of somebody else's numbers; this one is a weighted sum of z. When it is
# right and confident it pays little (first), when undecided log 2 = 0.69 nats (third).
#
# The KL term pulls each posterior $\mathcal N(\mu, \sigma^2)$ towards $\mathcal N(0, 1)$. For one
# value it is $\frac12(\mu^2 + \sigma^2 - 1 - \log \sigma^2)$. The authors add over the 256 values
# of a latent and average over the batch; their weight 1e-6 belongs to that sum. (Divide the sum by
# 256, and the same objective has a weight 256 times larger, so a weight can be compared only
# between losses that are summed in the same way.)

# %%
mean, std = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.5])  # two values of one latent
kl_by_hand = 0.5 * (mean**2 + std**2 - 1 - (std**2).log())      # (2,) nats
kl_by_hand

# %%
fast = losses.kl_loss(mean[None], (std**2).log()[None])
check("slow and fast agree on L_pred", torch.allclose(by_hand.mean(), losses.prediction_loss(logit_3, label_3)))
check("slow and fast agree on L_KL", torch.allclose(kl_by_hand.sum(), fast), f"{fast:.3f}")

# %% [markdown]
# The image terms are the mean absolute difference $\mathcal L_{\text{rec}}$ (L1) and
# [LPIPS](https://arxiv.org/abs/1801.03924), which compares two images as the filters of a frozen
# classifier see them. A laptop run takes EfficientNet-Lite0, whose filters, trained on the
# photographs of ImageNet, come with the installation. LPIPS weighs its layers with published
# weights, and there are none for this network. So its first four stages count alike, and its values
# are a perceptual distance, but no LPIPS:
# $\frac14 \sum_s \lVert \mathbf u_s - \hat{\mathbf u}_s \rVert^2$ with unit features $\mathbf u_s$,
# averaged over space.
#
# What do trained filters bring? We blur each image, and brighten the original until its L1 distance
# is the same. How many times larger is the perceptual distance of the blurred one, with trained
# filters and with random ones of the same network?

# %%
perceptual = load_perceptual(lpips_net, lpips_weights, seed).to(run.device)
x_32 = x_val[:32].to(run.device)
blurred = torch.nn.functional.avg_pool2d(x_32, 3, stride=1, padding=1, count_include_pad=False)
brighter = x_32 + (x_32 - blurred).abs().mean((1, 2, 3), keepdim=True)
nets = {kind: load_perceptual("efficientnet_lite0", kind, seed).to(run.device) for kind in ("imagenet", "random")}
times = {kind: (net(x_32, blurred).mean() / net(x_32, brighter).mean()).item() for kind, net in nets.items()}
check("trained filters penalise blur more than random ones do",
      times["imagenet"] > times["random"], {kind: round(n, 1) for kind, n in times.items()})
seen = lambda_lpips * perceptual(x_32, blurred).mean()
told(f"In Eq. 6, this blur costs {(x_32 - blurred).abs().mean():.4f} by L1 and {seen:.4f} by the perceptual term.")

# %% [markdown]
# ## 5 · Compose Eq. 6 and train
# $$\mathcal L_{\text{VAE}} = \mathcal L_{\text{rec}} + \lambda_{\text{KL}} \mathcal L_{\text{KL}}
# + \lambda_{\text{LPIPS}} \mathcal L_{\text{LPIPS}} + \lambda_{\text{align}}
# \mathcal L_{\text{align}} + \lambda_{\text{pred}} \mathcal L_{\text{pred}} \qquad (6)$$
#
# `z` is a sample of the posterior, not its mean: the decoder, the probe and the alignment all see
# its noise `xi`, which the KL term keeps from vanishing. An *ablation*, an arm with one part taken
# away, sets a weight to 0; its term is still reported. Where several `processes` train together,
# each holds a share of the batch; the others' rows are gathered for Eq. 3, which compares every
# nodule with all others.


# %%
def objective(x, f, m, label, xi):
    q = vae.posterior(x)
    z = q.mean + q.std * xi                                     # (B, 4, h, w)
    x_hat = vae.decode(z)                                       # (B, 1, S, S)
    seen = max(1, round(lpips_share * len(x)))
    f_all, m_all, z_all = parallel.gather(f, m, compared(z))
    term = {
        "rec": losses.reconstruction_loss(x, x_hat),
        "kl": losses.kl_loss(q.mean, q.logvar),
        "lpips": perceptual(x[:seen], x_hat[:seen]).mean(),
        "align": losses.alignment_loss(f_all, z_all, width_f, sigma_z, align_temperature, align_floor, m_all),
        "pred": losses.prediction_loss(vae.logit(z), label),
    }
    loss = (term["rec"] + lambda_kl * term["kl"] + lambda_lpips * term["lpips"]
            + lambda_align * term["align"] + lambda_pred * term["pred"])  # Eq. 6
    return {"loss": loss, **term}


# %% [markdown]
# A step picks its images by `idx` and one augmentation for each of them. All random numbers come from
# the generator `g` of this step, so an interrupted run goes on to the same weights.


# %%
def step(idx, g, step_no):
    turn = torch.randint(len(x_train), (len(idx),), generator=g)
    xi = torch.randn(len(idx), *z_first.shape[1:], generator=g)
    batch = parallel.mine(x_train[turn, idx], f_train[idx], m_train[idx], label_train[idx], xi)
    return objective(*(part.to(run.device) for part in batch))


# %% [markdown]
# Validation loss selects (App. B): the same objective on the validation patients, with the same noise
# each time, so that two weights differ only by what they learned.

# %%
order = torch.randperm(len(x_val), generator=generator(seed, "vae", "validation"))
pieces = order.tensor_split(-(-len(order) // vae_batch))


def validate():
    total = 0.0
    for n, idx in enumerate(pieces):
        xi = noise((len(idx), *z_first.shape[1:]), seed, "vae", "validation", n)
        batch = x_val[idx], f_val[idx], m_val[idx], label_val[idx], xi
        total += len(idx) * objective(*(part.to(run.device) for part in batch))["loss"].item()
    return total / len(order)


# %% tags=["training"]
# papermill_description=train the VAE
history = loop.fit(
    step, vae, n_steps=vae_steps, n_items=len(f_train), batch_size=vae_batch,
    lr=loop.SCHEDULES[vae_lr_schedule](vae_lr, vae_steps), stage="vae", seed=seed, folder=run.dir / "checkpoints/vae",
    key=run.training_key(), validate=validate, grad_clip=grad_clip, save_every=save_every)

# %%
weights = dict(rec=1, kl=lambda_kl, lpips=lambda_lpips, align=lambda_align, pred=lambda_pred)
run.table(history, "vae_history")
run.figure(plots.training_curves(history, ["val_loss", "rec", "align", "pred"],
                                 f"Eq. 6, arm {arm}: {told_training.course(history)}", run.synthetic), "vae_history")
told(told_latents.terms(history, weights), *(told_latents.fell(history, n, weights[n]) for n in ("align", "pred")),
     told_training.chosen(history))
begun, ended = told_latents.ends(history, "align")
check("training aligned the latents, where it was asked to and had the time",
      ended < begun or not lambda_align or vae_steps < 100, (round(begun, 3), round(ended, 3)))

# %% [markdown]
# **What to see.** Training improves the order of the latents: `align` and `pred` fall, and `rec`
# need not, because a pretrained VAE can already copy images. In an ablation a term of weight 0 is
# not optimised, so its curve drifts. The model we keep is the one with the lowest `val_loss`, so a
# later rise of that curve does not affect it.

# %% [markdown]
# ## 6 · Read the latent space
# First the images: follow-ups of validation nodules that the VAE never trained on, each decoded from
# the mean of its posterior. Six of them:

# %%
x2_val = x_val[len(val):]                                       # (N, 1, S, S)
x2_decoded = vaes.decoded(vae, x2_val)
pictures = [row[torch.linspace(0, len(val) - 1, 6).long(), 0] for row in (x2_val, x2_decoded)]
run.figure(plots.image_grid(pictures, title=f"The decoder keeps the nodule and loses the grain (arm {arm})",
                            row_titles=("image", "decoded"), synthetic=run.synthetic), "vae_reconstructions")
told(told_latents.decoded(x2_decoded, x2_val, window_low, window_high))

# %% [markdown]
# **What to see.** Position, size and density of the nodule survive; fine texture and thin vessels
# blur. No forecast of notebook 05 can be sharper than the second row.
#
# How much is lost, by frequency? The latent has 256 numbers, one for each 4 x 4 pixels. A grid of
# that spacing holds waves of 8 pixels and longer: 1/8 cycles a pixel is the cut-off (the grey part of
# the next figure). PSNR, the peak signal-to-noise ratio, is
# $10 \log_{10} (2^2 / \text{mean squared error})$ in dB, for a window 2 wide.

# %%
quality = run.table(pd.DataFrame(image_quality.decoded_rows(x2_decoded, x2_val, val.patient)), "image_quality")
run.figure(plots.spectrum(*image_quality.spectrum_ratio(x2_decoded, x2_val), image_quality.CUT_OFF,
                          f"{len(val)} validation follow-ups, arm {arm}", run.synthetic), "vae_spectrum")
told(told_latents.sharpness(quality))
quality.round(3)

# %% [markdown]
# **What to see.** In the grey part a faithful decoder lies near 1; beyond it the latent has no room,
# and the decoder has to guess. A spike at the right end would be a checkerboard of period 2, which
# the table's last line looks for.
#
# ### Is the space ordered by diameter?
# Figure 2 of the paper answers with a picture of the test set by
# [t-SNE](https://jmlr.org/papers/v9/vandermaaten08a.html), a map on which near neighbours stay near.
# A picture has no scale, so we add a number: predict the logarithm of the longest diameter of a
# nodule from the 15 nearest latents of *other patients*, and report the share of its variance that
# this explains, $R^2$. All images are baselines of validation patients; notebook 07 opens the test
# set.

# %%
with torch.no_grad():
    mean_val, std_val = vaes.moments(vae, x_val)
z_raw = mean_val[:len(val)]                                     # baseline images, (N, 4, h, w)
diameter = val.attributes(1)["sct_long_dia"].to_numpy(float, na_value=np.nan)   # mm
known = np.isfinite(diameter)
views, log_diameter = latent.views(z_raw[known]), np.log(diameter[known])

# %%
scores = latent_space.scores(log_diameter, views, val.patient[known], vae_batch, sigma_z, align_temperature)
scores.loc[len(scores)] = "attributes", "perplexity_f", perplexity_f, len(pick)
run.table(scores, "latent_space")
knn = scores[scores["quantity"] == "knn_r2"].set_index("view")["value"]
scores.round(3)

# %%
run.figure(plots.latent_maps(
    [latent.tsne(points, seed) for points in views.values()], diameter[known], [f"{v}, arm {arm}" for v in views],
    [f"kNN R² of log diameter {knn[v]:.2f}" for v in views], "Validation nodules at baseline", run.synthetic),
    "fig2_latent_space")
told(told_latents.order(log_diameter, views, val.patient[known], seed))

# %% [markdown]
# **What to see.** In an aligned space the colours run from dark to bright across the map, as in the
# left panel of Figure 2, and $R^2$ comes near 1. An $R^2$ of 0 is no better than guessing the mean.
# Notebook 07 sets the arm without alignment beside this one. t-SNE keeps neighbourhoods only; which
# way colours run, and how far apart clouds lie, means nothing.

# %% [markdown]
# ## 7 · Scale and store the latents
# The diffusion model adds noise of variance 1, so its data should have variance 1. Stable Diffusion
# 1.5 (SD1.5) uses the constant 0.18215; alignment and prediction change the spread of z, so we
# measure it over the training set. A posterior sample has the variance of the means plus the mean
# variance:
#
# $$\text{scale} = \Big(\operatorname{Var}[\mu] + \operatorname{E}[\sigma^2]\Big)^{-1/2}$$

# %%
mean_train, std_train = vaes.moments(vae, x_train[0])
vae.set_scale(latent_scale or vaes.latent_scale(mean_train, std_train))
vae.save(run.dir / "vae")
print(f"latent scale {vae.scale:.4f}, written to vae/config.json")

# %% [markdown]
# The encoder is frozen, its weights do not change any more, so one pass over all augmentations is
# enough; validation sees the images as they are. We store the mean and the standard deviation, not
# a sample: later steps draw fresh samples from them.

# %%
vaes.cache_latents(vae, train, run.p, run.dir / "latents/train.safetensors")
vaes.cache_latents(vae, val, run.p, run.dir / "latents/val.safetensors", turns=1)
run.made("vae", "latents")
stored = vaes.load_latents(run.dir / "latents/val.safetensors")
{name: tuple(v.shape) for name, v in stored.items()}

# %%
sample = vae.scale * (mean_train + std_train * torch.randn(std_train.shape, generator=generator(seed, "std")))
back = vaes.load_vae(run.dir / "vae", precision=precision).to(run.device)
check("scaled latents have standard deviation 1", latent_scale or abs(sample.std() - 1) < 0.03, f"{sample.std():.3f}")
check("the VAE on disk encodes as the one in memory", torch.equal(back.encode(x_32), vae.encode(x_32)))
gap = (stored["z1_mean"][:, 0] - vae.scale * z_raw).abs().max().item()
check("validation latents are those of the images themselves", gap < 1e-3, f"{gap:.1e}")

# %% [markdown]
# ## Paper and this run

# %%
run.panel([
    dict(quantity="Figure 2: order by diameter", paper="seen by eye, no number",
         here=f"kNN R² {knn[align_latent]:.2f} ({align_latent})", n=int(known.sum()), k="",
         comparable=False, why="validation patients; the paper shows its test set"),
    dict(quantity="latent (App. B)", paper="4 channels, factor 8", here=str(tuple(z_raw.shape[1:])),
         n="", k="", comparable=True),
    dict(quantity="follow-ups after the VAE, PSNR in dB", paper="not reported", here=f"{quality['value'][0]:.1f}",
         n=len(val), k="", comparable=False, why="the authors' code logs it, the paper does not print it"),
])

# %% [markdown]
# The quick profile shrinks the VAE, its training and the perceptual network. None of these numbers is
# evidence about NLST.
#
# ## Exercises
# ### 1 · Predict
# What do the rows of P become when $\sigma_f$ is very small, and when it is very large? Write down
# which perplexity you expect for three nodules, then compute it.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
for sigma in (0.05, 100.0):
    print(sigma, losses.perplexity(losses.neighbour_rows(f_3, sigma)))  # 1: nearest only; 2: all alike

# %% [markdown]
# ### 2 · Implement
# Write Eq. 2-4 as a function `mine(f, z, sigma_f, sigma_z)` for any batch, without the module; then
# the springs of the derivation in Section 3 as `springs(f, z, sigma_f, sigma_z)`, the *negative*
# gradient. Try them on eight nodules, `f = torch.randn(8, 5)` and `z = lengths[256][:8]`:
#
#     right = losses.alignment_loss(f, z, 1.0, 16.0)
#     check("mine is Eq. 4", torch.allclose(mine(f, z, 1.0, 16.0), right, atol=1e-5))
#
# and compare the springs with `torch.autograd.grad`.
#
# <details class="hint"><summary>Hint</summary>
#
# `torch.cdist(v, v)` gives the distances. Fill the diagonal of the log-similarities with minus
# infinity before the softmax, and that of P log(P / Q) with 0 after it. For the springs, the sum
# over j of $w_{ij} (\mathbf z_j - \mathbf z_i)$ is `w @ z - w.sum(1, keepdim=True) * z`.
#
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
def similar(v, sigma):
    return (-torch.cdist(v, v) ** 2 / (2 * sigma**2)).fill_diagonal_(-torch.inf).softmax(1)


def mine(f, z, sigma_f, sigma_z):
    wanted, found = similar(f, sigma_f), similar(z, sigma_z)
    return torch.where(wanted > 0, wanted * (wanted / found).log(), 0.0).sum(1).mean()


def springs(f, z, sigma_f, sigma_z):
    w = similar(f, sigma_f) - similar(z, sigma_z)
    w = (w + w.T) / (len(z) * sigma_z**2)
    return w @ z - w.sum(1, keepdim=True) * z


f_8, z_8 = torch.randn(8, 5, generator=generator(seed, "springs")), lengths[256][:8].clone().requires_grad_()
loss_8 = losses.alignment_loss(f_8, z_8, 1.0, 16.0)
check("mine is Eq. 4", torch.allclose(mine(f_8, z_8, 1.0, 16.0), loss_8, atol=1e-5))
check("the springs are the gradient", torch.allclose(
    springs(f_8, z_8.detach(), 1.0, 16.0), -torch.autograd.grad(loss_8, z_8)[0], atol=1e-6))

# %% [markdown]
# ### 3 · Derive
# Show that $\mathcal L_{\text{align}}$ does not change when every latent is moved by the same
# vector or turned by the same rotation. What follows for the axes of the latent?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
moved = z_3 @ torch.linalg.qr(torch.randn(2, 2, generator=generator(seed, "rotation")))[0] + 3.0
check("only distances matter", torch.allclose(
    losses.alignment_loss(f_3, z_3, 1.0, 1.0), losses.alignment_loss(f_3, moved, 1.0, 1.0), atol=1e-5))

# %% [markdown]
# <details><summary>Solution in words</summary>
#
# Eq. 2 uses differences $\mathbf z_j - \mathbf z_i$ and their norms. A common shift cancels in the
# difference, a rotation keeps the norm. Eq. 4 therefore fixes no axis: size may lie along any
# direction, and it is the other terms that decide which.
# </details>

# %% [markdown]
# ### 4 · Break it on purpose
# Forget $P_{ii} = 0$ and keep the diagonal. How many neighbours do the rows of three nodules
# report, and how many of them are other nodules?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
with_self = (-(f_3[:, None] - f_3[None]).square().sum(-1) / 2).softmax(1)
print("perplexity", losses.perplexity(with_self), "share given to itself", with_self.diagonal())

# %% [markdown]
# ## In practice
# - The paper's label for its last row names $\mathcal L_{\text{align}}$ only, its text omits
#   $\mathcal L_{\text{pred}}$ too. `params/ablations/` holds both readings.
# - The authors' features are raw codes beside millimetres (`align_features: raw`). Diameters then
#   make most of each distance, and a lobe coded 6 lies further from 1 than from 5.
# - The additional data of the authors hold NLST patients: whatever images you add, check them
#   against the test split.
# - A batch mixes both visits, so two images of one nodule may be each other's nearest neighbour.
# - An aligned latent carries size in its largest direction, which a standard schedule leaves visible
#   at the last diffusion step (notebook 03).
#
# ## Summary
# - P and Q are softmax rows over squared distances, without the diagonal (Eq. 2-3).
# - Perplexity counts neighbours; a flat latent needs a wide $\sigma_z$, a pooled one does not.
# - Eq. 6 adds image terms (window units), KL, alignment and prediction (nats), each with a weight.
# - Out-of-fold $R^2$ of log diameter measures the order that Figure 2 shows.
# - The latent scale is 1/std over the training set and travels in the VAE's configuration.
#
# ## Further reading
# - Hinton and Roweis,
#   [*Stochastic Neighbor Embedding*](https://papers.nips.cc/paper/2276-stochastic-neighbor-embedding)
#   (2002): Eq. 2-4 with a width for each row.
# - Rombach et al.,
#   [*High-Resolution Image Synthesis with Latent Diffusion Models*](https://arxiv.org/abs/2112.10752)
#   (2022): the VAE, its weights and why the latent scale exists (Appendix D.1).
# - Zhang et al.,
#   [*The Unreasonable Effectiveness of Deep Features*](https://arxiv.org/abs/1801.03924) (2018):
#   LPIPS.
# - Yao et al., [*DDL-CXR*](https://openreview.net/forum?id=uCvdw0IOuU) (2024): the prediction loss in
#   an earlier medical latent diffusion model.

# %%
run.finish(latent_scale=vae.scale, knn_r2=knn.to_dict(), val_loss=float(history["val_loss"].min()),
           weights={"vae": hub.provenance(source, "vae")})
