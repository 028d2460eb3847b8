# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Teach a U-Net what nodules look like
# Before NAMD answers "how will this nodule look in a year?", its U-Net learns an easier thing:
# what nodules look like at all. This notebook trains it, one noisy latent at a time.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Sections 2.1 and 3.3.2, Eq. 1 and 9,
# Appendix B. *Previous:* `02_aligned_vae`. *Next:* `04_conditional_training`.
#
# *Reading:* 15 minutes; the core, sections 1, 2, 6 and 7, takes 7. The rest is optional.
#
# ## What you will do
# Train the unconditional U-Net on the [latents](00_start_here.ipynb#latent) of notebook 02 and draw
# nodules that no patient has. The artefact is `unet_uncond/`, a directory in the Hugging Face
# format, of the [arm](00_start_here.ipynb#arm) (trained variant) that the parameter `arm` names.
#
# ## What you will learn
# - Compute a noisy latent by hand and say what is left of the image at step t.
# - Derive the closed form of the noise, the loss and the sampler's step.
# - Tell the paper's "linear" schedule from a linear one, and say what either lets through at t = T.
# - Convert between the two targets, noise and v, and recover the latent from each.
# - Explain why the null prompt must not be zero and must not be one token.
#
# ## What you need
# Gaussian noise, the mean squared error, convolutions. From notebook 01 the language model, from 02
# this arm's VAE and latents.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 1 min for each arm, two side by side | about 3 h on an A40 (estimate of `namd check`) |
# | memory | 1.4 GB | 20 GB (estimate) |
# | disk | 0.1 GB | 40 GB while it trains, then 7 GB (estimate) |

# %% tags=["parameters"]
run_name: str = "quick"                 # folder below outputs/
arm: str = "namd"                       # which VAE's latents; ablations are other arms
seed: int = 23                          # names every random draw (App. B)
device: str = "auto"                    # auto, cpu or cuda
threads: int = 1                        # torch threads of this process
processes: int = 1                      # processes that share every batch
precision: str = "float32"              # or tf32, bfloat16: faster, not equal
image_size: int = 64                    # pixels of 0.6 mm
window_low: int = -1000                 # HU shown as -1
window_high: int = 400                  # HU shown as +1
llm_path: str = "outputs/reference/models/small-gemma"  # empty: the small one of notebook 01
llm_dtype: str = "float32"              # number format of the language model
text_n_sets: int = 4                    # m of Eq. 7
text_n_tokens: int = 4                  # n of Eq. 7
text_prompt_start: str = "vocabulary"   # or normal: .02 N(0, 1)
unet_path: str = "outputs/reference/models/small-sd"  # empty: a small one, randomly initialised
unet_channels: list = [48, 96]          # App. B: 320, 640, 1280, 1280
unet_layers: int = 1                    # App. B: 2
unet_heads: int = 4                     # App. B: 8
n_timesteps: int = 1000                 # T (App. B)
beta_start: float = 8.5e-4              # beta_1 (App. B)
beta_end: float = 1.2e-2                # beta_T (App. B)
beta_schedule: str = "scaled_linear"    # how beta grows, see section 3
prediction_type: str = "v_prediction"   # Eq. 9 says epsilon, see section 4
zero_terminal_snr: bool = True          # the paper's schedule keeps some signal at T
timestep_spacing: str = "trailing"      # which steps DDIM visits
ddim_steps: int = 5                     # Sec. 3.3.2: 50
uncond_steps: int = 80                 # App. B: 100,000
uncond_batch: int = 16                  # App. B: 16
uncond_lr: float = 5.0e-4               # App. B: 1e-4
uncond_lr_start: float = 1.0e-5         # App. B: 1e-6
uncond_lr_end: float = 5.0e-5           # App. B: 1e-5
uncond_warmup: int = 8                 # App. B: 4,000
ema_decay: float = 0.995                # the paper averages no weights
grad_clip: float = 1.0                  # App. B
save_every: int = 200                   # steps between checkpoints

# %%
import pandas as pd
import torch
from IPython.display import display

from namd.data.cohort import Cohort
from namd.data.leakage.common import before_training
from namd.evaluation.figures import plots, unet_shapes, worked
from namd.evaluation.tables import told_noise, told_training
from namd.ground import seeding
from namd.ground.files import replacing
from namd.ground.paper import PAPER
from namd.models import diffusion, hub, unet
from namd.models.llm import load_llm, null_context
from namd.models.prompts import SoftPrompts
from namd.models.vae import load_latents, load_vae
from namd.study.lesson import drawing, told
from namd.study.notebook import check, show, start
from namd.training import loop, parallel

run = start("03_diffusion_pretraining", globals())
p = run.p

# %%
run.map()

# %% [markdown]
# ## 1 · Work where the image is small
# An image has 64 x 64 = 4,096 pixels. Its latent has 4 x 8 x 8 = 256 numbers, sixteen times fewer,
# and most of the pixel noise is gone: hence "latent" diffusion (Section 2.1). The VAE is frozen from
# here on. Notebook 02 stored the mean and the standard deviation that the encoder gives for each
# image, so you get a latent without running it:
#
# $$\mathbf z = \boldsymbol\mu + \boldsymbol\sigma \odot \boldsymbol\xi, \quad
# \boldsymbol\xi \sim \mathcal N(\mathbf 0, \mathbf I)$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\boldsymbol\mu, \boldsymbol\sigma$ | `mean`, `std` | (2N, A, 4, 8, 8) | scaled latent |
# | $\mathbf z$ | `z` | (B, 4, 8, 8) | as `mean` |
#
# "Unpaired" in Section 3.3.2 means that a baseline and a follow-up are two images like any
# others. We stack both visits: N pairs become 2N items, each with A augmentations.

