# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here: follow one nodule for an hour
# A spot on a scan, a question that takes months to answer, and a program that tries to draw the
# answer today. We follow one nodule through the whole system and train nothing.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Section 1 and Figure 1. *Previous:* none.
# *Next:* `01_data_preparation`.
#
# *Reading:* 16 minutes; the core, sections 1 to 6, takes 10. The rest is optional.
#
# ## What you will do
# Look at a nodule as radiologists do, draw its follow-up with a trained pipeline that the
# repository ships, change the patient's record and watch the drawing change, and read what the
# study found. Reading takes a quarter of an hour; looking, trying and four exercises fill the
# rest.
#
# ## What you will learn
# - Describe a nodule in a radiologist's words, and say what would be done next.
# - Name every part of the system, and the array that goes in and the one that comes out.
# - Draw follow-ups, and tell their mean from their spread.
# - Explain why a drawing cannot know more than what it was drawn from.
# - Report five results of this study, and what no phantom can tell.
#
# ## What you need
# No medicine and no earlier notebook: only the idea that a picture is an array of numbers. Words
# that this series uses in its own way are links to the [glossary](#glossary).
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 1 min | 1 min (estimate) |
# | memory | 1.2 GB | 2 GB (estimate) |
# | disk | 3 MB | 3 MB |
#
# **All patients here are phantoms.** A program draws them, images and records, by a law that is
# written down. No number below says anything about a real person. Research and teaching only.

# %% tags=["parameters"]
run_name: str = "quick"                                          # folder below outputs/
seed: int = 23                                                   # names the random draws of this notebook
device: str = "auto"                                             # auto, cpu or cuda
threads: int = 1                                                 # torch threads of this process
start_model: str = "outputs/reference/models/namd-small"         # a trained pipeline: a shipped one or a run
start_results: str = "outputs/reference/quick"                   # tables of the run whose results are told
start_runs: int = 8                                              # K, follow-ups drawn of a nodule (paper: 20)

# %% [markdown]
# The first lines below are the stamp of this run: which code, which data, which settings.

# %%
import time

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from namd.data import brock, lung_rads
from namd.data.images import MM_PER_PX
from namd.data.phantom.chest import chest
from namd.data.phantom.sitter import Sitter
from namd.data.report import report_text
from namd.evaluation.figures import chest as pictures
from namd.evaluation.figures import example
from namd.evaluation.figures.drawings import rows_of_drawings
from namd.evaluation.figures.plots import LABELS, image_grid
from namd.evaluation.stats import metrics
from namd.evaluation.tables.found import what_we_found
from namd.evaluation.tables.ladder import ladder
from namd.forecasters.drawing import run_seeds
from namd.ground.paper import PAPER
from namd.ground.paths import located
from namd.ground.surroundings import somebody_looks
from namd.predict.controls import controls
from namd.predict.example import MODEL, SITTER, arrays_of
from namd.predict.what_if import follow_ups, judged, seen, what_if
from namd.ship.finished import open_arm
from namd.study.notebook import check, start

run = start("00_start_here", globals())

# %% [markdown]
# ## 1 · See a nodule as a radiologist does
# This is our patient: a woman of 63 with emphysema, whose screening CT shows a nodule in the upper
# lobe of her right lung. A CT image is a map of density in Hounsfield units (HU): air is -1000,
# lung about -850, water 0, soft tissue about 40, bone several hundred.

# %%
patient = SITTER
crop = patient.crop(patient.nodule())                      # (128, 128) HU, 0.6 mm a pixel
hu, centre = chest(patient, crop)                          # (600, 600) HU
arm = open_arm(start_model)
run.figure(pictures.chest_and_crop(hu, centre, crop, MM_PER_PX, arm.p.image_size,
                                   "A nodule of 10 mm in a chest of 34 cm"), "chest")

