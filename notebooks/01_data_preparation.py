# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Prepare the pairs: from a delivery to the cohort
# The National Lung Screening Trial (NLST) comes as tables and CT series. Here they become pairs: the
# same nodule at the baseline and at the next screen, with the [record](00_start_here.ipynb#record) of
# its patient and a label that we can defend.
#
# *Paper:* [NAMD](https://arxiv.org/abs/2603.15932), Section 3.1, Section 4.1.1, Appendix C (Table 2,
# Figure 4). *Previous:* `00_start_here`. *Next:* `02_aligned_vae`.
#
# *Reading:* 14 minutes; the core, sections 3 to 6, takes 7. The rest is optional.
#
# ## What you will do
# Read a delivery (the tables and CT series as NCI and TCIA send them) and write the cohort:
# `cohort/`, the small language model `llm/`, three figures and the count of all that was refused.
#
# ## What you will learn
# - Decode a row of an NLST table and say why 1 sometimes means no.
# - Convert stored pixels to Hounsfield units and to a crop in millimetres, by hand.
# - Decide whether a nodule may be called malignant, and name the cases that stay open.
# - Account for every input row: a pair, or a refusal with a reason.
# - Explain who has a second image at all, and what this selection does to a study of pairs.
# - Turn a record into a radiology report without inventing what is missing.
#
# ## What you need
# Some pandas, and the idea that a CT slice is an array of numbers. Notebook 00 shows a nodule and
# explains its words; you need nothing else.
#
# | | quick, 2 CPU cores | paper, one GPU |
# |---|---|---|
# | time | 2 min | 1 h, mostly reading disks (estimate) |
# | memory | 1.5 GB | 4 GB (estimate) |
# | disk | 0.8 GB | 0.2 GB beside the delivery (estimate) |

# %% tags=["parameters"]
run_name: str = "quick"              # folder below outputs/
seed: int = 23                       # names every random draw of the language model (App. B)
device: str = "auto"                 # auto, cpu or cuda
threads: int = 1                     # torch threads of this process
data_source: str = "phantom"         # writes a synthetic delivery; delivery and open read a real one
data_delivery: str = ""              # folder of a real delivery (NLST, Sec. 4.1.1)
data_workers: int = 0                # processes that read DICOM, 0 is one per core
data_label_days: int = 2555          # days after the first screen of the pair within which a cancer counts
data_second_year: bool = True        # pairs of T1 and T2 too, where a list names the nodule in both
data_refused_share: float = 0.2      # of the nodules may be lost to their images
data_val_share: float = 0.15         # share of the patients outside test that validate
data_test_share: float = 0.4445      # share of all patients held out (paper: 450 of 1,226)
data_split_seed: int = 23            # seed of the split by patient
image_size: int = 64                 # pixels of 0.6 mm that the models see
window_low: int = -1000              # HU shown as -1
window_high: int = 400               # HU shown as +1
phantom_subjects: int = 2700         # subjects of the synthetic delivery
phantom_seed: int = 23               # seed of the synthetic delivery
phantom_eps: float = 0.45            # unpredictable part of a nodule's fate (the dial)
phantom_gmax: float = 0.8            # largest growth of the log diameter in a year
phantom_null: str = "none"           # a law without the effect: growth_given_label, no_record_effect
vae_path: str = "outputs/reference/models/small-sd"     # VAE of 02, for Section 5: whom it has seen
unet_path: str = "outputs/reference/models/small-sd"    # U-Net of 03: the same
flux_path: str = "outputs/reference/models/small-sd"    # Flux of 08: the same
llm_path: str = "outputs/reference/models/small-gemma"  # language model; empty builds a small Gemma 3 (Sec. 3.3.1)
llm_steps: int = 250                 # pretraining steps of the small model
llm_hidden: int = 64                 # width of the small model (MedGemma: 2560)
llm_layers: int = 2                  # layers of the small model (MedGemma: 34)

# %% [markdown]
# The stamp below says which run this is and whether its data are a phantom.

# %%
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from IPython.display import display

