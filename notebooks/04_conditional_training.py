# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Let the record steer the follow-up
# The U-Net of notebook 03 draws any nodule. Here it learns to draw *this* nodule at the next screen,
# from the baseline image and from a radiology report that a frozen language model has read.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Sections 3.3.1 and 3.3.2, Eq. 7, 8 and 10,
# Appendices B and C, Figures 1 and 4. *Previous:* `03_diffusion_pretraining`. *Next:*
# `05_evaluation`.
#
# *Reading:* 14 minutes; the core, sections 1, 2, 5, 6 and 7, takes 8. The rest is optional.
#
# ## What you will do
# Train soft prompts and the conditional U-Net together and draw follow-ups for six validation
# patients. The artefact is `namd/`, which notebook 05 opens; the parameter `arm` names the
# [arm](00_start_here.ipynb#arm), the trained variant, that it belongs to.
#
# ## What you will learn
# - Trace a record from table row to report, to tokens, to the context C of Eq. 8.
# - Say which weights learn in Eq. 10 and show that the language model is not among them.
# - Explain why one prompt set is too few and why the order of the sets means nothing.
# - Widen a trained convolution from 4 to 8 channels without changing a single output.
# - Test whether a generator listens to its inputs: swap the record, repeat the seed.
# - Say what a null prompt is, and steer a drawing with it.
#
# ## What you need
# Attention, embeddings, the loss of notebook 03. From notebook 01 the cohort and the language
# model, from 02 this arm's VAE and latents, from 03 its U-Net.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 4 min for each arm, two side by side | about 9 h on an A40 (estimate of `namd check`) |
# | memory | 1.5 GB | 41 GB, less with `llm_dtype: bfloat16` (estimate) |
# | disk | 0.2 GB | 40 GB while it trains, then 7 GB (estimate) |

# %% tags=["parameters"]
run_name: str = "quick"                 # folder below outputs/
arm: str = "namd"                       # whose VAE and U-Net; ablations are other arms
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
text_report: str = "record"             # none: the empty report; numbers: no language model (ablations)
text_n_sets: int = 4                    # m of Eq. 7
text_n_tokens: int = 4                  # n of Eq. 7
text_standardise: bool = True           # C to unit spread; the paper feeds it raw
text_prompt_start: str = "vocabulary"   # random words, or normal: .02 N(0, 1)
text_prompt_lr: float = 1.0e-2          # learning rate of the prompts
text_prompt_steps: int = 40             # steps in which the prompts learn; -1: all (Eq. 10)
n_timesteps: int = 1000                 # T (App. B)
beta_start: float = 8.5e-4              # beta_1 (App. B)
beta_end: float = 1.2e-2                # beta_T (App. B)
beta_schedule: str = "scaled_linear"    # as in notebook 03
prediction_type: str = "v_prediction"   # Eq. 10 says epsilon
zero_terminal_snr: bool = True          # as in notebook 03
timestep_spacing: str = "trailing"      # which steps DDIM visits
ddim_steps: int = 5                     # Sec. 3.3.2: 50
cond_steps: int = 640                   # App. B: 60 epochs
cond_batch: int = 32                    # App. B: 8
cond_lr: float = 1.0e-3                 # App. B: 2e-5
cond_lr_schedule: str = "one_cycle"     # App. B: constant
ema_decay: float = 0.995                # the paper averages no weights
grad_clip: float = 1.0                  # App. B
save_every: int = 200                   # steps between checkpoints
eval_batch: int = 64                    # images per sampling batch; changes memory only

# %%
import pandas as pd
import torch

from namd.data.cohort import Cohort
from namd.data.images import MM_PER_PX
from namd.data.report import EHR, report_texts
from namd.evaluation.figures import plots, prompt_path
from namd.evaluation.tables import told_record, told_training
from namd.forecasters.namd import NAMD
from namd.ground import seeding
from namd.ground.files import replacing
from namd.ground.paper import PAPER
from namd.models import diffusion, hub, unet
from namd.models.context import ContextBank, RecordBank
from namd.models.llm import eos_states, load_llm, null_context, probe_score
from namd.models.pipeline import NAMDPipeline
from namd.models.prompts import SoftPrompts, encode
from namd.models.record_numbers import RecordContext
from namd.models.vae import load_latents, load_vae
from namd.study.lesson import drawing, told
from namd.study.notebook import check, show, start
from namd.training import loop, parallel

run = start("04_conditional_training", globals())
p = run.p

# %%
run.map()

