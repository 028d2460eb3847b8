"""What a run needs and this machine lacks: tables, images, patients, disk and GPU, each with its source."""

import shutil
from collections import Counter

import torch

from namd.data.codes import CENTRE_LISTS, NEEDED
from namd.data.dicom.series import find_series, index_series
from namd.data.nlst.boxes import read_boxes
from namd.data.nlst.crops import n_workers
from namd.data.nlst.labels import split_patients
from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import read_delivery, read_files
from namd.data.phantom.law import draw_subjects
from namd.data.refused import causes
from namd.data.report import FAMILY
from namd.ground.errors import UserError
from namd.ground.paths import REPO, outputs_root
from namd.study.preflight import autorad_inputs, weights
from namd.study.preflight.missing import Missing

ASKED = ("diagemph", *FAMILY)      # not in the open tables
CDAS = "free on request at https://cdas.cancer.gov/nlst/"
FETCH = ".venv/bin/python -m namd fetch --params params/open.yaml"
LISTS = ("NLSTx: https://github.com/benVZ/NLSTx, GM-AE: https://github.com/liaw05/STMixer, LUNA25: "
         "https://luna25.grand-challenge.org, or IDC's Sybil boxes (DICOM SR)")
TABLES = {"participant": "one row a person: age, gender, family history", "abnormalities": "what each reading found",
          "comparison": "whether it was there the year before", "cancer": "confirmed lung cancers"}
SPLITS = ("train", "val", "test")


def missing(p, need_bytes: int) -> list[Missing]:
    """Everything that a run with the parameters `p` and `need_bytes` of disk lacks."""
    return [*data(p), *weights.missing(p), *autorad_inputs.missing(p), *disk(need_bytes), *gpu(p)]


def data(p) -> list[Missing]:
    """What the cohort lacks: of a delivery its files, of a phantom, which notebook 01 writes, its patients."""
    return patients(p) if p.data_source == "phantom" else delivery(p)


def patients(p) -> list[Missing]:
    """Patients of a phantom in each split, and malignant and benign ones where they are told apart.

    Source: ours, because a handful of subjects leaves nobody to validate on, which would show in notebook 02.
    """
    rows = draw_subjects(p.phantom_subjects, p.phantom_seed, p.phantom_eps, p.phantom_gmax, p.phantom_null)
    label = dict(rows["label"])
    split = split_patients(list(label), list(label.values()), p.data_test_share, p.data_val_share, p.data_split_seed)
    counts = Counter(split.values())
    kinds = {(name, label[patient]) for patient, name in split.items()}
    lacks = [f"no patient in {name}" for name in SPLITS if not counts[name]]
    for name in ("train", "test"):
        lacks += [f"no {word} patient in {name}" for word, value in (("benign", 0), ("malignant", 1))
                  if counts[name] and (name, value) not in kinds]
    if not lacks:
        return []
    shares = ", ".join(f"{counts[name]} {name}" for name in SPLITS)
    return [Missing(f"patients: {p.phantom_subjects} phantom subjects ({shares}) leave {' and '.join(lacks)}",
                    "a larger phantom_subjects, or other data_test_share and data_val_share")]


def delivery(p) -> list[Missing]:
    """Tables, nodule list and images below data_delivery."""
    folder = REPO / p.data_delivery
    files = read_files(folder)
    kinds = {file.kind: file.text for file in files}
    lacking = [_unreadable(file) for file in files if file.refusal]
    if not folder.is_dir() and p.data_source != "open":
        lacking.append(Missing(f"folder {p.data_delivery} (data_delivery)", "make it, for the files below"))
    lacking += _tables(folder, files, kinds, p)
    images = _images(folder, p, complete=all(item.optional for item in lacking))
    return [*lacking, *images, *_asked(kinds)]


def _fetch(p) -> str:
    """The command that fetches an open delivery; "" for another one."""
    if p.data_source != "open":
        return ""
    return FETCH if p.data_delivery == "data/open" else f"{FETCH} -p data_delivery={p.data_delivery}"