from namd.data import refused, report
from namd.data.codes import CANCER_SITE, CODES
from namd.data.cohort import Cohort
from namd.data.dicom.geometry import find_instance, find_position, find_sop
from namd.data.dicom.pixels import read_hu, resample_crop
from namd.data.dicom.series import find_series, read_series, series_uid
from namd.data.images import HU_HIGH, HU_LOW, centre_crop, window
from namd.data.leakage.common import of_cohort, refuse
from namd.data.nlst.build import build_cohort, check_refused_share, doubtful, is_current
from namd.data.nlst.labels import label_nodule
from namd.data.nlst.links import link_nodules
from namd.data.nlst.participants import participants
from namd.data.nlst.rows import is_missing
from namd.data.nlst.tables import read_delivery, read_files
from namd.data.phantom.delivery import write_delivery
from namd.evaluation.figures import plots, worked
from namd.evaluation.tables import told_pairs
from namd.ground.keys import Keyed
from namd.ground.paper import PAPER
from namd.ground.paths import REPO
from namd.models.llm import build_llm, pretraining_texts
from namd.study.lesson import told
from namd.study.notebook import check, show, start

run = start("01_data_preparation", globals())


# %%
run.map()

# %% [markdown]
# ## 1 · Find the delivery, or write one
# *Optional.* NLST's images are terabytes, and some of its tables are given on request only: you
# probably have neither yet. The phantom stands in. It writes what the National Cancer Institute
# (NCI) and its image archive (TCIA) would send: CSV tables with NLST's columns and codes, and DICOM
# files with NLST's geometry. How much of a nodule's future can be foreseen is set by `phantom_eps`,
# the [dial](00_start_here.ipynb#dial); `phantom_null` switches one effect off, which gives a
# phantom for a negative control (a [null](00_start_here.ipynb#null)). **There is one reader.** From
# here on, nothing knows which of the two it reads.
#
# Three things are slow to make: the delivery, the cohort and the language model. Each is kept with
# the key of the work that made it (parameters, code, what it read) and made again when the key
# changes. The old one stays in `.previous/`, in case you take an edit back. A series that you add to
# the delivery, or replace, makes a new cohort.
#
# The cohort is built here, before we look at anything: the sections below retrace, on nodules that
# could be read, how it was built. A file that cannot be read costs its nodule, not the notebook.

# %%
# papermill_description=write the phantom delivery
delivery = run.root / "delivery" if data_source == "phantom" else REPO / data_delivery
law = (phantom_subjects, phantom_seed, phantom_eps, phantom_gmax, phantom_null)
written = Keyed(delivery, run.part_key(["namd.data.phantom.delivery"], [], *law))
if data_source == "phantom" and not written.current():
    written.set_aside()
    write_delivery(delivery, *law, workers=data_workers)
    written.sign()

# %% [markdown]
# File names of NLST tables differ between releases: `participant_d040722.csv`,
# `nlst_780_prsn_idc_20210527.csv`. The reader never looks at them. It knows a table by its columns,
# in upper or lower case, and a series by what its DICOM headers say. A file that is no table is
# skipped and listed below; if a needed one cannot be read, the notebook stops here and says why.

# %%
tables, files = read_delivery(delivery), read_files(delivery)
pd.DataFrame([dict(file=file.name, rows=None if file.refusal else len(file.text), recognised=file.kind,
                   passed_over=str(file.refusal or "")) for file in files])

# %%
# papermill_description=read every series
built = Keyed(run.root / "cohort", run.part_key(["namd.data.nlst.build"], []))
if not (built.current() and is_current(built.path, delivery, run.p)):
    built.set_aside()
    build_cohort(delivery, built.path, run.p)
    built.sign()
run.made("cohort")
cohort = Cohort.open(run.root / "cohort")
check_refused_share(cohort, data_refused_share)
counts = cohort.manifest["counts"]

# %% [markdown]
# ## 2 · Read three rows and their codes
# *Optional.* The table of abnormalities has one row for each finding of each screen. Code 51 is the
# one that matters: a non-calcified nodule or mass of at least 4 mm. As text, three such rows look
# like this:

# %%
text = {kind: pd.concat([file.text for file in files if file.kind == kind and not file.refusal]).fillna("")
        for kind in ("abnormalities", "participant")}
kept = tables.kept["abnormalities"]
rows = text["abnormalities"].loc[kept[(kept.sct_ab_desc == 51) & (kept.study_yr == 0)]._row.head(3)]
rows[["pid", "sct_ab_num", "sct_epi_loc", "sct_pre_att", "sct_margins", "sct_long_dia", "sct_slice_num"]]

# %% [markdown]
# Numbers stand for words, and the words are in NCI's
# [data dictionaries](https://cdas.cancer.gov/datasets/nlst/). The module holds the list of codes of
# each column, and a test compares it with the dictionary's own text, because public code often has it
# wrong: there is no lobe 7 and no attenuation 5.