# %% [markdown]
# ## 1 · Turn a record into tokens
# The [record](00_start_here.ipynb#record) e has 13 columns (Table 2): five describe the nodule, eight
# the patient. A language model reads words, not columns. So the record becomes the report of Figure
# 4, and the report becomes tokens, the pieces of words that the model knows. Three validation
# patients:

# %%
cohort = Cohort.open(run.need("cohort"))
train, val = cohort.split("train"), cohort.split("val")
reports = {name: report_texts(part.ehr, p.text_report) for name, part in (("train", train), ("val", val))}
val.ehr.head(3).T.loc[EHR]

# %%
three = report_texts(val.ehr.head(3))
print(*three, sep="\n\n")

# %% [markdown]
# Read the first report against the first column of the table. The perpendicular diameter is gone,
# and five relatives have become one phrase: the report of Figure 4 says less than the record. What
# is missing in the record is called unknown in the report; nothing is guessed.

# %%
lm, tokenizer = load_llm(p.llm_path or run.need("llm"), p.llm_dtype)
lm = lm.to(run.device)
words = tokenizer.tokenize(three[0])
print(len(words), "tokens:", " · ".join(words))

# %%
lost = sum(tokenizer.unk_token_id in tokenizer(text).input_ids for text in reports["val"])
check("no report of the validation split has an unknown word", lost == 0, lost)
shown = tokenizer.tokenize("27 mm")
check("digits are read one by one", [w.strip("▁") for w in shown if w != "▁"] == ["2", "7", "mm"], shown)

# %% [markdown]
# [Gemma](https://arxiv.org/abs/2503.19786), the family that MedGemma belongs to, also reads digit by
# digit: no number is a word of its own, and 27 shares its first digit with 28. The model has to work
# out that they are close.

# %% [markdown]
# ## 2 · Speak to a frozen model
# The language model stays as it is. What learns is a handful of vectors in front of the report,
# the *soft prompts*, as if we added words that no dictionary has:
#
# $$\mathbf c_j = [\mathbf s_{j,1}, \dots, \mathbf s_{j,n}, \mathrm{emb}(\mathbf e),
# \langle \mathrm{EOS} \rangle], \quad j \in \{1, \dots, m\} \qquad (7)$$
#
# $$\mathbf h_j = \mathrm{LLM}(\mathbf c_j)_{\langle \mathrm{EOS} \rangle}, \qquad
# \mathbf C = [\mathbf h_1, \dots, \mathbf h_m] \qquad (8)$$
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\mathbf s_{j,k}$ | `prompts.vectors()` | (m, n, D) | as a scaled embedding |
# | $\mathrm{emb}(\mathbf e)$ | `emb` | (L, D) | scaled embedding |
# | $\mathbf C$ | `ctx` | (B, m, D) | last hidden state |
#
# Attention is causal: a token sees what stands before it. Only $\langle$EOS$\rangle$, the token for
# "end of sequence", sees prompt and report, so its state is the one we keep. Gemma multiplies its
# embeddings by $\sqrt D$ inside the embedding layer. A prompt that comes from outside skips this step
# and has to have the right length already, so we start it at the scaled embeddings of random words.
# The authors start at 0.02 times normal numbers and put the prompts behind `<bos>`, the token for
# the beginning; `text_prompt_start: normal` takes their numbers, in our place.

# %%
prompts = SoftPrompts.begin(lm, p.text_n_sets, p.text_n_tokens, p.seed, p.text_prompt_start)
ids = torch.tensor([tokenizer.bos_token_id, *tokenizer(three[0], add_special_tokens=False).input_ids,
                    tokenizer.convert_tokens_to_ids("<eos>")], device=lm.device)  # (L,)
emb = lm.embed_tokens(ids)  # (L, D)
length = {"a word": emb.norm(dim=1).mean().item(),
          "a prompt": prompts.vectors().norm(dim=-1).mean().item(),
          "a word, unscaled": lm.embed_tokens.weight[ids].norm(dim=1).mean().item()}
{name: round(value, 2) for name, value in length.items()}

# %% [markdown]
# Now Eq. 7 by hand, for one patient and one prompt set: put the vectors in a row, run the model,
# take the last state.

# %%
with torch.no_grad():
    s_1 = prompts.vectors()[0].to(emb.dtype)  # (n, D), the first set
    c_1 = torch.cat([s_1, emb])  # (n + L, D)  Eq. 7
    h_1 = lm(inputs_embeds=c_1[None]).last_hidden_state[0, -1]  # (D,)  at <eos>
    ctx = encode(lm, tokenizer, prompts, three)  # (3, m, D)  Eq. 8
drawing(prompt_path.draw(prompts, lm, emb, words))

# %% [markdown]
# Each row of the drawing is one reading of the same report. The rows differ in the orange vectors
# only, so each can learn to ask something else, and the answer is one vector a row.

