"""Inputs of notebooks 02 and 04 without notebook 01: a random cohort, tiny models, random latents."""

import json

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from namd.data import cohort
from namd.data.report import NODULE
from namd.ground import marks, paths, seeding
from namd.ground.marks import sha256
from namd.ground.order import Job
from namd.models import unet
from namd.models.llm import build_llm, pretraining_texts
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
SCRATCH = ["vae_path=", "unet_path=", "llm_path="]      # nets small enough for many steps


def parameters(number, **changed):
    """The declared parameters of a notebook in the smoke profile, with changes."""
    return Plan([SMOKE], SCRATCH).parameters(Job(number, "namd")) | changed


def write_cohort(folder, n=32):
    """A cohort of n pairs of noise, three quarters of them for training, the rest for validation."""
    rng = seeding.numpy_rng("small cohort")
    drawn = {name: rng.random(n) if dtype == "float32" else [f"{name} {i}" for i in range(n)] if dtype == "string" else
             rng.integers(1, 3, n) == 2 if dtype == "boolean" else rng.integers(1, 3, n)
             for name, dtype in cohort.SCHEMA.items()}
    table = pd.DataFrame(drawn).astype(cohort.SCHEMA)
    table["t0_index"], table["t1_index"] = range(n), range(n, 2 * n)
    table["split"] = ["train" if i < 3 * n // 4 else "val" for i in range(n)]
    table["label"] = table["label"] - 1
    for name in (name for name in [*NODULE, *(f"t1_{name}" for name in NODULE)] if name.endswith("_dia")):
        table[name] = rng.uniform(4, 20, n).round()
    table["age"] = rng.integers(55, 75, n)
    table["interval_days"] = 365
    marks.begin(folder.parent)
    folder.mkdir()
    table.astype(cohort.SCHEMA).to_parquet(folder / "pairs.parquet")
    np.save(folder / "crops.npy", rng.integers(-1000, 400, (2 * n, 128, 128), dtype=np.int16))
    digests = {name: sha256(folder / name) for name in ("pairs.parquet", "crops.npy")}
    (folder / "manifest.json").write_text(json.dumps(dict(
        schema_version=cohort.SCHEMA_VERSION, synthetic=True, sha256=digests)))
    return cohort.Cohort.open(folder)


def write_inputs(root, **changed):
    """What notebook 04 of the arm namd reads, below `root`; `changed` are parameters of the small models."""
    pairs = write_cohort(root / "cohort")
    plan, arm = Plan([SMOKE]), root / "arms" / "namd"
    p = type("P", (), plan.values | {"llm_steps": 0} | changed)
    build_llm(root / "llm", pretraining_texts(pairs.split("train").ehr), p)
    for split in ("train", "val"):
        shape = (len(pairs.split(split)), 8, 4, 8, 8)
        (arm / "latents").mkdir(parents=True, exist_ok=True)
        save_file({f"z{visit}_{name}": seeding.noise(shape, split, visit, name).abs() if name == "std" else
                   seeding.noise(shape, split, visit, name) for visit in (1, 2) for name in ("mean", "std")},
                  arm / "latents" / f"{split}.safetensors")
    unet.build_unet(arm / "unet_start", p)
    net = unet.load_unet(arm / "unet_start")
    unet.widen_context(net, p.llm_hidden, p.seed)
    net.save_pretrained(arm / "unet_uncond")