# %%
decoded = rows[["pid"]].copy()
for name in ("sct_epi_loc", "sct_pre_att", "sct_margins"):
    decoded[name] = pd.to_numeric(rows[name], errors="coerce").map(CODES[name]).fillna("missing")
decoded

# %% [markdown]
# The usual trap: in the comparison table *1 is no and 2 is yes*, while in the participant table
# 0 is no and 1 is yes.

# %%
{name: CODES[name] for name in ("sct_ab_preexist", "diagemph")}

# %% [markdown]
# Missing values have reasons: `.N` not applicable, `.M` missing, `.S` unable to determine. Slice
# number 999 is missing too, and so is an empty cell, also where a program wrote `NA` or `NULL` into
# it. The reader keeps each reason and never fills a gap. Because of a code outside its list, a word
# where a code belongs or an impossible diameter, the row is refused, not the table.

# %%
told("{kept:,} of {rows:,} rows are kept, {refused:,} refused.".format(**pd.DataFrame(tables.counts).T.sum()))
pd.DataFrame(tables.counts).T

# %%
people = tables.kept["participant"]
name = "diagemph" if "diagemph" in people else "gender"              # the open tables lack diagemph
people[name + "__why"].replace("", "known").value_counts().rename(name).to_frame()

# %%
check("rows kept and rows refused add up",
      all(count["kept"] + count["refused"] == count["rows"] for count in tables.counts.values()))
check("a value is missing exactly where the text holds a missing code",
      people[name].isna().sum() == is_missing(text["participant"].loc[people._row, name]).sum(),
      people[name].isna().sum())

# %% [markdown]
# ## 3 · Link the years and give a label
# NLST numbers its findings anew each year, so `sct_ab_num` does **not** tell you which nodule is
# which over the years: on the public list NLSTx the number changes for one nodule in five. And NLST
# recorded no x and y at all. A second source is needed, a list of nodule centres (NLSTx, LUNA25,
# GM-AE, or the boxes of the Sybil study in NCI's Imaging Data Commons, IDC), and it often names the
# same nodule in both years. Each pair stores how it was linked:
#
# | tier | link | condition |
# |---|---|---|
# | A | the list names the nodule in both years | at T1 it is not called new (`sct_ab_preexist` is not 1, "no") |
# | B | one code-51 row in each year | same lobe (lingula = left upper), `sct_ab_preexist` is 2, "yes" |
# | C | a list's own name of the nodule in both years | its rows are looked for once the images are read |
# | none | anything else | refused: an ambiguous link is not guessed |
#
# T0, T1 and T2 are the three yearly screens of NLST. A tier C nodule has no row before its images are
# read; if none lies at its place, its features stay unknown. With `data_second_year` a list also
# pairs T1 with T2.

# %%
linked, refused_links = link_nodules(tables, data_label_days, data_second_year)
links = pd.DataFrame([dict(tier=x.tier, same_number=None not in (x.before, x.after) and
                           x.number == x.after["sct_ab_num"], label=x.label) for x in linked]).astype({"label": "Int8"})
links.groupby(["tier", "same_number"]).label.agg(nodules="size", malignant="sum")

# %% [markdown]
# A *wrong label* is worse than a missing pair. NLST knows which participant had cancer, not which
# nodule. The authors put the participant's label on every nodule. Our rule has a name, stored with
# each pair:
#
# - **benign**: the participant is in no row of the cancer table;
# - **malignant**: the first cancer was found 1 to `data_label_days` days after the first screen of
#   the pair, in the nodule's lobe, and the nodule is the largest there or annotated malignant;
# - **everything else is refused** (codes E13 and E14), such as the other nodules of a cancer patient.
#
# By hand, for one malignant nodule (outside the left upper lobe, where the rule also accepts the
# lingula) and two benign ones, the first of each that is in the cohort and has its rows from the
# start:

# %%
in_cohort = set(cohort.pairs.nodule_id)
read = [x for x in linked if x.nodule_id in in_cohort]
rows_known = [x for x in read if x.before and x.year == 0]
three = [x for x in rows_known if x.label == 1 and x.before["sct_epi_loc"] in (1, 2, 3, 6)][:1]
three += [x for x in rows_known if x.label == 0][:2]
everybody = participants(tables)                                   # pid -> all that the tables say
by_hand = []
for x in three:
    day = everybody[x.pid].diagnosis_day
    days = None if day is None else day - x.person["scr_days0"]
    site = CANCER_SITE.get(x.before["sct_epi_loc"])
    there = x.person.get(site)
    by_hand.append(dict(pid=x.pid, days_to_cancer=days, site=site, cancer_there=there,
                        label=int(days is not None and 1 <= days <= data_label_days and there == 1)))