# %%
show(eos_states)

# %%
gap = (ctx[0, 0] - h_1).abs().max().item()
check("by hand and module agree", gap < (1e-4 if p.llm_dtype == "float32" else 0.1), f"{gap:.1e}")

# %% [markdown]
# The m prompt sets stand in front of every report and cannot see it, so the module reads them once a
# step and puts their keys and values before all B reports. Shorter reports are padded *behind* their
# end, where a causal model cannot see it from $\langle$EOS$\rangle$, so padding needs no mask.
#
# Which weights will learn? Let us ask autograd: in place of a loss we take the context's component
# along a random direction.

# %%
ctx_three = encode(lm, tokenizer, prompts, three)
(ctx_three * seeding.noise(ctx_three.shape, "any direction").to(ctx_three)).sum().backward()
prompt_grad = prompts.carrier.embedding.weight.grad.norm().item()
prompts.zero_grad()
check("every gradient is in the prompts, none in the language model",
      prompt_grad > 0 and all(w.grad is None for w in lm.parameters()), round(prompt_grad, 3))
n_prompt, n_lm = (sum(w.numel() for w in part.parameters()) for part in (prompts, lm))
print(f"{n_prompt:,} numbers learn, {n_lm:,} stay")

# %% [markdown]
# ## 3 · Ask what the context holds
# *Optional.* A context that has forgotten the age cannot condition on it. The test is a *probe*: a
# ridge regression from C to a number of the record, scored by R² on patients it has not seen (five
# folds). 1 is perfect, 0 is no better than the mean. It changes nothing in the models.

# %%
banks = {name: ContextBank(lm, tokenizer, prompts, texts, p.text_prompt_steps) for name, texts in reports.items()}
ctx_train = banks["train"].all()  # (N, m, D)
probes = pd.DataFrame({"one set": probe_score(ctx_train[:, :1], train.ehr),
                       f"all {p.text_n_sets} sets": probe_score(ctx_train, train.ehr)}).round(3)
told(told_record.probes(probes))
run.table(probes, "context_probes")

# %% [markdown]
# Why more than one set? Each asks its own question of the report. And the U-Net has a second reason:
# in cross-attention a place of the latent weighs the m tokens with a softmax,
#
# $$\mathbf a = \mathrm{softmax}\big(\mathbf q \mathbf K^\top / \sqrt d\big), \qquad
# \mathbf a \in \mathbb R^m, \quad \textstyle\sum_j a_j = 1$$
#
# and with one token the sum has one term. By hand, for three places of the latent:

# %%
q = seeding.noise((3, 8), p.seed, "three places")  # (places, d)
keys = seeding.noise((2, 8), p.seed, "two tokens")  # (m, d)
one = (q @ keys[:1].T / 8**0.5).softmax(dim=1)  # (3, 1)
two = (q @ keys.T / 8**0.5).softmax(dim=1)  # (3, 2)
pd.DataFrame({"m = 1": one[:, 0], "m = 2, token 1": two[:, 0], "m = 2, token 2": two[:, 1]}).round(2)

# %%
check("one token gets weight 1 from every place", torch.equal(one, torch.ones(3, 1)))

# %% [markdown]
# With m = 1 every place reads the same thing, and queries and keys get no gradient. With m = 2 the
# rim of a nodule can attend to another token than its centre. The authors' code has m = 2, n = 8.
#
# How much of C depends on the patient? Compare the spread between patients with the length of the
# mean.

# %%
loudness = (ctx_train.std(dim=0).mean() / ctx_train.mean(dim=0).square().mean().sqrt()).item()
if p.text_standardise:
    prompts.fit_standardisation(ctx_train)
ctx_train = prompts.standardise(ctx_train)
told(told_record.spread(loudness))
round(loudness, 3), round(ctx_train.square().mean().sqrt().item(), 3)

# %% [markdown]
# With `text_standardise` each of the D numbers is shifted and scaled by its mean and spread over the
# *training* reports, once, before training. Then the U-Net sees differences between patients at unit
# size, whatever the language model. In this we depart from the paper, which feeds C as it is.

# %% [markdown]
# ## 4 · Make room for the baseline
# *Optional.* Appendix B: "concatenating condition image latents with the noisy latent, resulting in
# eight input channels". The U-Net of notebook 03 has four. Its first convolution grows, and the new
# half of its weights starts at zero: at the first step the baseline is there and changes nothing.
#
# | symbol | code | shape | unit |
# |---|---|---|---|
# | $\mathbf z^{(1)}$ | `z1` | (B, 4, h, w) | scaled latent |
# | $\mathbf z^{(2)}_t$ | `z2_t` | (B, 4, h, w) | scaled latent, noisy |