def _tables(folder, files, kinds, p) -> list[Missing]:
    """Needed tables that are not there, and a list of nodule centres where there is none."""
    perhaps = " or ".join(file.name for file in files if file.kind is None)
    if perhaps:
        perhaps = f" (if it is not {perhaps})"
    lacking = [Missing(f"NLST table `{kind}`: {TABLES[kind]}{perhaps}", _fetch(p) or CDAS) for kind in NEEDED
               if kind not in kinds]
    if not kinds.keys() & set(CENTRE_LISTS) and not read_boxes(folder)[0]:
        lacking.append(Missing("list of nodule centres, for NLST recorded none", _fetch(p) or LISTS))
    return lacking


def _asked(kinds) -> list[Missing]:
    """Columns of the participants that CDAS gives on request, and a report goes without."""
    people = kinds.get("participant")
    if people is None:
        return []
    unknown = [name for name in ASKED if name not in people]
    if not unknown:
        return []
    return [Missing(f"{', '.join(unknown)} of the participants (reports say: unknown)", CDAS, optional=True)]


def _unreadable(file) -> Missing:
    """A CSV file that is there and cannot be used; the run goes without one that is no needed table."""
    if file.kind in (*NEEDED, *CENTRE_LISTS):
        return Missing(f"{file.name}, the `{file.kind}` table: {file.refusal}", "mend or export it again",
                       unreadable=True)
    return Missing(f"{file.name}, passed over: {file.refusal}", "nothing to do, if it is no table of the trial",
                   optional=True, unreadable=True)


def _images(folder, p, complete) -> list[Missing]:
    """CT series; counted one by one where the tables are `complete` enough to say which are needed."""
    fetch = _fetch(p) or ('pip install idc-index; idc download "<series UID>,..." --download-dir '
                          f"{p.data_delivery}")
    if not complete:
        return [] if find_series(folder) else [Missing("CT series (DICOM) of the listed nodules", fetch)]
    try:
        linked, refused = link_nodules(read_delivery(folder), p.data_label_days, p.data_second_year)
    except UserError as error:
        return [Missing(f"the tables: {error}", "mend or export them again", unreadable=True)]
    if not linked:
        return [Missing(f"a nodule at T0 and T1: {len(refused)} are named, none can be linked", causes(refused))]

    wanted = {link.start.uid for link in linked} | {link.end.uid for link in linked}
    workers = n_workers(p.data_workers, len(linked))
    index = index_series(folder, workers)
    absent = wanted - set(index)
    twice = {uid for uid in wanted if len(index.get(uid, [])) > 1}

    lacking = []
    if absent:
        is_sample = p.data_source == "open" and len(absent) < len(wanted)
        lacking.append(Missing(f"{len(absent)} of {len(wanted)} CT series, e.g. {min(absent)}", fetch, is_sample))
    if twice:
        lacking.append(Missing(f"{len(twice)} of {len(wanted)} CT series lie in several folders, e.g. {min(twice)}",
                               "leave one folder of each: " + ", ".join(index[min(twice)]), unreadable=True))
    return lacking


def disk(need_bytes: int) -> list[Missing]:
    """Free space where outputs/ is or will be."""
    root = outputs_root()
    free = shutil.disk_usage(next(folder for folder in (root, *root.parents) if folder.is_dir())).free
    if free >= need_bytes:
        return []
    return [Missing(f"disk space: about {need_bytes / 1e9:.0f} GB needed, {free / 1e9:.0f} GB free",
                    "free some, or set the environment variable NAMD_OUTPUTS to a folder on another disk")]


def gpu(p) -> list[Missing]:
    """A GPU where `device` asks for one."""
    if p.device == "cuda" and not torch.cuda.is_available():
        return [Missing("a GPU that torch can see, for device: cuda", "https://pytorch.org/get-started/locally")]
    return []