pd.DataFrame(by_hand)

# %%
show(label_nodule)

# %%
check("the label by hand is the module's", [row["label"] for row in by_hand] == [x.label for x in three])
check("no participant has a benign and a malignant nodule",
      pd.DataFrame([(x.pid, x.label) for x in linked]).groupby(0)[1].nunique().max() == 1)

# %% [markdown]
# ## 4 · Read one slice by hand
# The list names a series and a slice number. We open that series by its headers first; pixels are
# read from one file only. Slices are ordered by where they lie, the position of the first pixel
# along the slice normal, for file names promise nothing.

# %%
link = (three + read)[0]
centre = link.start
folder = next(folder for folder in find_series(delivery) if series_uid(folder) == centre.uid)
series = read_series(folder)
pd.DataFrame([dict(file=Path(s.path).name, InstanceNumber=s.instance, z_mm=s.along)
              for s in series.slices]).head(6)

# %% [markdown]
# Read downwards: z rises from the feet to the head. In most series InstanceNumber runs the other
# way, in some it does not. NLST's slice number **is** InstanceNumber, so the slice is looked up
# by it and never counted.
#
# A stored pixel is not yet a density. Each file carries its own slope and intercept:
#
# $$\text{HU} = \text{pixel} \times \text{slope} + \text{intercept}$$
#
# with air at -1000 HU, lung near -850 and soft tissue near 40.

# %%
if centre.point is None:
    i = find_sop(series, centre.sop) if centre.sop else find_instance(series, int(centre.instance))
    pixel = centre.pixel
else:
    i, pixel = find_position(series, centre.point)
file = pydicom.dcmread(series.slices[i].path)
stored = file.pixel_array                                          # (H, W)
hu = stored * float(file.RescaleSlope) + float(file.RescaleIntercept)    # float64
print(f"stored {stored.min()} to {stored.max()}, intercept {file.RescaleIntercept}: "
      f"{hu.min():.0f} to {hu.max():.0f} HU")

# %% [markdown]
# A pixel of NLST measures 0.48 to 0.89 mm. A crop in pixels would show the same nodule larger or
# smaller from year to year, and a network would learn growth that never happened. So every crop
# is resampled to 0.6 mm. One crop pixel by hand, between its four native neighbours:
#
# | symbol | code | meaning | unit |
# |---|---|---|---|
# | $(c_x, c_y)$ | `pixel` | nodule centre, column and row | native pixels |
# | $s$ | `spacing` | side of a native pixel | mm |
# | $(u, v)$ | `u, v` | column and row in the crop | crop pixels of 0.6 mm |

# %%
spacing, (u, v) = series.slices[i].spacing, (70, 61)
x = pixel[0] + (u - 63.5) * 0.6 / spacing                          # native column
y = pixel[1] + (v - 63.5) * 0.6 / spacing                          # native row
x0, y0 = int(x), int(y)
a, b = x - x0, y - y0                                              # weights of the far neighbours
near = hu[y0:y0 + 2, x0:x0 + 2].clip(HU_LOW, HU_HIGH)              # (2, 2)
top, bottom = (1 - a) * near[:, 0] + a * near[:, 1]
value = (1 - b) * top + b * bottom                                 # HU
print(f"crop pixel ({u}, {v}) lies at native ({x:.2f}, {y:.2f}): {value:.1f} HU")

# %%
show(resample_crop)

# %%
crop = resample_crop(read_hu(series.slices[i].path), spacing, pixel)     # (128, 128) int16
check("pixels to HU by hand is the module's", np.allclose(hu, read_hu(series.slices[i].path), atol=0.01))
check("the crop pixel by hand is the module's, to the rounding", abs(crop[v, u] - value) <= 0.51, crop[v, u])

# %% [markdown]
# The crop is kept as int16 HU, 128 pixels wide: 76.8 mm, enough to turn it by 45 degrees. The
# models see the middle `image_size` pixels, windowed to [-1, 1]. The window is a setting of the
# models, so the cohort stores none.