# %%
latents = {split: load_latents(run.need(run.dir / "latents" / f"{split}.safetensors", made_by="02"))
           for split in ("train", "val")}
net = unet.load_unet(run.need(run.dir / "unet_uncond", made_by="03"), p.precision)
z1, z2_t = (latents["val"][name][:3, 0] for name in ("z1_mean", "z2_mean"))  # (3, 4, h, w)
t, ctx = torch.tensor([10, 400, 900]), ctx_train[:3].cpu()
with torch.no_grad():
    four = net(z2_t, t, ctx).sample  # 4 channels in

# %%
unet.widen_input(net)
with torch.no_grad():
    eight = net(torch.cat([z2_t, z1], dim=1), t, ctx).sample  # 8 channels in
check("eight channels say exactly what four said", torch.equal(four, eight))

# %%
show(unet.widen_input)

# %% [markdown]
# Equal to the last bit, because the bias was copied too. Forget it, and you start from a random bias
# in every channel. The authors' code draws the whole convolution anew and loses what notebook 03
# taught it.

# %% [markdown]
# ## 5 · Minimise Eq. 10
# The loss is that of notebook 03 with two more arguments:
#
# $$\mathcal L_{\text{cond}} = \mathbb E \big[\, \lVert \boldsymbol\epsilon -
# \boldsymbol\epsilon_\theta(\mathbf z^{(1)}, \mathbf z^{(2)}_t, t, \mathbf C) \rVert^2 \,\big]
# \qquad (10)$$
#
# Both images of a pair take the *same* augmentation: a baseline that is turned and a follow-up that
# is not would teach the U-Net that nodules rotate. Both latents are fresh draws from the means and
# standard deviations that notebook 02 stored. Where several processes train together, each draws the
# same whole batch, and `parallel.mine` keeps its share.

# %%
mean, std = ([latents["train"][f"z{visit}_{name}"] for visit in (1, 2)] for name in ("mean", "std"))
n_items, n_aug = mean[0].shape[:2]
check("one report for each training pair", n_items == len(reports["train"]), n_items)
scheduler = diffusion.schedule(p)
alpha_bar = diffusion.alpha_bar(scheduler)  # (T,)
net = net.to(run.device)

# %%
def cond_loss(z1, z2, eps, t, ctx):
    """Eq. 10 for one batch: () float."""
    z1, z2, eps, t = (part.to(run.device) for part in (z1, z2, eps, t))
    z2_t = diffusion.q_sample(z2, eps, t, alpha_bar)
    eps_hat = net(torch.cat([z2_t, z1], dim=1), t, ctx).sample
    return (diffusion.target(z2, eps, t, scheduler) - eps_hat).square().mean()

# %% [markdown]
# The context takes most of the time: in the paper's setting the language model needs nine tenths of
# a step. Eq. 10 trains the prompts in every step (`text_prompt_steps: -1`). The quick profile lets
# them learn for the first steps only; after that the state of a report never changes and can be kept.
# The `ContextBank` runs the language model only where the prompts have moved.
#
# The prompts have a learning rate of their own, `text_prompt_lr`. AdamW moves a number by about its
# learning rate in a step, however large the gradient: at the U-Net's rate the prompts would stay
# where they are. Their schedule spans the steps in which they learn, and they have no weight decay.

# %%
show(ContextBank)

# %% [markdown]
# Is text the right form? The arm `no_llm` (`text_report: numbers`) uses no language model: a small
# network reads the 13 features as numbers and learns with the U-Net, at its learning rate,
#
# $$\mathbf C = \mathrm{norm}\big(\mathbf W_2\, \mathrm{silu}(\mathbf W_1 \mathbf x(\mathbf e)
# + \mathbf b_1) + \mathbf b_2\big) \in \mathbb R^{m \times D},$$
#
# with $\mathbf x(\mathbf e)$ the 39 numbers of the record: log diameters and age as z-scores of the
# training split, codes one-hot, and a flag for each missing value.

# %%
prompts.requires_grad_(p.text_prompt_steps != 0)
begun = prompts.vectors().detach().clone()
trained = {"unet": net, "prompts": prompts}
if p.text_report == "numbers":
    trained["record"] = RecordContext.begin(train.ehr, p.text_n_sets, ctx.shape[-1], p.seed).to(run.device)
    banks = {name: RecordBank(trained["record"], part.ehr) for name, part in (("train", train), ("val", val))}

