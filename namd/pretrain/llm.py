"""The small multimodal Gemma 3, trained on reports of records that nobody has."""

import numpy as np
import pandas as pd
import torch

from namd.data.report import EHR, FAMILY, GENDER, KNOWN, report_texts
from namd.ground.seeding import numpy_rng
from namd.models.llm import build_llm, eos_states, load_llm, pretraining_texts, probe_score

AGES = (45, 85)                     # years
DIAMETERS_MM = (3.0, 40.0)
SHARE_UNKNOWN = .03                 # of each value
SHARE_RELATIVE = .12                # of each relative
PROBED = 400


def draw_records(n: int, *keys) -> pd.DataFrame:
    """n records, each feature by itself: codes in equal shares, ages and log diameters uniform, some unknown.

    Source: ours, over the ranges of the paper's Table 2, because a prior must not know who is ill.
    """
    rng = numpy_rng(*keys)
    columns = {name: rng.choice(codes, n) for name, codes in KNOWN.items()}
    columns["sct_long_dia"] = np.exp(rng.uniform(*np.log(DIAMETERS_MM), n)).round()     # whole mm, as in NLST
    columns["sct_perp_dia"] = (columns["sct_long_dia"] * rng.uniform(.5, 1, n)).round()
    columns["age"] = rng.integers(AGES[0], AGES[1] + 1, n)
    columns["gender"] = rng.choice(list(GENDER), n)
    columns["diagemph"] = rng.integers(2, size=n)
    columns |= {name: (rng.random(n) < SHARE_RELATIVE).astype(int) for name in FAMILY}
    known = rng.random((n, len(EHR))) >= SHARE_UNKNOWN
    return pd.DataFrame(columns)[EHR].astype(float).where(known)


def train_llm(folder, p) -> dict[str, float]:
    """Build the small language model at folder/llm; how well its states tell age and diameter of other records (R2).

    Args:
        p: pretrain_reports, llm_hidden, llm_layers, llm_steps, seed.
    """
    texts = pretraining_texts(draw_records(p.pretrain_reports, p.seed, "pretrain", "records"))
    build_llm(folder / "llm", texts, p)
    others = draw_records(PROBED, p.seed, "pretrain", "probed")
    with torch.no_grad():
        states = eos_states(*load_llm(folder / "llm"), report_texts(others))
    return probe_score(states, others)
