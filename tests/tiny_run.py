"""A finished run of untrained toy models, real cohort and real reader included: what notebooks 01-05 leave behind."""

import json
from types import SimpleNamespace

import torch
from small_delivery import PARAMS, tables, write_delivery
from small_llm import records

from namd.data.nlst.build import build_cohort
from namd.data.report import report_texts
from namd.ground import seeding
from namd.models import llm, unet, vae
from namd.models.diffusion import schedule
from namd.models.judge import Judge
from namd.models.pipeline import NAMDPipeline
from namd.models.prompts import SoftPrompts, encode_all

P = SimpleNamespace(
    seed=23, device="cpu", precision="float32", image_size=64, window_low=-1000, window_high=400, vae_path="",
    vae_channels=[8, 8, 8], vae_layers=1, llm_path="", llm_dtype="float32", llm_hidden=32, llm_layers=2, llm_steps=0,
    unet_path="", unet_channels=[16, 32], unet_layers=1, unet_heads=2, n_timesteps=1000, beta_start=8.5e-4,
    beta_end=1.2e-2, beta_schedule="scaled_linear", prediction_type="v_prediction", zero_terminal_snr=True,
    timestep_spacing="trailing", ddim_steps=2, eval_batch=5,
)


def write_arm(root):
    """root/llm and root/arms/namd/namd: models whose inputs reach their output; returns the arm's folder."""
    folder, ehr = root / "arms" / "namd", records(40)
    llm.build_llm(root / "llm", llm.pretraining_texts(ehr), P)
    lm, tokenizer = llm.load_llm(root / "llm")
    vae.build_vae(root / "vae0", P)
    unet.build_unet(root / "unet0", P)
    model = unet.load_unet(root / "unet0")
    unet.widen_context(model, 32, seed=23)
    unet.widen_input(model)
    with torch.no_grad():
        model.conv_in.weight[:, 4:] = 0.1 * seeding.noise((16, 4, 3, 3), "test")
    prompts = SoftPrompts.begin(lm, 2, 2, 23)
    prompts.fit_standardisation(encode_all(lm, tokenizer, prompts, report_texts(ehr)))
    NAMDPipeline(vae.load_vae(root / "vae0").vae, model, schedule(P), prompts, root / "llm",
                 ddim_steps=P.ddim_steps).save_pretrained(folder / "namd")
    return folder


def write_run(root):
    """A run that `predict` accepts: cohort of 5 participants, one arm, a judge and the stamps of 04 and 05."""
    made = tables()
    made["people"]["dataset_version"] = "synthetic phantom"
    build_cohort(write_delivery(root / "delivery", made), root / "cohort", PARAMS, progress=lambda line: None)
    parameters = {**vars(P), "arm": "namd"}
    stamp = dict(arm="namd", digest="0123abcd", key="0123abcd" * 8, commit="4ab113f", parameters=parameters)
    for folder, number in ((write_arm(root), "04"), (root, "05")):
        (folder / "runs").mkdir()
        (folder / "runs" / f"{number}.json").write_text(json.dumps(stamp))
    with seeding.fresh_weights("judge"):
        Judge(P.image_size, 8, 16, 1, 2, 8, 32, 0.0).save(root / "judge")
    return root