# %%
def step(idx, g, step_no):
    k = torch.randint(n_aug, idx.shape, generator=g)
    z1, z2 = (mu[idx, k] + sd[idx, k] * torch.randn(mu[idx, k].shape, generator=g)
              for mu, sd in zip(mean, std, strict=True))
    eps = torch.randn(z2.shape, generator=g)
    t = torch.randint(p.n_timesteps, idx.shape, generator=g)
    z1, z2, eps, t, idx = parallel.mine(z1, z2, eps, t, idx)
    moved = (prompts.vectors().detach() - begun).norm() / begun.norm()
    return {"loss": cond_loss(z1, z2, eps, t, banks["train"].context(idx, step_no)), "prompts_moved": moved}

# %% [markdown]
# Validation uses the same pairs, the same noise and evenly spread steps every time, with the
# prompts as they are at that moment.

# %%
rows = torch.arange(max(64, len(val))) % len(val)
z1_val, z2_val = (latents["val"][f"z{visit}_mean"][rows, 0] for visit in (1, 2))
eps_val = seeding.noise(z2_val.shape, p.seed, "cond", "val")
t_val = torch.arange(len(rows)) * p.n_timesteps // len(rows)


@torch.no_grad()
def validate(ctx=None):
    ctx = banks["val"].all()[rows] if ctx is None else ctx
    batches = zip(*(part.split(64) for part in (z1_val, z2_val, eps_val, t_val, ctx)), strict=True)
    return sum(cond_loss(*batch).item() * len(batch[0]) for batch in batches) / len(rows)

# %% tags=["training"]
before = validate()
schedule = loop.SCHEDULES[p.cond_lr_schedule]
prompt_steps = p.cond_steps if p.text_prompt_steps < 0 else p.text_prompt_steps
history = loop.fit(
    step, trained, n_steps=p.cond_steps, n_items=n_items,
    batch_size=p.cond_batch, lr=schedule(p.cond_lr, p.cond_steps), stage="cond", seed=p.seed,
    own_lr={"prompts": schedule(p.text_prompt_lr, prompt_steps)},
    folder=run.dir / "checkpoints" / "cond", key=run.training_key(), validate=validate,
    ema_decay=p.ema_decay, grad_clip=p.grad_clip, save_every=p.save_every,
)

# %%
run.table(history, "train_cond")
run.figure(plots.training_curves(history, ["loss", "val_loss", "grad_norm", "prompts_moved"],
                                 f"Eq. 10, arm {run.arm}: {told_training.course(history)}", run.synthetic),
           "cond_loss")

# %% [markdown]
# **What to see.** The validation loss falls fast while the zero half of the first convolution
# fills: the baseline shows where the nodule is. Later gains are small and slow; growth is a small
# part of an image. The last panel shows how far the prompts have moved, as a share of their length:
# it rises while they learn and is flat after that. When you train longer, watch for a second panel
# that turns upward: from there on the U-Net memorises. The loop keeps the lowest point; Appendix B
# selects "later checkpoints right before overfitting", a choice for which it gives no rule.

# %%
after, moved = validate(), float(history.prompts_moved.iloc[-1])
ctx_val = banks["val"].all()
swapped = validate(ctx_val.roll(1, dims=0)[rows])
if p.cond_steps >= 200:
    check("training lowered the validation loss", after < before, (round(before, 3), round(after, 3)))
    check("prompts moved, unless frozen", (moved > 0.01) == (p.text_prompt_steps != 0), f"{moved:.2%}")
told(told_record.losses(before, after, swapped), told_record.prompts(moved, p.cond_steps, p.text_prompt_steps))

# %% [markdown]
# ## 6 · Draw the follow-up
# At inference nothing of the follow-up is known. We start from noise, keep the baseline's latent in
# the last four channels and the context in the cross-attention, and walk back with DDIM:
#
# $$\hat{\mathbf X}^{(2)} = D\big(\mathrm{DDIM}(\mathbf z_T, \mathbf z^{(1)}, \mathbf C)\big),
# \quad \mathbf z_T \sim \mathcal N(\mathbf 0, \mathbf I)$$
#
# We save the models as a [*pipeline*](https://huggingface.co/docs/diffusers/using-diffusers/loading):
# one folder with VAE, U-Net, schedule and prompts (or the network that reads the numbers), which
# `NAMDPipeline.from_pretrained` opens in one line and `python -m namd predict` uses on a CT. The
# language model is named in `model_index.json` and not copied: gated weights are not ours to pass on.

# %%
vae = load_vae(run.need(run.dir / "vae", made_by="02")).vae
record = trained.get("record")
llm_path = "" if record else p.llm_path or run.need("llm")
reader = {"record_context": record} if record else {"soft_prompts": prompts}
pipeline = NAMDPipeline(vae, net, scheduler, **reader, llm_path=llm_path, llm_dtype=p.llm_dtype,
                        ddim_steps=p.ddim_steps, text_report=p.text_report)