# %% [markdown]
# **What to see.** As in every chest CT, you look from the feet: the patient's right is on your
# left. The lungs are black because they are full of air; the white specks in them are vessels. The
# nodule is the round spot in the small frame, a thirtieth of the chest's width.
#
# The picture around the dashed frame is a sketch to scale. Our phantom draws tiles of 77 mm, the
# dashed frame, and stores them as DICOM files; the models see only the small one.
#
# What a radiologist would say of such a spot, in five steps:
#
# **1. It is a nodule.** That is a rounded opacity of up to 30 mm; a larger one is a mass
# (Fleischner Society glossary, 2008). Screening finds many. In the National Lung Screening Trial
# (NLST, 53,454 current and former heavy smokers, 2011) a yearly low-dose CT lowered deaths from
# lung cancer by 20 % against chest X-rays. But 24 % of the CT screens were positive, and 96 % of
# those positives were not cancer.
#
# **2. It has a kind and a margin.** *Solid* tissue hides the vessels behind it. *Ground glass* is
# a haze through which vessels still show. *Part solid* is a haze with a solid core; among nodules
# found by screening it was malignant most often (Henschke 2002). A *spiculated* margin, with
# spikes, raises the suspicion; a smooth one lowers it. So does a place outside the upper lobes.
#
# **3. It has a size, and the size decides the date of the next scan.** In screening, Lung-RADS
# (American College of Radiology, v2022) sorts a solid nodule at the first scan by its mean
# diameter: below 6 mm category 2, next CT in 12 months; 6 to 8 mm category 3, in 6 months; 8 to 15
# mm category 4A, in 3 months; from 15 mm on category 4B, further tests at once. A part-solid
# nodule is judged by its solid core, and ground glass below 30 mm stays in category 2.
#
# **4. Found by chance, it follows another table.** For nodules that turn up outside screening, the
# Fleischner Society (2017) wants no routine follow-up below 6 mm, though risk may call for one at
# 12 months. At 6 to 8 mm it asks for a CT after 6 to 12 months. Above 8 mm a CT at 3 months, a
# PET/CT or a biopsy is considered.
#
# **5. It has a risk.** The Brock model (McWilliams 2013) turns age, sex, family history,
# emphysema, size, kind, margin, lobe and the number of nodules into a probability. No pixel enters
# it.
#
# Notice steps 3 and 4: the main instrument is **to wait and look again**, because growth tells
# cancer from scar. Lung-RADS calls it growth when the mean diameter gains more than 1.5 mm within
# 12 months. The months of waiting are what NAMD wants to save.

# %%
kinds = {"solid, smooth": (1, 2), "solid, spiculated": (1, 1), "poorly defined": (1, 3),
         "part solid": (3, 2), "ground glass": (2, 2)}
drawn = [patient.nodule(longest=12.0, attenuation=a, margin=m) for a, m in kinds.values()]
captions = [f"{name}\n12 mm" for name in kinds]
for longest in (5.0, 7.5, 11.0, 17.0, 25.0):
    nodule = patient.nodule(longest=longest, attenuation=1, margin=2)
    mean = (nodule.longest + nodule.perpendicular) / 2
    grade = lung_rads.category(1, mean)
    captions.append(f"mean {mean:.1f} mm: {grade}\n{lung_rads.FOLLOWS[grade]}")
    drawn.append(nodule)
images = [seen(arm, patient.crop(nodule)) for nodule in drawn]
title = "Kind and margin (above), size and Lung-RADS category (below)"
run.figure(pictures.captioned(images, captions, 5, title), "kinds")

# %% [markdown]
# **What to see.** Above, one nodule in one body, drawn in five ways: through the haze of ground
# glass the lung still shows, and the part-solid one has a bright core. Below, a few millimetres
# decide whether the next scan comes in a year or at once. A reader's ruler errs by a millimetre or
# so, so the borders are soft.
#
# Our patient's own numbers, and her record as a report:

# %%
ehr = patient.record()
mean = ehr[["sct_long_dia", "sct_perp_dia"]].iloc[0].mean()
grade = lung_rads.category(ehr["sct_pre_att"].iloc[0], mean)
risk = brock.risk(ehr)[0]
display(Markdown(f"Mean diameter {mean:.1f} mm, solid, spiculated: **Lung-RADS {grade}**"
                 f" ({lung_rads.FOLLOWS[grade]}); **Brock {risk:.0%}**.\n\n> {report_text(ehr.iloc[0])}"))
check("a larger nodule is a riskier one", brock.risk(patient.record(sct_long_dia=20.0))[0] > risk)