# %%
seen = window(centre_crop(crop, image_size), window_low, window_high)    # (S, S)
mid = (2 * crop[64, 64] - window_low - window_high) / (window_high - window_low)
check("the window is one line", np.isclose(seen[image_size // 2, image_size // 2], np.clip(mid, -1, 1)))

# %%
steps = [window(picture, window_low, window_high) for picture in (hu, crop)] + [seen]
run.figure(plots.image_grid([steps], ["native slice", "crop, 76.8 mm", f"image, {0.6 * image_size:.1f} mm"],
                              title="The same millimetres, whatever the scanner (n = 1)", synthetic=run.synthetic),
           "slice_to_image")
told(f"A pixel of this scanner is {spacing:.2f} mm wide: the crop's {crop.shape[0]} pixels of 0.6 mm come from"
     f" {crop.shape[0] * 0.6 / spacing:.0f} of its own.")

# %% [markdown]
# **What to see.** The nodule sits in the middle of the crop and of the image, at the same size in
# millimetres whatever the scanner. The spine, if in view, lies at the bottom: rows run to the
# patient's back, columns to the patient's left.

# %% [markdown]
# ## 5 · Account for every nodule, and for who is missing
# `build_cohort` did the same for every nodule, in several processes, with the crops streamed to one
# file. The split came last: by patient, with the same share of malignant patients in each part.

# %%
lost = pd.read_csv(run.root / "cohort/refused.csv")
with pd.option_context("display.max_colwidth", 120):
    display(run.table(refused.counted(lost), "refused"))
lost = lost[lost.stage != "tables"]

# %%
kept = cohort.pairs.groupby(["center_source", "link_tier", "t0_year"]).label.agg(pairs="size", malignant="sum")
told(told_pairs.kept(len(cohort.pairs), lost), told_pairs.interval(cohort.pairs.interval_days))
check("every nodule is a pair or has a reason",
      counts["nodules_at_t0"] == len(cohort.pairs) + len(lost), counts["nodules_at_t0"])
kept

# %% [markdown]
# The phantom's second scan comes after about a year, as in NLST. In a clinic an indeterminate
# nodule is often seen again after six to twelve months, as the paper's introduction says; its own
# pairs are a year apart.
#
# Three entries of a DICOM header are no reason to refuse, though HU may be wrong. The cohort keeps
# them as columns (`t0_lossy`, `t0_body_part`, `t0_padding`), and the command `predict` mentions them:

# %%
with pd.option_context("display.max_colwidth", 120):
    display(run.table(doubtful(cohort), "doubtful"))

# %% [markdown]
# **Leakage.** LUNA25, GM-AE, IDC's boxes and LIDC-annot-NLST501 *are* NLST, and one slice may come
# under two names. So patients and images (the bytes of a crop) are compared between the splits, and
# with those that a pretrained model has seen, as its `MANIFEST.json` names them. If they share
# anything, the run ends here:

# %%
leakage = run.table(of_cohort(cohort, run.p), "leakage")
display(leakage)
refuse(leakage)

# %% [markdown]
# From here on we look at training patients only. The test patients stay closed until notebook 05.

# %%
train = cohort.split("train")
x1, x2 = train.images(image_size, window_low, window_high)               # (N, 1, S, S) in [-1, 1]
long_1, long_2 = train.table.sct_long_dia, train.table.t1_sct_long_dia   # mm
order = [n for label in (0, 1) for n in np.flatnonzero(train.label == label)[:4]]
titles = [f"{plots.LABELS[train.label[n]]}\n{long_1.iloc[n]:.0f} to {long_2.iloc[n]:.0f} mm" for n in order]
run.figure(plots.image_grid([x1[order, 0], x2[order, 0]], titles, ["T0, x1", "T1, x2"],
                              title=f"A year apart: {len(order)} of {len(train)} training pairs",
                              synthetic=run.synthetic), "pairs")
told(told_pairs.shown(long_1.iloc[order], long_2.iloc[order], train.label[order]))

# %% [markdown]
# **What to see.** Each column is one nodule, a year apart. The background moves a little: breathing,
# another position, at times another scanner. So the follow-up to predict is not x1 with a larger
# blob. Look for the malignant nodule that hardly grows, and for the benign one that does; the next
# figure counts them.

# %%
growth = pd.DataFrame({"longest diameter at T0 (mm)": long_1,
                       "growth (log ratio of diameters)": np.log(long_2 / long_1),
                       "label": [plots.LABELS[value] for value in train.label]}).dropna()
run.figure(worked.size_and_growth(growth, f"Size and growth overlap, n = {len(growth)} training pairs", run.synthetic),
           "size_and_growth")
told(told_pairs.size_and_growth(long_1, long_2, train.label))

# %% [markdown]
# **What to see.** Malignant nodules are larger at T0 and grow more, and both histograms overlap:
# neither size nor growth alone settles a case. Diameters are whole millimetres, as readers write
# them, so the growth of a small nodule comes in steps.
#
# ### Who has a second image at all?
# Notebook 00 explained
# [Lung-RADS](https://www.acr.org/Clinical-Resources/Reporting-and-Data-Systems/Lung-Rads), by which
# a radiologist decides when to look again. The training nodules at their baseline:

# %%
lung_rads = run.table(told_pairs.categories(train.table), "lung_rads")
told(told_pairs.at_once(lung_rads))
lung_rads

# %% [markdown]
# Here is what a study of pairs cannot see. A nodule that looks dangerous is biopsied; if it is cancer
# it is treated, and **there is no T1 image**. Whoever has a pair looked harmless enough to wait, or
# waited against advice. So in every study of pairs, the paper's too, the cancers are the slower,
# smaller, less conspicuous ones. Numbers of such a study hold for people who were sent home to wait,
# and for nobody else.
#
# On the phantom everybody comes back: its law puts each diagnosis after T1. So you can do what no
# clinic can, take the early cancers out and see what that does. Exercise 2 does it.

# %% [markdown]
# ## 6 · Say the record in words and in numbers
# Table 2 lists 13 features: five of the nodule, **f**, and eight of the patient. Together they are
# the record **e**. Age is that at entry to the trial, also in a pair of T1 and T2. The language
# model reads the record as a report. Figure 4 of the paper shows one; here is its record, and the
# sentence by hand:

# %%
e = dict(sct_pre_att=3, sct_epi_loc=3, sct_long_dia=27, sct_perp_dia=20, sct_margins=1, age=68, diagemph=1,
         gender=1, famfather=1, fammother=0, fambrother=0, famsister=0, famchild=0)
sentence = (f"Lung cancer screening with low dose computed tomography performed for this {e['age']} years old "
            f"{report.GENDER[e['gender']]} with prior diagnosis of emphysema and family history of cancer. A "
            f"{report.ATTENUATION[e['sct_pre_att']]} nodule, with {report.MARGIN[e['sct_margins']]} margin, "
            f"{e['sct_long_dia']} mm in size is present in the {report.LOBE[e['sct_epi_loc']]}.")
sentence

# %%
show(report.report_text)

# %%
check("the report by hand is the module's", report.report_text(e) == sentence)
unknown = report.report_text({**e, "diagemph": None, "sct_margins": 9, "famfather": None})
check("what is missing is called unknown", unknown.count("unknown") == 3)
print(unknown)

# %% [markdown]
# Two things are lost, as in the paper: the perpendicular diameter is not said, and five relatives
# become one phrase. The authors' code also fills gaps, a missing relative as "no" and a missing
# margin as "poorly defined". We say "unknown". The share of training records that lack a feature:

# %%
missing = train.ehr.isna().mean().rename("share missing").to_frame()
missing["reason"] = [", ".join(sorted({json.loads(text).get(name) for text in train.table.missing_reason} - {None}))
                     for name in missing.index]
run.table(missing.rename_axis("feature"), "record_missing")

# %% [markdown]
# The six features at the bottom, emphysema and five relatives, are only in the participant file that
# NCI's CDAS gives on request. With the open tables they are missing for everybody, and every report
# says so.
#
# The alignment loss of notebook 02 needs **f** as numbers. Log diameters become z-scores, codes
# become one-hot vectors divided by $\sqrt 2$, so that two different codes lie at distance 1:

# %%
f, stats = report.nodule_features(pd.DataFrame([e, {**e, "sct_margins": 2}, {**e, "sct_epi_loc": 1}]), "standardised")
distance = np.linalg.norm(f[:, None] - f[None], axis=-1)                 # (3, 3)
distance.round(2)

# %% [markdown]
# ## 7 · Prepare the language model
# *Optional.* The paper takes a language model that others have trained,
# [MedGemma](https://arxiv.org/abs/2507.05201), and so does every profile: `llm_path` names it. On a
# laptop it is `small-gemma`, a Gemma 3 of two layers that `make pretrained` trained on reports of
# invented records: no patient, no label, no image. Where `llm_path` is empty, such a model of
# `llm_layers` layers is trained here, on the reports of the training patients. Notebook 04 explains
# what it must be able to do.

# %%
# papermill_description=prepare the language model
small = Keyed(run.root / "llm", run.part_key(["namd.models.llm"], ["cohort"]))
if not llm_path and not small.current():
    small.set_aside()
    build_llm(small.path, pretraining_texts(train.ehr), run.p, run.device)
    small.sign()
if not llm_path:
    run.made("llm")

# %% [markdown]
# ## Paper and this run
# The paper's 165 malignant and 611 benign add up to 776, the number of subjects, not to the 1,121
# pairs they are printed beside. So we compare subjects, and pairs.

# %%
paper, both = PAPER["cohort"], cohort.split("train", "val").table
parts = {"train_val": both, "test": cohort.pairs[cohort.pairs.split == "test"]}
ours = [dict(quantity="subjects", paper=paper["subjects"], here=counts["patients"])]
for part, table in parts.items():
    ours.append(dict(quantity=f"{part}: pairs", paper=paper[f"{part}_pairs"], here=len(table)))
    ours.append(dict(quantity=f"{part}: malignant subjects", paper=paper[f"{part}_malignant"],
                     here=table[table.label == 1].patient_id.nunique()))
why = "phantom data" if run.synthetic else "other label rule, other lists"
run.panel([{**row, "comparable": False, "why": why} for row in ours])

# %% [markdown]
# The paper counts more than one pair for some subjects (1,121 pairs of 776), so it must also use
# T1 to T2 or several nodules of a subject. This run pairs T0 with T1, and T1 with T2 where
# `data_second_year` asks for it and a list names the nodule in both.

# %% [markdown]
# ## Exercises
# ### 1 · Predict
# A scanner stores pixels of 0.80 mm in one year and 0.60 mm in the next. Before you compute it: by
# what factor does an unchanged nodule grow in a crop of 64 native pixels? What growth in log diameter
# would a network have to explain?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
factor = 0.80 / 0.60
print(f"x {factor:.2f}, log ratio {np.log(factor):.2f}: as much as a fast malignant nodule")

# %% [markdown]
# ### 2 · Predict what selection does
# Suppose that every malignant nodule of category 4A or 4B is found and treated before T1, so that it
# has no pair. Write down first: does the share of malignant nodules rise or fall, and does size at
# T0 become a better or a worse sign of malignancy (AUROC)? Then compute both. What does it mean for
# the gain that a follow-up image shows over the baseline?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
grade = np.array(told_pairs.grades(train.table))
print(told_pairs.selected(long_1, train.label, np.isin(grade, ["4A", "4B"]) & (train.label == 1)))

# %% [markdown]
# <details><summary>Solution in words</summary>
#
# Both fall. The large cancers were the easy ones; those that are left look more like benign
# nodules. The baseline image gets worse as a sign, and the follow-up, in which the slow ones have
# grown, looks all the better beside it. So a part of the gain of any follow-up over the baseline is
# an effect of who is in the study. Whether it is a large part on NLST, nobody can tell from pairs
# alone.
#
# </details>

# %% [markdown]
# ### 3 · Break it
# Read the comparison table with the usual mistake, 1 as yes and 2 as no. How many pairs survive?

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
right = tables.kept["comparison"]
tables.kept["comparison"] = right.assign(sct_ab_preexist=right.sct_ab_preexist.replace({1: 2, 2: 1}))
print(len(link_nodules(tables, data_label_days, data_second_year)[0]), "of", len(linked))
tables.kept["comparison"] = right

# %% [markdown]
# ### 4 · Implement
# Write the window as a function `mine(hu, low, high)` that gives [-1, 1] from HU, clipped, and check
# it against the module on the crop of Section 4:
#
#     check("my window", np.allclose(mine(crop, -1000, 400), window(crop, -1000, 400), atol=1e-6))
#
# Then look at that crop through a radiologist's *soft-tissue* window, -160 to 240 HU, beside ours
# (`plots.image_grid([[a, b]])`). What becomes of lung and ground glass? And how wide must a stored
# crop be, so that you can turn the 64 x 64 image by 45 degrees without an empty corner?
#
# <details class="hint"><summary>Hint</summary>
#
# A line through two points: `low` goes to -1, `high` to 1. For the last question, draw the square and
# its diagonal.
#
# </details>

# %%
# your turn

# %% [markdown] tags=["solution"] jp-MarkdownHeadingCollapsed=true
# #### Solution

# %% tags=["solution", "hide-cell"] jupyter={"source_hidden": true}
def mine(hu, low, high):
    return np.clip(2 * (hu - np.float32(low)) / (high - low) - 1, -1, 1)


check("my window", np.allclose(mine(crop, -1000, 400), window(crop, -1000, 400), atol=1e-6))
soft = mine(crop, -160, 240)
print(f"black in this window: {(soft == -1).mean():.0%}, in ours {(mine(crop, -1000, 400) == -1).mean():.0%}")

# %% [markdown]
# <details><summary>Solution in words</summary>
#
# Lung (about -850 HU) and ground glass (about -600 HU) lie below -160: the soft-tissue window shows
# both black, and a part-solid nodule looks like its small core. That is why our window is wide.
#
# The diagonal of the image must fit: $S \sqrt 2 = 90.5$ pixels for S = 64. The stored crop has 128,
# so 37 pixels are spare.
#
# </details>

# %% [markdown]
# ## In practice
# - NLST's images and 7 of the 13 features are open; the other 6 are in CDAS's tables.
# - `refused.csv` names every refused nodule.
# - `joblib.parallel_config(backend="dask")` lets a cluster run `build_cohort` (extra `[cluster]`).
#
# ### Your own data
# You need one folder: five CSV files under any name, and a folder for each CT series.
#
# ```
# data/own/
#   people.csv  findings.csv  comparison.csv  cancer.csv  nodules.csv
#   ct/100001_0/*.dcm  ct/100001_1/*.dcm  ct/100002_0/*.dcm  ct/100002_1/*.dcm
# ```
#
# Two patients, the second with cancer; days count from a date within ten years, empty is
# unknown:
#
# ```
# people.csv
# pid,age,gender,scr_days0,scr_days1,locrup
# 100001,63,1,0,371,
# 100002,58,2,0,365,1
#
# comparison.csv
# pid,study_yr,sct_ab_num,sct_ab_preexist
#
# cancer.csv
# pid,lc_order,first_lc,candx_days
# 100002,1,1,500
#
# nodules.csv
# PatientID,StudyDate,SeriesInstanceUID,LesionID,CoordX,CoordY,CoordZ,label
# 100001,19990105,1.2.100001.0,1,-60,13.5,0,0
# 100001,20000111,1.2.100001.1,1,-60,13.5,0,0
# 100002,19990105,1.2.100002.0,1,-60,13.5,0,1
# 100002,20000105,1.2.100002.1,1,-60,13.5,0,1
# ```
#
# Coordinates are DICOM's: mm to the left, back, head. Patients get six digits, the first 1 or 2, also
# as DICOM's PatientID; dates are shifted, 1999 is T0 and 2000 T1, as in NLST. The last file has the
# codes of Section 2, and the InstanceNumber of the nodule's slice:

# %%
findings = pd.DataFrame(dict(
    pid=[100001, 100002], study_yr=0, sct_ab_num=1, sct_ab_desc=51,
    sct_epi_loc=1, sct_pre_att=1, sct_margins=[2, 1],
    sct_long_dia=[10, 14], sct_perp_dia=8,
    sct_slice_num=20))
findings                            # .to_csv("data/own/findings.csv", index=False)

# %% [markdown]
# Then:
#
# ```
# .venv/bin/python -m namd doctor data/own
# .venv/bin/python -m namd run 01 --params params/open_quick.yaml -p data_delivery=data/own
# ```
#
# ## Summary
# - Codes decode by closed lists; in the comparison table 1 is no.
# - HU is pixel times slope plus intercept, per file; a crop is in millimetres, not pixels.
# - A nodule is malignant when time, lobe and size or annotation agree; the rest is refused.
# - Pairs and refusals add up to all nodules at T0.
# - Who was treated before T1 has no pair: a study of pairs sees the slower cancers.
# - The report says unknown where the record does, and the cohort keeps the reason.
#
# ## Further reading
# - National Lung Screening Trial Research Team,
#   [*Radiology* 2011](https://doi.org/10.1148/radiol.10091808): what was screened, and how.
# - NCI's [data dictionaries of NLST](https://cdas.cancer.gov/datasets/nlst/): the authority for every
#   code.
# - [DICOM PS3.3](https://dicom.nema.org/medical/dicom/current/output/chtml/part03/PS3.3.html),
#   C.7.6.2 and C.11.1: image plane and rescale slope, where the formulas come from.

# %%
run.finish(pairs=len(cohort.pairs), refused=counts["nodules_refused"], patients=counts["patients"],
           malignant=int(cohort.pairs.label.sum()))