with replacing(run.dir / "namd") as folder:
    pipeline.save_pretrained(folder)
run.made("namd")
sorted(path.name for path in (run.dir / "namd").iterdir())

# %% [markdown]
# We open it the way notebook 05 does. `NAMD` is one of the forecasters that share an interface; the
# noise of a drawing depends only on its seed and on the pair. To have each model in memory only once,
# we delete our own U-Net first and hand over the language model that is loaded.

# %%
net = trained = pipeline = None
namd = NAMD(run.dir, p, llm=(lm, tokenizer))
net = namd.unet
show(NAMDPipeline.__call__)

# %%
order = val.table.label.to_numpy().argsort(kind="stable")
six = [*order[::-1][:3], *order[:3]]  # three malignant, then three benign, as far as there are any
x1, x2 = (x[six] for x in val.images(p.image_size, p.window_low, p.window_high))  # (6, 1, S, S)
ehr = val.ehr.iloc[six]
seeds = [1, 2, 3]
x2_hat = namd.sample(x1, ehr, seeds)  # (K, 6, 1, S, S)

# %%
x2_mean = x2_hat.mean(dim=0)
grid = torch.stack([x1, x2, *x2_hat, x2_mean, (x2_mean - x2).abs() - 1], dim=1)[:, :, 0]  # (6, 7, S, S)
names = [f"{'malignant' if label else 'benign'}, {mm:g} mm"
         for label, mm in zip(val.label[six], ehr.sct_long_dia, strict=True)]
fig = plots.image_grid(grid, ["x1", "x2", *(f"seed {s}" for s in seeds), "mean", "|error|"], names,
                         "Six validation patients: what was, what came, and three drawings", run.synthetic)
run.figure(fig, "cond_forecasts")
told(told_record.disagreement(x2_hat, MM_PER_PX))

# %% [markdown]
# **What to see.** After a training of a few hundred steps the nodule stays where it was, and the
# drawings differ at its rim, because they disagree about its size. In the error panel black is none
# and white is the whole HU window: a ring is a nodule that grew more or less than drawn. A model
# trained for a few steps only draws blur.

# %% [markdown]
# ## 7 · Test that it listens
# A generator can score well and ignore half of its inputs. Ask it three questions: does the same seed
# give the same image, does another record change it, and does the record of the *right* patient
# help?

# %%
check("the same seed gives the same image", torch.allclose(namd.sample(x1, ehr, seeds[:1])[0], x2_hat[0], atol=1e-4))
other = ehr.iloc[::-1].set_index(ehr.index)  # the noise follows pair_id, so only e changes
change = (namd.sample(x1, other, seeds) - x2_hat).abs().mean().item()
check("another record changes the image, where records are read", (change > 0) == (p.text_report != "none"),
      f"{change:.4f}, {change * (p.window_high - p.window_low) / 2:.1f} HU")

# %% [markdown]
# For the third question six patients are too few; we take up to 100 of the validation split and give
# each the record of the next.

# %%
x1, x2 = (x[:100] for x in val.images(p.image_size, p.window_low, p.window_high))
ehr = val.ehr.iloc[:100]
shifted = ehr.iloc[[*range(1, len(ehr)), 0]].set_index(ehr.index)
drawn = {"own record": namd.sample(x1, ehr, seeds[:2]), "next patient's record": namd.sample(x1, shifted, seeds[:2]),
         "copy of x1": x1[None]}
of_each = {name: (x2_hat - x2).abs().mean((0, 2, 3, 4)).tolist() for name, x2_hat in drawn.items()}
told(told_record.whose_record(of_each, *list(of_each)[:2], val.patient[:100], p.seed))
errors = {name: float(pd.Series(values).mean()) for name, values in of_each.items()}
run.table(pd.DataFrame({"mean |error|": errors}).rename_axis("forecast"), "cond_errors").round(4)