# %% [markdown]
# Spikes would let a radiologist raise the category to 4X. The report is made from the 13 fields of
# the [record](#record), by rules that notebook 01 explains.

# %% [markdown]
# ## 2 · Follow it through the system
# NAMD (Nodule-Aligned Multimodal Diffusion) answers one question: how will this nodule look at the
# next screen? A year lies between the two scans, in the paper as in our phantom; in a clinic it is
# often six to twelve months.

# %%
run.map()

# %% [markdown]
# Read the upper row from the left. Each picture is the real array of our patient.
#
# 1. The **baseline** $X^{(1)}$, code `x1`, is the middle of the crop: 64 x 64 pixels, -1000 HU
#    shown as -1, 400 HU as +1.
# 2. The **encoder** of a variational autoencoder (VAE) squeezes it into a [latent](#latent)
#    $\mathbf{z}^{(1)}$: 4 x 8 x 8 numbers, sixteen times fewer. NAMD's idea is to train it so that
#    nodules with like diameter, kind and margin get neighbouring latents; this is the
#    "nodule-aligned" of the name.
# 3. In the lower row, the [record](#record) becomes a **report** of two sentences. A frozen
#    **language model** reads it behind a few learnt vectors, the soft prompts, and answers with
#    the context $\mathbf{C}$: 4 vectors of 64 numbers.
# 4. The **U-Net** starts from pure noise and takes noise away step by step, looking at
#    $\mathbf{z}^{(1)}$ and $\mathbf{C}$ all the time. What is left is the latent of a follow-up.
# 5. The **decoder** turns it into an image $\hat{X}^{(2)}$. Other noise gives another image: we
#    draw K of them.
# 6. The [judge](#judge), a classifier that learnt on real follow-ups, reads a probability of
#    malignancy $p$ from each image. It never sees the record.
#
# The numbers in the boxes say which notebook opens the box. The map was drawn once and stored; the
# next cell computes the same walk again and compares the two.

# %%
now = arrays_of(arm, patient, run_seeds(start_runs))
kept = example.read()
names = ["x1", "z1", "context", "noise", "z2", "x2", "prob"]
if start_model == MODEL:
    same = all(np.allclose(now[name], kept[name], atol=0.02) for name in names[:5])
    check("the map shows what the pipeline computes", same)
check("the pixels shrink sixteen times", np.size(now["x1"]) == 16 * np.size(now["z1"]))
pd.DataFrame({"shape": [np.shape(now[name]) for name in names]}, index=names).T

# %% [markdown]
# Step 4 is the strange one, so let us watch it. We stop the U-Net's walk before each of its steps
# and decode what is there, as if it were finished:

# %%
walk = now["walk"]                                          # (steps + 1, S, S)
titles = ["noise", *(f"step {i}" for i in range(1, len(walk)))]
run.figure(image_grid([walk], titles, title="From noise to a follow-up", synthetic=True), "walk")
check("the walk ends at the first drawing", np.allclose(walk[-1], now["x2"][0], atol=1e-3))

# %% [markdown]
# **What to see.** The decoder turns pure noise into meaningless texture, for it has never learnt
# what noise looks like. Then a bright spot gathers in the middle, where the baseline has its
# nodule, and the last step clears the rest away. At no time does the program look for a cancer. It
# asks one thing, over and over: what part of this is noise, if that was the baseline and this is
# the report? Notebook 03 trains the question, 04 adds baseline and report.

# %% [markdown]
# ## 3 · Draw the follow-up
# One call draws K follow-ups and has them judged. Beside our patient we take two others: a man of
# 55 with a smooth nodule of 7 mm, and a man of 64 with a spiculated one of 17 mm.

# %%
seeds = run_seeds(start_runs)
others = {"woman, 63,\n10 mm": patient, "man, 55,\n7 mm": Sitter(100, 28),
          "man, 64,\n17 mm": Sitter(100, 17)}
began = time.time()
forecasts = {name: what_if(arm, sitter, seeds) for name, sitter in others.items()}
seconds = (time.time() - began) / len(others)
title = f"What may come: K = {len(seeds)} drawn follow-ups of each nodule"
run.figure(rows_of_drawings(forecasts, title), "follow_ups")