# %%
folder = run.dir / "latents"
latents = {split: load_latents(run.need(folder / f"{split}.safetensors", made_by="02"))
           for split in ("train", "val")}
mean, std = (torch.cat([latents["train"][f"z{visit}_{name}"] for visit in (1, 2)])
             for name in ("mean", "std"))  # (2N, A, 4, h, w)
n_items, n_aug = mean.shape[:2]
tuple(mean.shape)

# %%
xi = seeding.noise(mean[:, 0].shape, p.seed, "first look")
z_all = mean[:, 0] + std[:, 0] * xi  # (2N, 4, h, w)
spread = z_all.std().item()
check("the latents have about unit spread", 0.7 < spread < 1.4, round(spread, 3))

# %% [markdown]
# The latent scale of notebook 02 brings all latents to unit spread, because the noise below has
# unit variance and the schedule only says *how much* of it is mixed in. Here you see what the U-Net
# sees: four pictures of 8 x 8 instead of one of 64 x 64.

# %%
pairs = Cohort.open(run.need("cohort")).split("val")
x1, x2 = pairs.images(p.image_size, p.window_low, p.window_high)  # (N, 1, S, S)
vae = load_vae(run.need(run.dir / "vae", made_by="02"), p.image_size, p.seed, p.precision)
with torch.no_grad():
    z_real = vae.encode(x2[:8])  # (8, 4, h, w)
    x2_round = vae.decode_scaled(z_real)

# %%
fig = plots.image_grid([x2[:8, 0], x2_round[:, 0], *z_real.transpose(0, 1) / 3],
                         row_titles=["crop", "decoded", *(f"latent {c}" for c in "1234")], synthetic=run.synthetic,
                         title=f"An image becomes {z_real[0].numel()} numbers, and comes back (n = {len(z_real)})")
run.figure(fig, "uncond_latents")
told(told_noise.decoder_error(x2[:8], x2_round, p.window_low, p.window_high))

# %% [markdown]
# **What to see.** The decoded row keeps the nodule's size and place and loses fine texture: no
# sample of this notebook can be sharper than that row. Grey values of the latents run from -3 to
# 3. In some latent channels the nodule shows as a patch in the middle.

# %% [markdown]
# ## 2 · Destroy an image step by step
# The forward process mixes a latent with noise. At step t, the share $\bar\alpha_t$ of the
# variance still belongs to the latent and $1 - \bar\alpha_t$ to the noise (Section 3.3.2):
#
# $$\mathbf z_t = \sqrt{\bar\alpha_t}\, \mathbf z + \sqrt{1 - \bar\alpha_t}\,
# \boldsymbol\epsilon, \quad \boldsymbol\epsilon \sim \mathcal N(\mathbf 0, \mathbf I)$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $t$ | `t` | (B,) | step, 0 ... T - 1 |
# | $\bar\alpha_t$ | `alpha_bar[t]` | (T,) | share of variance |
# | $\boldsymbol\epsilon$ | `eps` | (B, 4, 8, 8) | unit normal |
#
# <details class="derivation"><summary>Derived: one jump does what t steps do</summary>
#
# A single step keeps the share $\alpha_s = 1 - \beta_s$ of the variance and adds fresh noise:
#
# $$\mathbf z_s = \sqrt{\alpha_s}\, \mathbf z_{s-1} + \sqrt{1 - \alpha_s}\, \boldsymbol\epsilon_s.$$
#
# Put two of them together:
#
# $$\mathbf z_2 = \sqrt{\alpha_2 \alpha_1}\, \mathbf z + \underbrace{\sqrt{\alpha_2 (1 - \alpha_1)}\,
# \boldsymbol\epsilon_1 + \sqrt{1 - \alpha_2}\, \boldsymbol\epsilon_2}_{\text{normal, mean } 0}.$$
#
# Variances of independent noises add:
# $\alpha_2 (1 - \alpha_1) + 1 - \alpha_2 = 1 - \alpha_2 \alpha_1$. So two steps are one step with
# $\bar\alpha_2 = \alpha_1 \alpha_2$, and, one after the other, t steps are one with
# $\bar\alpha_t = \prod_{s \le t} \alpha_s$. A variance of 1 stays 1 all the way, because the two
# squared factors sum to 1. Training needs no walk: any t is one line of code.
#
# </details>
#
# Three nodules at three steps, by hand:

# %%
scheduler = diffusion.schedule(p)
alpha_bar = diffusion.alpha_bar(scheduler)  # (T,)
z = z_real[:3]  # (3, 4, h, w), three nodules
eps = seeding.noise(z.shape, p.seed, "by hand")
t = torch.tensor([0, p.n_timesteps // 2, p.n_timesteps - 1])

# %%
signal, noise = (share.sqrt().view(3, 1, 1, 1) for share in (alpha_bar[t], 1 - alpha_bar[t]))
z_t = signal * z + noise * eps  # (3, 4, h, w)
pd.DataFrame({"t": t, "signal": signal.flatten(), "noise": noise.flatten()}).round(3)

# %%
show(diffusion.q_sample)

# %%
check("by hand and module agree", torch.equal(z_t, diffusion.q_sample(z, eps, t, alpha_bar)))
check("the squares of both factors sum to 1", torch.allclose(signal**2 + noise**2, torch.ones(1)))

# %% [markdown]
# The decoder was never shown a noisy latent, but it is good enough to let us watch one fade.

# %%
grid_t = torch.linspace(0, p.n_timesteps - 1, 7).long()
with torch.no_grad():
    fade = [vae.decode_scaled(diffusion.q_sample(z, eps, s.expand(3), alpha_bar))[:, 0] for s in grid_t]
fig = plots.image_grid(list(zip(*fade, strict=True)), [f"t = {s}" for s in grid_t.tolist()],
                         title="The nodule drowns in what the decoder makes of noise (n = 3)", synthetic=run.synthetic)
run.figure(fig, "uncond_forward")
told(told_noise.fading(alpha_bar))

# %% [markdown]
# **What to see.** The nodule is recognisable for the first third of the steps and gone well before
# the end. The decoder draws plausible blobs even from pure noise, so the last column looks like an
# image and says nothing. A network that must undo step 100 mends edges; at step 800 it has to
# guess where a nodule is and how big.

# %% [markdown]
# ## 3 · Read the word "linear" with care
# *Optional.* Appendix B says "a linear noise schedule ranging from $\beta_1 = 8.5 \times 10^{-4}$
# to $\beta_T = 1.2 \times 10^{-2}$". In the code family that the authors build on, the schedule
# called `linear` is linear in the *root* of beta:
#
# $$\beta_t = \Big(\sqrt{\beta_1} + \tfrac{t}{T-1}\big(\sqrt{\beta_T} - \sqrt{\beta_1}\big)\Big)^2,
# \qquad \bar\alpha_t = \prod_{s \le t} (1 - \beta_s)$$
#
# diffusers calls this one `scaled_linear`. Stable Diffusion v1.5 was trained with it, the authors'
# public code runs it, and so do we; `beta_schedule: linear` is the literal reading. By hand:

# %%
T = p.n_timesteps
first, last = torch.tensor([p.beta_start, p.beta_end], dtype=torch.float64)
hand = {"linear": (1 - torch.linspace(first, last, T)).cumprod(0),
        "scaled_linear": (1 - torch.linspace(first.sqrt(), last.sqrt(), T) ** 2).cumprod(0)}

# %% [markdown]
# Neither reaches zero. At t = T an amplitude of $\sqrt{\bar\alpha_T}$ survives, and the U-Net learns
# to use it; but sampling starts from pure noise, where nothing survives. It matters here because an
# aligned latent has a direction of large spread along which the diameter lies: with three times the
# spread, three times as much comes through.
#
# The remedy of [Lin et al. (2024)](https://arxiv.org/abs/2305.08891), *zero terminal SNR* (the ratio
# of signal to noise at the end is zero), shifts and stretches the roots: the last one becomes 0, the
# first stays. The quick profile uses it; the paper's profile does not.

# %%
root = hand["scaled_linear"].sqrt()
hand["scaled_linear, zero SNR"] = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
leak = {name: values[[T // 2, -1]].sqrt().tolist() for name, values in hand.items()}
run.table(pd.DataFrame(leak, index=[f"t = {T // 2}", f"t = {T - 1}"]).T.round(4), "schedules")

# %%
chosen = p.beta_schedule + (", zero SNR" if p.zero_terminal_snr else "")
if chosen in hand:
    gap = (hand[chosen] - alpha_bar.double()).abs().max().item()
    check(f"the module's schedule is our {chosen}", gap < 1e-5, f"{gap:.1e}")

# %%
run.figure(worked.schedules(hand), "uncond_schedule")
told(told_noise.leaks(hand))

# %% [markdown]
# **What to see.** Left: `linear` destroys the image earlier than `scaled_linear`, so the two spend
# their training on different tasks. Right: on a log axis the two end at a few hundredths of the
# amplitude, and only the rescaled one drops to nothing.

# %% [markdown]
# ## 4 · Choose what the network should say
# *Optional.* Eq. 1 and Eq. 9 ask the network for the noise:
#
# $$\mathcal L(\theta) = \mathbb E_{\boldsymbol\epsilon, t, x_t} \big[ \boldsymbol\epsilon -
# \boldsymbol\epsilon_\theta(x_t, t) \big]^2 \qquad (1)$$
#
# <details class="derivation"><summary>Derived: guessing noise maximises a likelihood</summary>
#
# We want a model $p_\theta(\mathbf z_{t-1} \mid \mathbf z_t)$ of the way back that makes the data
# likely. As for any latent variable model,
#
# $$-\log p_\theta(\mathbf z) \;\le\; \sum_{t > 1} \mathbb E\, D_{\text{KL}}\big(
# q(\mathbf z_{t-1} \mid \mathbf z_t, \mathbf z) \,\Vert\, p_\theta(\mathbf z_{t-1} \mid \mathbf z_t)
# \big) + \dots$$
#
# where the dots are the two ends of the walk. Given $\mathbf z$, the way back is normal, with a
# variance $\tilde\beta_t$ that the schedule fixes and the mean
#
# $$\tilde{\boldsymbol\mu}_t = \frac{1}{\sqrt{\alpha_t}} \Big( \mathbf z_t -
# \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\, \boldsymbol\epsilon \Big)$$
#
# (multiply the densities of step t and of the jump to t - 1, complete the square, and put
# $\mathbf z = (\mathbf z_t - \sqrt{1 - \bar\alpha_t}\, \boldsymbol\epsilon) / \sqrt{\bar\alpha_t}$).
# Everything in it is known but $\boldsymbol\epsilon$. So let the model have the same form with its
# guess $\boldsymbol\epsilon_\theta$ and the same variance. The KL divergence of two normal
# distributions of equal variance is the squared distance of their means over twice the variance:
#
# $$D_{\text{KL}} = \frac{\beta_t^2}{2 \tilde\beta_t \alpha_t (1 - \bar\alpha_t)}\,
# \lVert \boldsymbol\epsilon - \boldsymbol\epsilon_\theta(\mathbf z_t, t) \rVert^2.$$
#
# Eq. 1 leaves the factor out and weighs all steps alike (Ho et al., Section 3.4): still such a sum,
# with other weights, and better pictures. A mean squared error is smallest at the conditional mean,
# so the best answer is $\mathbb E[\boldsymbol\epsilon \mid \mathbf z_t] = -\sqrt{1 - \bar\alpha_t}\,
# \nabla \log q(\mathbf z_t)$. The network learns the *score*, the direction in which noisy latents
# become more likely.
#
# </details>
#
# Two other answers hold the same information: the clean latent, or a mixture called *v*:
#
# $$\mathbf v = \sqrt{\bar\alpha_t}\, \boldsymbol\epsilon - \sqrt{1 - \bar\alpha_t}\, \mathbf z$$
#
# For small t, v is the noise; for large t, it is minus the latent. The network is always asked
# for the part it cannot see. At $\bar\alpha_T = 0$ the noise *is* the input, so predicting it
# teaches nothing, and only v still asks for something: this is why the quick profile changes both.

# %%
v = signal * eps - noise * z  # (3, 4, h, w)
wanted = {"epsilon": eps, "v_prediction": v}[p.prediction_type]
show(diffusion.target)

# %% [markdown]
# A prediction is useful because it gives back the latent. From v this takes no division:
#
# $$\hat{\mathbf z} = \sqrt{\bar\alpha_t}\, \mathbf z_t - \sqrt{1 - \bar\alpha_t}\, \mathbf v,
# \qquad \hat{\boldsymbol\epsilon} = \sqrt{\bar\alpha_t}\, \mathbf v +
# \sqrt{1 - \bar\alpha_t}\, \mathbf z_t$$
#
# <details class="derivation"><summary>Derived: v is a quarter turn of z_t</summary>
#
# The squares of both factors sum to 1, so there is an angle with
# $\cos\varphi = \sqrt{\bar\alpha_t}$ and $\sin\varphi = \sqrt{1 - \bar\alpha_t}$:
#
# $$\begin{pmatrix} \mathbf z_t \\ \mathbf v \end{pmatrix} = \begin{pmatrix} \cos\varphi & \sin\varphi
# \\ -\sin\varphi & \cos\varphi \end{pmatrix} \begin{pmatrix} \mathbf z \\ \boldsymbol\epsilon
# \end{pmatrix}.$$
#
# This is a rotation, and $\mathbf v = d\mathbf z_t / d\varphi$: the direction in which the latent
# moves as noise is added. A rotation is undone by its transpose, which is the pair of lines above. It
# keeps lengths, so an error of v never grows on its way to $\hat{\mathbf z}$; exercise 3 compares.
#
# </details>

# %%
z_back, eps_back = signal * z_t - noise * v, signal * v + noise * z_t
check("by hand and module agree", torch.allclose(wanted, diffusion.target(z, eps, t, scheduler)))
check("v gives back the latent", torch.allclose(z_back, z, atol=1e-5))
check("v gives back the noise", torch.allclose(eps_back, eps, atol=1e-5))
show(diffusion.clean_and_noise)

# %% [markdown]
# How good is a loss of 0.5? The yardstick is a model that knows only the spread, and takes the
# latents for independent standard normal numbers. Its best guess of the noise has a mean squared
# error of $\bar\alpha_t$; its best guess of v is 0, with an error of 1. What a U-Net gains below
# that line is what it knows about *nodules*.

# %%
yardstick = alpha_bar.mean().item() if p.prediction_type == "epsilon" else 1.0

# %% [markdown]
# ## 5 · Make a way in for the record, and leave it empty
# *Optional.* In notebook 04 the record reaches the U-Net through cross-attention: each place of the
# latent asks (queries), the tokens of the context answer (keys and values). Stable Diffusion's keys
# and values read vectors of 768 numbers, the paper's language model gives vectors of 2,560
# (Appendix B). The old projections do not fit, so we replace them, explicitly and with a seed. The
# small U-Net that `unet_path` names has Stable Diffusion's 768 too and takes the same way. It was
# trained on single images of other phantoms, without any condition; Eq. 9 teaches it *this* arm's
# latents. If it or the language model has seen a validation or test patient, the arm ends here.

# %%
display(before_training(Cohort.open(run.need("cohort")), unet_path=p.unet_path, llm_path=p.llm_path))
key = run.part_key(["namd.models.unet"], [])
source = p.unet_path or unet.build_unet(run.dir / "unet_start", p, key)
net = unet.load_unet(source, p.precision)
old_width = net.config.cross_attention_dim
lm, tokenizer = load_llm(p.llm_path or run.need("llm"), p.llm_dtype)
new_tensors = unet.widen_context(net, lm.config.hidden_size, p.seed)

# %%
n_new = sum(net.get_parameter(name).numel() for name in new_tensors)
n_all = sum(value.numel() for value in net.parameters())
print(f"{len(new_tensors)} new tensors, {n_new:,} of {n_all:,} parameters:", *new_tensors, sep="\n")

# %%
show(unet.widen_context)

# %% [markdown]
# (diffusers has an option to ignore mismatched sizes. It leaves the new tensors uninitialised.)
#
# What does "no record" look like? Eq. 9 writes a null prompt, $\varnothing$, and does not say what it
# is. A zero vector is tempting and wrong: the projections have no bias, so keys and values of zero
# input are zero and *their weights get no gradient*. One token is not enough either: a softmax
# over one token is 1 whatever the key says. We take the empty report, a report without a word,
# through the same language model, behind the m untrained prompt sets of Eq. 7 (notebook 04), which
# gives m tokens of the right kind.

# %%
prompts = SoftPrompts.begin(lm.to(run.device), p.text_n_sets, p.text_n_tokens, p.seed, p.text_prompt_start)
with torch.no_grad():
    null = null_context(lm, tokenizer, prompts).cpu()  # (1, m, D)
del lm
null.shape, null.square().mean().sqrt()

# %%
drawing(unet_shapes.draw(net, null))

# %% [markdown]
# Follow the maps from the left. On the way down they get smaller and deeper: fewer places, more
# numbers at each. At the bottom every place sees the whole latent; on the way up the maps that are
# copied across bring the detail back. The network is told the step t at every level, because how
# much of the input is noise decides what to do with it.

# %%
def taught(ctx):
    """Share of the keys and of the values of the cross-attentions that `ctx` gives a gradient."""
    net.zero_grad()
    net(z_t, t, ctx.expand(3, -1, -1)).sample.square().mean().backward()
    parts = {"to_k": [], "to_v": []}
    for name in new_tensors:
        parts[name.split(".")[-2]].append(bool(net.get_parameter(name).grad.abs().max() > 1e-9))
    return {part: sum(learns) / len(learns) for part, learns in parts.items()}

# %%
grads = pd.DataFrame({"zeros, m tokens": taught(0 * null), "empty report, 1 token": taught(null[:, :1]),
                      "empty report, m tokens": taught(null)}).T
check("zeros teach neither keys nor values", grads.loc["zeros, m tokens"].sum() == 0)
check("our null prompt teaches both", (grads.loc["empty report, m tokens"] == 1).all())
grads

# %% [markdown]
# ## 6 · Minimise Eq. 9
# Everything is in place. Draw a latent, a step and a noise, mix them, ask the network, and compare
# its answer with the truth:
#
# $$\mathcal L_{\text{uncond}} = \mathbb E_{\mathbf z, \boldsymbol\epsilon, t} \big[\,
# \lVert \boldsymbol\epsilon - \boldsymbol\epsilon_\theta(\mathbf z_t, t, \varnothing)
# \rVert^2 \,\big] \qquad (9)$$
#
# We average the squares over the numbers of a latent instead of summing them: the same minimum,
# and a loss that does not depend on the latent's size.

# %%
net, null = net.to(run.device).train(), null.to(run.device)


def noisy_loss(z, eps, t):
    """Eq. 9 for one batch: () float."""
    z_t = diffusion.q_sample(z, eps, t, alpha_bar).to(run.device)
    aim = diffusion.target(z, eps, t, scheduler).to(run.device)
    eps_hat = net(z_t, t.to(run.device), null.expand(len(z), -1, -1)).sample
    return (aim - eps_hat).square().mean()

# %% [markdown]
# The module's loop hands us the items of a step and a random generator of this step alone. All random
# numbers come from it, so a run that is killed and resumed ends in the same weights. Where several
# `processes` train together, each draws the whole batch and keeps its share; the loop averages the
# gradients.

# %%
def step(idx, g, step_no):
    k = torch.randint(n_aug, idx.shape, generator=g)
    z = mean[idx, k] + std[idx, k] * torch.randn(mean[idx, k].shape, generator=g)
    eps = torch.randn(z.shape, generator=g)
    t = torch.randint(p.n_timesteps, idx.shape, generator=g)
    return {"loss": noisy_loss(*parallel.mine(z, eps, t))}

# %% [markdown]
# The validation loss must not jump because other steps were drawn. It uses up to 256 unaugmented
# latents, drawn once, the same noise every time, and steps spread evenly over 0 ... T - 1.

# %%
mu_val, sd_val = (torch.cat([latents["val"][f"z{visit}_{name}"][:, 0] for visit in (1, 2)])
                  for name in ("mean", "std"))
z_val = (mu_val + sd_val * seeding.noise(mu_val.shape, p.seed, "uncond", "z_val"))[:256]
eps_val = seeding.noise(z_val.shape, p.seed, "uncond", "val")
t_val = torch.arange(len(z_val)) * p.n_timesteps // len(z_val)


@torch.no_grad()
def validate():
    parts = zip(z_val.split(64), eps_val.split(64), t_val.split(64), strict=True)
    return sum(noisy_loss(*part).item() * len(part[0]) for part in parts) / len(z_val)

# %% [markdown]
# The learning rate follows Appendix B: a linear warm-up over 4,000 steps, then a cosine down to a
# tenth. With `ema_decay` above 0 a running average of the weights is validated and kept; the paper
# averages none, the quick run does.

# %% tags=["training"]
lr = loop.warmup_cosine(p.uncond_lr, p.uncond_lr_start, p.uncond_lr_end, p.uncond_warmup, p.uncond_steps)
history = loop.fit(step, net, n_steps=p.uncond_steps, n_items=n_items, batch_size=p.uncond_batch,
                   lr=lr, stage="uncond", seed=p.seed, folder=run.dir / "checkpoints" / "uncond",
                   key=run.training_key(), validate=validate, ema_decay=p.ema_decay, grad_clip=p.grad_clip,
                   save_every=p.save_every)

# %%
run.table(history, "train_uncond")
fig = plots.training_curves(history, ["loss", "val_loss", "lr"], synthetic=run.synthetic,
                              title=f"Eq. 9, arm {run.arm}: {told_training.course(history)}")
for ax in fig.axes[:2]:
    ax.axhline(yardstick, color="0.4", ls="--", lw=1)
run.figure(fig, "uncond_loss")

# %% [markdown]
# **What to see.** The dashed line is the yardstick of section 4. The training loss is noisy because
# every step draws other values of t; the validation loss is smooth because it does not. When you
# train longer, watch for a middle panel that turns upward while the left one still falls: from
# there on the network memorises. The loop keeps the weights of the lowest point; Appendix B selects
# "later checkpoints right before overfitting", here and in the next stage, and gives no rule for
# them.

# %%
val_loss = validate()
told(told_noise.below_yardstick(history, val_loss, yardstick))
check("the loss is finite", 0 < val_loss < 10, round(val_loss, 3))
if p.uncond_steps >= 50:
    check("the U-Net knows more than the spread", val_loss < yardstick, round(val_loss, 3))

# %% [markdown]
# ## 7 · Walk back from noise
# DDIM ([Song et al., 2021](https://arxiv.org/abs/2010.02502)) turns the trained network into a
# sampler without any new noise. At each step it asks the network, recovers $\hat{\mathbf z}$ and
# $\hat{\boldsymbol\epsilon}$, and mixes them again at a *lower* noise level $t' < t$:
#
# $$\mathbf z_{t'} = \sqrt{\bar\alpha_{t'}}\, \hat{\mathbf z} +
# \sqrt{1 - \bar\alpha_{t'}}\, \hat{\boldsymbol\epsilon}$$
#
# <details class="derivation"><summary>Derived: where DDIM's step comes from</summary>
#
# The loss of Eq. 9 knows only the jump from $\mathbf z$ to $\mathbf z_t$. So every walk with the same
# jumps may use the same network, and Song et al. choose one:
#
# $$q(\mathbf z_{t'} \mid \mathbf z_t, \mathbf z) = \mathcal N\big( \sqrt{\bar\alpha_{t'}}\, \mathbf z
# + \sqrt{1 - \bar\alpha_{t'} - \sigma^2}\, \boldsymbol\epsilon,\; \sigma^2 \mathbf I \big), \qquad
# \boldsymbol\epsilon = \frac{\mathbf z_t - \sqrt{\bar\alpha_t}\, \mathbf z}{\sqrt{1 -
# \bar\alpha_t}}.$$
#
# Does it have the right jump to $t'$? Given $\mathbf z$, $\boldsymbol\epsilon$ is standard normal, so
# $\mathbf z_{t'}$ has mean $\sqrt{\bar\alpha_{t'}}\, \mathbf z$ and variance
# $(1 - \bar\alpha_{t'} - \sigma^2) + \sigma^2 = 1 - \bar\alpha_{t'}$. It does, for every $\sigma$
# that leaves a root to take, and for any $t' < t$: steps may be skipped. Put the network's
# $\hat{\mathbf z}$ and $\hat{\boldsymbol\epsilon}$ in; $\sigma = 0$ is the step above. With
#
# $$\sigma^2 = \eta^2\, \frac{1 - \bar\alpha_{t'}}{1 - \bar\alpha_t}
# \Big( 1 - \frac{\bar\alpha_t}{\bar\alpha_{t'}} \Big)$$
#
# and $\eta = 1$ it is the noisy step of DDPM. Exercise 2 builds both.
#
# </details>
#
# The starting noise decides everything: the same noise always gives the same nodule. All the
# variance that notebook 06 studies enters here.

# %%
net.eval()


def model(z_t, t):
    """The U-Net with its null prompt, as DDIM wants it."""
    return net(z_t, t, null.expand(len(z_t), -1, -1)).sample

# %% [markdown]
# Two steps by hand, with three latents. The list of steps comes from the scheduler; after the last
# one the walk ends at $\bar\alpha_0$, not at 1, as in the code that the authors build on.

# %%
z_start = seeding.noise(z.shape, p.seed, "two steps").to(run.device)
t_high, t_low = diffusion.ddim_timesteps(scheduler, 2)
z_hand = z_start
with torch.no_grad():
    for now, then in ((t_high, t_low), (t_low, 0)):
        said = model(z_hand, torch.full((3,), now, device=run.device))
        z_hat, eps_hat = diffusion.clean_and_noise(z_hand, said, alpha_bar[now], p.prediction_type)
        z_hand = alpha_bar[then].sqrt() * z_hat + (1 - alpha_bar[then]).sqrt() * eps_hat
t_high, t_low

# %%
show(diffusion.ddim_sample)

# %%
z_two = diffusion.ddim_sample(model, z_start, scheduler, 2)
check("two steps by hand and module agree", torch.allclose(z_hand, z_two, atol=1e-4))

# %% [markdown]
# Now with all steps, and enough latents to count: 256 of them, of which we look at 16.

# %%
starts = [seeding.noise((64, *z.shape[1:]), p.seed, "sample", i).to(run.device) for i in range(4)]
z_new = torch.cat([diffusion.ddim_sample(model, z_T, scheduler, p.ddim_steps) for z_T in starts]).cpu()  # (256, ...)
with torch.no_grad():
    x_new = vae.decode_scaled(z_new[:16])

# %%
fig = plots.image_grid([x2[:8, 0], x2_round[:, 0], x_new[:8, 0], x_new[8:, 0]],
                         row_titles=["real", "decoded", "sampled", "sampled"], synthetic=run.synthetic,
                         title=f"Nodules that no patient has (16 samples, {p.uncond_steps} training steps)")
run.figure(fig, "uncond_samples")
told(told_noise.with_a_nodule(x_new, x2_round, p.window_low, p.window_high))

# %% [markdown]
# **What to see.** Compare the two lower rows with the second, not with the first: blur that the
# decoder adds is not the sampler's fault. Does each noise give a nodule of its own? Judge by eye
# first; the numbers below answer.

# %% [markdown]
# A picture convinces too easily. Mean and spread per channel are the simplest numbers that can
# contradict it: sampled and real latents should agree in both. A third number looks for copies: two
# samples should lie about as far apart as two real latents.

# %%
moments = pd.DataFrame({
    "real mean": z_all.mean((0, 2, 3)), "sampled mean": z_new.mean((0, 2, 3)),
    "real sd": z_all.std((0, 2, 3)), "sampled sd": z_new.std((0, 2, 3)),
}, index=[f"channel {c + 1}" for c in range(z_new.shape[1])]).round(3)
run.table(moments, "uncond_moments")

# %%
ratio = (z_new.std() / z_all.std()).item()
apart = (torch.pdist(z_new.flatten(1)).mean() / torch.pdist(z_all[:len(z_new)].flatten(1)).mean()).item()
told(told_noise.variety(ratio, apart))
check("every sampled latent is finite", z_new.isfinite().all())
if p.uncond_steps >= 200:
    check("sampled latents have about the spread of real ones", 0.7 < ratio < 1.3, round(ratio, 3))
    check("two of them lie about as far apart as two real ones", 0.7 < apart < 1.3, round(apart, 3))
with replacing(run.dir / "unet_uncond") as aside:
    net.save_pretrained(aside)
run.made("unet_uncond", "unet_start")

# %% [markdown]
# A ratio somewhat below 1 is usual: a network that has trained for a short time averages what it
# cannot tell apart. Fréchet distances between clouds of images come in notebook 05, where the
# [judge](00_start_here.ipynb#judge) (the classifier that reads malignancy) supplies the features.

# %% [markdown]
# ## Paper and this run
# The paper reports no number for this stage, so the panel compares settings, not results.

# %%
paper = PAPER["training"]
run.panel([
    dict(quantity="optimiser steps", paper=f"{paper['uncond_steps']:,}", here=f"{p.uncond_steps:,}"),
    dict(quantity="latents per step", paper=paper["uncond_batch"], here=p.uncond_batch),
    dict(quantity="U-Net parameters", paper="SD1.5's", here=f"{n_all / 1e6:.1f} M"),
    dict(quantity="prediction target", paper="epsilon (Eq. 9)", here=p.prediction_type),
    dict(quantity="validation loss", paper="-", here=f"{val_loss:.3f}", n=len(z_val)),
    dict(quantity="sd of samples / sd of latents", paper="-", here=f"{ratio:.3f}", n=len(z_new), k=1),
])

# %% [markdown]
# ## Exercises
# ### 1 · Predict
# With `prediction_type: epsilon` the yardstick is the average of $\bar\alpha_t$. Before you read on:
# at which steps is the noise easy to predict, and what does averaging over t hide?

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# At large t the input is almost all noise: repeating it scores near 0. The average is low before
# anything is learned; what the network knows of nodules hides in small differences at small t.
#
# </details>

# %% [markdown]
# ### 2 · Implement
# Write DDIM's step with noise, `my_step(z_t, said, t, t_next, eta, fresh)`, from the derivation in
# Section 7. You may use `diffusion.clean_and_noise`. Take two steps from `z_start` with eta = 1 and
# two draws `fresh`, and compare with
# `diffusion.ddim_sample(model, z_start, scheduler, 2, 1.0, fresh.__getitem__)`:
#
#     check("my step is the module's", torch.allclose(mine, theirs, atol=1e-4))
#
# <details class="hint"><summary>Hint</summary>
#
# The walk by hand in Section 7 is your frame: the same loop, with `my_step` inside. Rounding may
# leave a tiny negative number under the root: `.clamp(min=0)`.
#
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
def my_step(z_t, said, t, t_next, eta, fresh):
    a, b = alpha_bar[t], alpha_bar[t_next]
    z_hat, eps_hat = diffusion.clean_and_noise(z_t, said, a, p.prediction_type)
    variance = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
    return b.sqrt() * z_hat + (1 - b - variance).clamp(min=0).sqrt() * eps_hat + variance.sqrt() * fresh


fresh, mine = [seeding.noise(z.shape, p.seed, "fresh", i).to(run.device) for i in range(2)], z_start
with torch.no_grad():
    for i, (now, then) in enumerate(((t_high, t_low), (t_low, 0))):
        said = model(mine, torch.full((3,), now, device=run.device))
        mine = my_step(mine, said, now, then, 1.0, fresh[i])
theirs = diffusion.ddim_sample(model, z_start, scheduler, 2, 1.0, fresh.__getitem__)
check("my step is the module's", torch.allclose(mine, theirs, atol=1e-4))

# %% [markdown]
# ### 3 · Derive
# Show that an error of the noise prediction reaches $\hat{\mathbf z}$ multiplied by
# $\sqrt{1 - \bar\alpha_t} / \sqrt{\bar\alpha_t}$, an error of v only by $\sqrt{1 - \bar\alpha_t}$.
# Check it at the middle step with an error of 0.1.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
a = alpha_bar[T // 2]
z_mid = a.sqrt() * z + (1 - a).sqrt() * eps
v_mid = a.sqrt() * eps - (1 - a).sqrt() * z
grown = {kind: (diffusion.clean_and_noise(z_mid, right + 0.1, a, kind)[0] - z).abs().mean().item() / 0.1
         for kind, right in (("epsilon", eps), ("v_prediction", v_mid))}
check("noise errors grow by the ratio of roots", abs(grown["epsilon"] - (1 / a - 1).sqrt()) < 0.01)
check("v errors never grow", abs(grown["v_prediction"] - (1 - a).sqrt()) < 0.01)

# %% [markdown]
# ### 4 · Break it
# Decode the samples without undoing the latent scale, `vae.decode(z_new[:8])`, and draw them with
# `plots.image_grid`. What do you expect when the scale is below 1, and when it is above? Why does no
# check of this notebook notice?

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# With a scale above 1 the decoder gets latents that are too large and exaggerates contrast; below 1
# it gets small ones and draws a pale, average nodule. Our checks look at scaled latents, where
# nothing is wrong; only an image can show an error made after the last latent.
#
# </details>

# %% [markdown]
# ### 5 · Extend
# How many DDIM steps are enough? Sample eight latents with 2, 5, 10 and 20 steps from the same
# noise and measure their distance from the walk with 40.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
z_start = seeding.noise((8, *z.shape[1:]), p.seed, "how many steps").to(run.device)
far = diffusion.ddim_sample(model, z_start, scheduler, 40)
near = {n: diffusion.ddim_sample(model, z_start, scheduler, n) for n in (2, 5, 10, 20)}
{n: round((z_n - far).square().mean().sqrt().item(), 3) for n, z_n in near.items()}

# %% [markdown]
# ## In practice
# - **Starting from Stable Diffusion 1.5 (SD1.5).** `unet_path` names a model of the Hugging Face hub
#   or a directory. Without a network, copy the model's `unet/` folder next to your data and point
#   `unet_path` at it.
# - **Null prompt.** The authors' code uses Stable Diffusion's text encoder for this stage and draws
#   new projections for the next. We replace them now, so that what they learn here is kept.
# - **Where the quick profile departs from the paper.** v instead of epsilon, zero terminal SNR,
#   averaged weights, another learning rate. The paper's settings: `--params params/paper.yaml`.

# %% [markdown]
# ## Summary
# - A noisy latent is a mixture whose squared weights sum to 1: t single steps are one jump.
# - Guessing the noise maximises a bound of the likelihood; the best guess is the score.
# - The paper's "linear" is linear in the root of beta; both keep some amplitude at t = T.
# - Noise and v hold the same information, but only v is defined where no signal is left.
# - A zero or one-token null prompt leaves new projections untrained; ours reaches all of them.
# - DDIM asks, recovers and mixes again; the starting noise is its only source of chance.
#
# ## Further reading
# - Ho, Jain, Abbeel (2020),
#   [*Denoising diffusion probabilistic models*](https://arxiv.org/abs/2006.11239): Eq. 1.
# - Song, Meng, Ermon (2021),
#   [*Denoising diffusion implicit models*](https://arxiv.org/abs/2010.02502): the sampler.
# - Rombach et al. (2022), [*Latent diffusion models*](https://arxiv.org/abs/2112.10752).
# - Salimans and Ho (2022), [*Progressive distillation*](https://arxiv.org/abs/2202.00512): where v
#   comes from.
# - Lin et al. (2024), [*Common diffusion noise schedules are
#   flawed*](https://arxiv.org/abs/2305.08891): section 3.

# %%
run.finish(val_loss=val_loss, yardstick=yardstick, spread_ratio=ratio, apart=apart, parameters=n_all,
           context_width=[old_width, null.shape[-1]], new_tensors=new_tensors,
           weights={"unet": hub.provenance(source, "unet"), "llm": hub.provenance(p.llm_path or run.need("llm"))})