# %% [markdown]
# In pixels, a copy of the baseline is hard to beat: most of a lung does not change in a year, and a
# copy has no decoder blur. But a small pixel error is not the aim of NAMD. It is meant to
# draw growth that helps to tell malignant from benign, and notebook 05 measures that.
#
# <details class="derivation"><summary>Derived: what a null prompt is, and how it steers</summary>
#
# In notebook 03 the U-Net was always given the same context $\varnothing$, the empty report. A mean
# squared error is smallest at the conditional mean, so there it learnt the noise given the noisy
# latent and *nothing else*: the score of all nodules, $\nabla \log p(\mathbf z_t)$ up to a factor.
# Here it is given C and learns the score of $p(\mathbf z_t \mid \mathbf C)$. By Bayes' rule the
# difference of the two is what the record alone says:
#
# $$\nabla \log p(\mathbf z_t \mid \mathbf C) - \nabla \log p(\mathbf z_t) =
# \nabla \log p(\mathbf C \mid \mathbf z_t).$$
#
# *Classifier-free guidance* ([Ho and Salimans, 2022](https://arxiv.org/abs/2207.12598)) goes w times
# as far in that direction:
#
# $$\boldsymbol\epsilon_w = \boldsymbol\epsilon_\theta(\varnothing) + w\,
# \big[\boldsymbol\epsilon_\theta(\mathbf C) - \boldsymbol\epsilon_\theta(\varnothing)\big].$$
#
# w = 0 ignores the record, w = 1 is Eq. 10, w > 1 exaggerates it. It works for v as well, which is
# a fixed mixture of the noise and $\mathbf z_t$. The paper uses none. A warning: for guidance one
# drops the condition now and then *while training*, so that the network knows both. Eq. 10 never
# does; the null of this U-Net is a memory of notebook 03, and a blurred one: there it was the raw
# state behind the untrained prompts, here the prompts have moved and, with `text_standardise`, the
# state is standardised. Exercise 2 tries it.
#
# </details>

# %% [markdown]
# ## Paper and this run
# The paper gives settings for this stage and no intermediate number.

# %%
paper = PAPER["training"]
run.panel([
    dict(quantity="prompt sets m x tokens n", paper="not given (authors' code: 2 x 8)",
         here=f"{p.text_n_sets} x {p.text_n_tokens}"),
    dict(quantity="width of the context", paper="2,560", here=f"{ctx_val.shape[-1]:,}"),
    dict(quantity="epochs: each pair in each turn once", paper=paper["cond_epochs"],
         here=round(p.cond_steps * p.cond_batch / n_items / n_aug, 1), n=n_items),
    dict(quantity="learning rate", paper=paper["cond_lr"], here=p.cond_lr),
    dict(quantity="prediction target", paper="epsilon (Eq. 10)", here=p.prediction_type),
    dict(quantity="validation loss", paper="-", here=f"{after:.3f}", n=len(val)),
])

# %% [markdown]
# ## Exercises
# ### 1 · Predict
# Shuffle the m tokens of C. Does the U-Net's answer change? Decide before you run it, then say
# what the index j of Eq. 8 can mean.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
x_in = torch.cat([z2_t, z1], dim=1).to(run.device)
with torch.no_grad():
    said, shuffled = (net(x_in, t.to(run.device), c).sample for c in (ctx_val[:3], ctx_val[:3].flip(1)))
check("the order of the sets means nothing", torch.allclose(said, shuffled, atol=1e-4))

# %% [markdown]
# ### 2 · Implement
# Write `guided(x_in, t, ctx, null, w)`, the U-Net's answer with classifier-free guidance (derivation
# at the end of Section 7). Take `x_in = torch.cat([z2_t, z1], dim=1)` and `t` of Section 4,
# `c = ctx_val[:3]`, and `null_context(lm, tokenizer, prompts)` for the null prompt, all on
# `run.device`. Then
#
#     right = net(x_in, t, c).sample
#     check("w = 1 is Eq. 10", torch.allclose(guided(x_in, t, c, null, 1.0), right, atol=1e-4))
#
# Use it in `diffusion.ddim_sample`. Three times the guidance moves *one* answer three times as far
# from w = 0. Does it move the *drawing* three times as far?
#
# <details class="hint"><summary>Hint</summary>
#
# The null prompt is (1, m, D): `expand` it to the batch. The model that `ddim_sample` wants is a
# function of the noisy latent and of t; join the baseline's latent to the first inside it.
#
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
@torch.no_grad()
def guided(x_in, t, ctx, null, w):
    without, with_record = (net(x_in, t, c.expand(len(x_in), -1, -1)).sample for c in (null, ctx))
    return without + w * (with_record - without)


z1, t, c = z1.to(run.device), t.to(run.device), ctx_val[:3].to(run.device)
null = null_context(lm, tokenizer, prompts).detach().to(run.device)
check("w = 1 is Eq. 10", torch.allclose(guided(x_in, t, c, null, 1.0), net(x_in, t, c).sample, atol=1e-4))
drawn = [diffusion.ddim_sample(lambda z, at, w=w: guided(torch.cat([z, z1], dim=1), at, c, null, w),
                               seeding.noise(z1.shape, "guided").to(z1), scheduler, p.ddim_steps) for w in (0, 1, 3)]