# %%
told = [f"- {name.replace(chr(10), ' ')}: {forecast.said}." for name, forecast in forecasts.items()]
display(Markdown(f"{seconds:.1f} seconds a patient on this machine.\n\n" + "\n".join(told)))

# %% [markdown]
# **What to see.** Each line is one patient. The drawings of a line differ only by the noise they
# began with, and they disagree about one thing above all: how large the nodule becomes. The
# **mean** over K shows what they share. Its rim is blurred where they disagree, and no follow-up
# ever looks like that. The **spread** says where: a ring. On the right, each dot is one drawing as
# the judge reads it, the orange line is their mean, and the diamond is what the same judge says of
# the baseline.
#
# A phantom's law knows the future, so we can do what no clinic can: look.

# %%
late = [seen(arm, sitter.crop(sitter.nodule(1), 1)) for sitter in others.values()]
truth = [sitter.row for sitter in others.values()]
rows = [[forecast.x1, came, forecast.x2_hat[0], forecast.x2_hat.mean(0)]
        for forecast, came in zip(forecasts.values(), late, strict=True)]
names = [f"{row['longest_mm']:.0f} to {row['t1_longest_mm']:.0f} mm,\n{LABELS[row['label']]}"
         for row in truth]
columns = ["baseline", "a year later", "drawn, 1 of K", "mean of K"]
run.figure(image_grid(rows, columns, names, "What came, and what was drawn", True), "what_came")

# %%
real = judged(arm, late)
first = next(iter(forecasts.values()))
grew = truth[0]["t1_longest_mm"] - truth[0]["longest_mm"]
display(Markdown(f"Her nodule grew by {grew:.0f} mm. From the baseline image the judge reads"
                 f" {first.prob_x1:.2f}, from the drawings {first.prob.mean():.2f}, from the real"
                 f" follow-up {real[0]:.2f}. The law itself, which knows the record too, gave her a"
                 f" risk of {truth[0]['risk']:.2f} at the baseline."))

# %% [markdown]
# **What to see.** The drawing is smoother than a scan, for a latent of 256 numbers has no room for
# the grain of 4,096 pixels, and spikes fade first. One drawing may be right in size or wrong;
# three patients prove nothing. Section 6 counts over 1,200.
#
# ## 4 · Change the record, and watch
# Now the question that makes NAMD more than a picture program: does it listen to the record? We
# keep the baseline image and the noise, and change what the record says.

# %%
if somebody_looks():
    display(controls(arm, patient, seeds))

# %% [markdown]
# In JupyterLab, sliders stand above: move age, emphysema, family history, size and margin, and the
# drawings follow within two seconds (after Run All, once its last cell has run). Size and margin
# change the baseline image, too; age, emphysema and family change no pixel of it. The same
# function draws these lines:

# %%
changes = {"as she is": {}, "56 years": dict(age=56), "75 years": dict(age=75),
           "no\nemphysema": dict(emphysema=False), "family\nhistory": dict(family=True),
           "6 mm,\nsmooth": dict(longest=6, margin=2), "16 mm": dict(longest=16)}
lines = {name: what_if(arm, patient, seeds, **change) for name, change in changes.items()}
run.figure(rows_of_drawings(lines, "The same noise, another record: the drawing listens"), "what_if")

# %%
prob = {name.replace("\n", " "): line.prob.mean() for name, line in lines.items()}
same = np.array_equal(lines["75 years"].x1, lines["as she is"].x1)
check("age changes no pixel of the baseline", same)
check("and yet it moves the drawing", np.abs(lines["75 years"].x2_hat - lines["56 years"].x2_hat).max() > 0.5)
again = what_if(arm, patient, seeds).x2_hat
check("the same record and noise draw the same", np.array_equal(again, lines["as she is"].x2_hat))
display(Markdown("Mean p: " + ", ".join(f"{value:.2f} ({name})" for name, value in prob.items()) + "."))

# %% [markdown]
# **What to see.** In the first five lines the baseline is pixel for pixel the same, and the nodule
# that is drawn still grows more for the older patient and less without emphysema: the record alone
# did that. It learnt this from phantoms whose law ties growth to exactly these fields, and 1.3
# times as strongly as studies of patients tie risk to them (`namd/data/phantom/law.py`). The judge
# does not see the record, so it can only have read the size.
#
# ## 5 · Ask what a drawing can know
# Let $L$ be the diagnosis, $X^{(1)}$ the baseline, $e$ the record and $\hat{X}^{(2)}$ a drawing.
# The program makes $\hat{X}^{(2)}$ from $X^{(1)}$, $e$ and noise, and from nothing else. So, with
# $I$ for the information that one thing holds about another,
#
# $$L \;\rightarrow\; (X^{(1)}, e) \;\rightarrow\; \hat{X}^{(2)}
# \qquad\Rightarrow\qquad I(L; \hat{X}^{(2)}) \;\le\; I(L; X^{(1)}, e)$$
#
# This is the **data-processing inequality**: no processing adds information about $L$. However
# good the generator, a drawing cannot hold more about the diagnosis than the image and the record
# it was drawn from. A *real* follow-up can, because a year of biology went into it.
#
# The smallest example: a score that holds what can be known, and "drawings" that are this score
# plus noise.

# %%
rng = np.random.default_rng(seed)
score = rng.normal(size=20_000)                                        # what image and record hold together
label = rng.random(20_000) < 1 / (1 + np.exp(2 - 1.5 * score))         # the diagnosis, from the score
drawings = score + rng.normal(size=(50, 20_000))                       # (K, N) each with noise of its own
values = {"the score itself": score, "one drawing": drawings[0], "mean of 50": drawings.mean(0)}
area = {name: metrics.auroc(label, value) for name, value in values.items()}
check("no drawing beats its source", max(area.values()) == area["the score itself"])
pd.Series(area, name="AUROC").round(3).to_frame()

# %% [markdown]
# AUROC is the chance that a malignant case gets a higher number than a benign one: 0.5 is a coin, 1
# is perfect. The mean of many drawings comes close to the score itself and never exceeds it.
#
# And in the study? These are the readers of the same 1,200 test patients in the reference run:

# %%
folder = located(start_results)
rungs = ladder(folder)
run.figure(pictures.readers(rungs, rungs.n.max(), "Who reads malignancy how well?"), "readers")

# %%
told = what_we_found(folder, "namd", True)
display(Markdown(told[0]))

# %% [markdown]
# **What to see.** At the top stands the [true risk](#true-risk), what the phantom's law knows at
# the baseline; nobody can rank better from image and record. Next come three simple formulas
# without any drawing: the record alone, record and image, and the Brock model. The real follow-up
# image stands lower, because a judge of images never reads the record. NAMD's drawing stands beside
# the [oracle](#oracle), a perfect generator: the drawing is near the best that drawing can be, and
# going through an image loses more than it adds.
#
# Why draw at all, then? Three answers that the inequality leaves open:
#
# | | what a drawing can do | what it cannot do |
# |---|---|---|
# | for a reader of images | show the information of the record as an image | help a reader who has the record |
# | for a person | show how large, how likely, where forecasts disagree | show what will be |
# | on real patients | use what the image holds and nobody wrote down | replace the second scan |
#
# On the phantom, the record was made to hold most of what there is. On patients nobody knows how
# much of it the record holds.
#
# ## 6 · Read what we found
# The results of the reference run that matter, made of its tables; no number is typed. In
# brackets: 95 % intervals over test patients. A *gap* and its *share* stand in the
# [glossary](#glossary).

# %%
display(Markdown("\n".join(f"{i}. {sentence}" for i, sentence in enumerate(told[:-1], 1))))
run.table(pd.DataFrame({"found": told}), "found")
check("there are results to tell", told[:-1], len(told) - 1)