print("distance from w = 0:", [round((z - drawn[0]).square().mean().sqrt().item(), 3) for z in drawn])

# %% [markdown]
# ### 3 · Derive
# Which states of the language model depend on the report at all? Compare the state at `<bos>` for
# two patients, then at `<eos>`.

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
with torch.no_grad():
    states = [lm(**tokenizer(text, return_tensors="pt").to(lm.device)).last_hidden_state[0] for text in three[:2]]
check("<bos> has seen nothing of the report", torch.allclose(states[0][0], states[1][0], atol=1e-4))
check("the end of the report has", not torch.allclose(states[0][-1], states[1][-1], atol=1e-4))

# %% [markdown]
# ### 4 · Change a word
# Move the age in the first patient's record by 20 years: up, or down if it is above 65. How far
# does C move, in units of the spread between patients? Does emphysema move it more?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
patient = val.ehr.iloc[:1]
aged = patient.assign(age=patient.age + (-20 if (patient.age > 65).any() else 20))
lungs = patient.assign(diagemph=1 - patient.diagemph)
versions = namd.context(pd.concat([patient, aged, lungs]))
far = (versions[1:] - versions[0]).flatten(1).norm(dim=1) / (ctx_val - ctx_val.mean(0)).flatten(1).norm(dim=1).mean()
{name: round(value, 2) for name, value in zip(("age", "emphysema"), far.tolist(), strict=True)}

# %% [markdown]
# ### 5 · Break it
# Give the two images of a pair different augmentations in `step`. What does the U-Net learn about
# the baseline, and which figure of this notebook shows it?

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# The baseline no longer says where things are, only what is in the picture: size, density, texture.
# In the figure of the six patients vessels leave their places and every draw invents a background.
# The validation loss stays well above that of a sound run.
#
# </details>

# %% [markdown]
# ## In practice
# - **MedGemma.** `llm_path: google/medgemma-1.5-4b-it` needs an accepted licence and a login. The
#   loader takes the language half of the multimodal files and refuses to start if one weight is
#   missing. (The text-only class of transformers finds none of its names in these files and goes on
#   with random weights.)
# - **Memory.** With one prefix for all reports, 4 billion weights in float32 fit a 48 GB card
#   (about 41 GB in all, an estimate). `llm_dtype: bfloat16` halves the language model; float16
#   overflows in this family of models.
# - **End of sequence.** Gemma's tokenizer adds none. We append `<eos>`, number 1, as Eq. 7 writes;
#   the authors' code reads the last word instead.
# - **Where the quick profile departs from the paper.** Prompts learn for the first steps only, C is
#   standardised, v instead of epsilon, averaged weights, another learning rate.
# - **Are learnt prompts worth it?** The arms `frozen_prompts` and `prompts_every_step` train the same
#   U-Net with prompts that never learn and that always do, `no_llm` one that reads numbers instead;
#   notebook 07 compares their AUROC.
# - **Test patients.** This notebook opens the training and validation splits only. If you look at
#   test images while you choose a learning rate, they are test images no longer.

# %% [markdown]
# ## Summary
# - A record becomes a report, tokens and, behind m prompt sets, m states at `<eos>`: the context C.
# - The prompts learn through the frozen language model; no weight of it gets a gradient.
# - With one set the attention weight is 1 whatever the key; the order of several means nothing.
# - The null prompt stands for "no record"; guidance exaggerates what the record adds to it.
# - A zero-extended convolution with its bias copied changes no output, bit for bit.
# - The same seed repeats an image, another record changes it; whether it *helps* is a measurement.
#
# ## Further reading
# - Lester, Al-Rfou, Constant (2021),
#   [*The power of scale for parameter-efficient prompt tuning*](https://arxiv.org/abs/2104.08691).
# - Oh et al. (2024), [*LLM-driven multimodal target volume
#   contouring*](https://doi.org/10.1038/s41467-024-53387-y): prompts on a frozen model.
# - Sellergren et al. (2025), [*MedGemma technical report*](https://arxiv.org/abs/2507.05201).
# - Brooks, Holynski, Efros (2023), [*InstructPix2Pix*](https://arxiv.org/abs/2211.09800): eight input
#   channels for an edited image.
# - Ho and Salimans (2022), [*Classifier-free diffusion guidance*](https://arxiv.org/abs/2207.12598).

# %%
run.finish(val_loss_before=before, val_loss=after, val_loss_swapped=swapped, probes=probes.to_dict(),
           prompts_moved=moved, errors=errors, loudness=loudness,
           weights={"llm": hub.provenance(llm_path)} if llm_path else {})