# %% [markdown]
# **What the phantom cannot say.**
#
# - *Whether it works on patients.* The law was chosen so that most of a follow-up can be foreseen.
#   With less to foresee, the gain shrinks, and in a world where growth follows from the label
#   alone it is nil, as it must be (the [dial](#dial) and its two [nulls](#null)).
# - *What selection does.* Only who comes to the second scan has a second image. A fast cancer that
#   is found and treated before has none, so every study of pairs, the paper's too, sees the slower
#   cancers.
# - *Whether a scan may wait.* A drawing is a forecast of a model. Nobody has tested a decision on
#   it.
# - *Other scanners, hospitals and people.* The phantom has four scanners and one kind of chest.
# - *What Stable Diffusion or MedGemma would add.* The U-Net here is 380 times smaller than the
#   first, the language model 40,000 times smaller than the second.
#
# ## 7 · Choose where to go on
# *Optional.* Each later notebook opens a box of the map. It begins with the same map, and says
# which of its sections are the core.
#
# | notebook | the box it opens | a question it settles |
# |---|---|---|
# | `01_data_preparation` | crop, record, report | When may a nodule be called malignant? |
# | `02_aligned_vae` | encoder, latent, decoder | How do nodules that look alike become neighbours? |
# | `03_diffusion_pretraining` | U-Net, noise | How does a network draw from noise? |
# | `04_conditional_training` | report, context, U-Net | How does a sentence steer a drawing? |
# | `05_evaluation` | judge, probability | How good is it, beside which controls? |
# | `06_variance_analysis` | the K drawings | Does disagreement warn? |
# | `07_ablations` | all, one part taken away | What is each part worth? |
# | `08_comparators` | the U-Net's place | Do ten other systems do better? |
# | `09_autorad_lung` | the judge's place | Does another reader agree? |
#
# In a hurry: 02, 04 and 05, their core sections. For the statistics: 05, 06 and 07.
#
# ### glossary
# Words that this series uses in a sense of its own.
#
# ### arm
# One trained variant of NAMD in a run, such as `namd` or `no_align`; the word is that of clinical
# trials for a group of patients.
#
# ### dial
# The phantom's parameter `phantom_eps`: how much of a nodule's fate is chance. Turned up, less can
# be foreseen.
#
# ### null
# A phantom in which an effect is absent by construction. Whoever finds it there has made a
# mistake. The *null prompt* is another thing: the report that says nothing.
#
# ### oracle
# A generator that draws from the phantom's own law, given baseline and record: the best that
# drawing can be.
#
# ### judge
# The classifier that reads malignancy from one image. It learnt on real follow-ups and reads every
# row of Table 1 in the same way.
#
# ### latent
# The numbers into which the encoder squeezes an image: 256 here for 4,096 pixels.
#
# ### record
# The 13 fields known at the baseline: five of the nodule, eight of the patient. Code `ehr`, paper
# $e$.
#
# ### gap
# The way in AUROC from the real baseline image to a ceiling: the real follow-up, or the oracle.
#
# ### share
# How much of a gap a system closes: 0 is the baseline, 1 the ceiling. It may lie outside.
#
# ### true risk
# The probability of malignancy that the phantom's law gives a patient, given all that is known at
# the baseline.

# %% [markdown]
# ## Paper and this run
# The paper's numbers are of patients, the reference run's of phantoms; so none compares.

# %%
table = pd.read_csv(folder / "table1.csv").set_index("row")
ours = {"Real baseline LDCT": "real baseline", "NAMD": "namd", "Real follow-up LDCT": "real follow-up"}
rows = [dict(quantity=f"AUROC, {name}", paper=PAPER["table1"][name]["auroc"][0],
             here=round(table.auroc_mean[row], 3), n=int(table.n[row]), k=int(table.k[row]))
        for name, row in ours.items()]
way = table.auroc_mean["real follow-up"] - table.auroc_mean["real baseline"]
share = (table.auroc_mean["namd"] - table.auroc_mean["real baseline"]) / way
rows.append(dict(quantity="share of the gap closed", paper=PAPER["gap_closed_auroc"], here=round(share, 2)))
run.panel(rows)

# %% [markdown]
# ## Exercises
# ### 1 · Implement
# Compute the Brock risk of our patient by hand. With $d$ the longest diameter in mm, the log odds
# are
#
# $$\eta = -6.7892 + 0.0287\,(\text{age} - 62) - 5.3854 \left(\sqrt{10 / d} - 1.5811\right)
# + \text{what applies of:}$$
#
# 0.6011 (female), 0.2961 (family history), 0.2953 (emphysema), 0.7729 (spiculated), 0.6581 (upper
# lobe). The risk is $1 / (1 + e^{-\eta})$. Call it `mine`; then
#
#     check("Brock by hand", np.isclose(mine, brock.risk(ehr)[0], atol=1e-4), mine)

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
e = ehr.iloc[0]
odds = -6.7892 + 0.0287 * (e.age - 62) + 0.6011 + 0.2953 - 5.3854 * ((e.sct_long_dia / 10) ** -0.5 - 1.58113883)
mine = 1 / (1 + np.exp(-(odds + 0.7729 + 0.6581)))
check("Brock by hand is the module's", np.isclose(mine, brock.risk(ehr)[0]), f"{mine:.3f}")

# %% [markdown]
# ### 2 · Predict
# Which moves p of our patient more: twelve years of age, or emphysema? Write your guess down, then
# ask `what_if(arm, patient, seeds, ...)`. Does the order stay for the man of 64?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
for name, sitter in list(others.items())[::2]:
    p = {str(ask): what_if(arm, sitter, seeds, **ask).prob.mean() for ask in (
        dict(age=57), dict(age=69), dict(emphysema=False), dict(emphysema=True))}
    low, high, without, ill = p.values()
    print(f"{name.split(',')[0]}: twelve years {high - low:+.2f}, emphysema {ill - without:+.2f}")
print("Differences of a few hundredths are within the noise of K drawings: raise K before you conclude.")

# %% [markdown]
# ### 3 · Break it
# Let the record lie: 4 mm in the text, 10 mm in the image. Whom does the pipeline believe?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
lie = follow_ups(arm, first.x1, patient.record(sct_long_dia=4.0), seeds)
print(lie.report)
print(f"told the truth: {first.said}")
print(f"told 4 mm:      {lie.said}")

# %% [markdown]
# ### 4 · Derive
# A friend proposes to draw 1,000 follow-ups, to train a new judge on drawings, and so to beat the
# record. Can the AUROC of that judge lie above that of the best reader of baseline and record?

# %%
# your turn

# %% [markdown]
# <details><summary>Solution</summary>
#
# No. The 1,000 drawings and whatever is computed from them are functions of baseline, record and
# noise. The noise knows nothing of $L$, so the inequality holds for all of them together. The best
# reader of baseline and record ranks by $P(L \mid X^{(1)}, e)$, and no other ranking of these
# patients has a larger expected AUROC. On one test set, luck may reverse two readers that are
# close; over many patients it cannot.
#
# </details>

# %% [markdown]
# ## In practice
# - On your own CT: `python -m namd predict`, described in `namd/predict/README.md`. With phantom
#   weights its numbers mean nothing for a patient.
# - With NLST, the same notebooks read the real delivery; its tables need an agreement with the
#   Cancer Data Access System (CDAS) of the National Cancer Institute (NCI), its images are open.
# - Guidelines are more than these five paragraphs: calcified and fatty nodules, several nodules,
#   growth, 4X. Nothing here replaces them.
#
# ## Summary
# - A nodule has a kind, a margin, a size and a risk; size decides when one looks again.
# - Image to latent, record to context; from noise the U-Net draws a latent, which becomes an
#   image.
# - K drawings have a mean, and a spread that sits at the rim.
# - A drawing cannot know more about the diagnosis than what it was drawn from.
# - On the phantom the record alone reads best; the drawing gains over the baseline image, and
#   nearly as much as a perfect one would.
#
# ## Further reading
# - [National Lung Screening Trial](https://doi.org/10.1056/NEJMoa1102873), *NEJM* 2011: what
#   screening saves, and what it costs.
# - [Lung-RADS v2022](https://www.acr.org/Clinical-Resources/Reporting-and-Data-Systems/Lung-Rads),
#   and Christensen and others, *Chest* 2024: the reasons behind the categories.
# - [Fleischner Society 2017](https://doi.org/10.1148/radiol.2017161659), *Radiology*: nodules
#   found by chance.
# - [McWilliams and others](https://doi.org/10.1056/NEJMoa1214726), *NEJM* 2013: the Brock model.
# - Henschke and others, *AJR* 2002: how often each kind of nodule was malignant.
# - Cover and Thomas, *Elements of Information Theory*, Section 2.8: the data-processing
#   inequality.

# %%
run.finish(prob=float(prob["as she is"]), seconds_a_patient=round(seconds, 2))
