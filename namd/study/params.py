"""The parameter table: every key, its type, its bounds and its meaning; layering and validation."""

import difflib
import re
import reprlib
from pathlib import Path

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.ground.text import read_text, read_yaml
from namd.study import rules

BASE = REPO / "params" / "paper.yaml"


def num(low, high, meaning):
    return dict(type=float, low=low, high=high, meaning=meaning)


def whole(low, high, meaning):
    return dict(type=int, low=low, high=high, meaning=meaning)


def text(meaning):
    return dict(type=str, meaning=meaning)


def label(meaning):
    return dict(type=str, pattern=r"[a-z0-9][a-z0-9_.-]{0,99}", meaning=meaning)


def one_of(choices, meaning):
    return dict(type=str, choices=choices.split(), meaning=meaning)


def flag(meaning):
    return dict(type=bool, meaning=meaning)


def many(item, meaning):
    return dict(type=list, item=item, meaning=meaning)


WIDTH = whole(1, 65536, "channels")


MILLION = 10**6
TABLE = {
    "run_name": label("folder of the run below outputs/"),
    "arm": label("name of the trained variant: namd or an ablation"),
    "seed": whole(0, 2**31 - 1, "seed of every draw except the cohort's"),
    "device": one_of("auto cpu cuda", "where tensors live"),
    "threads": whole(0, 256, "threads of one process; 0 leaves the choice to torch"),
    "processes": whole(1, 64, "processes that train one stage together"),
    "precision": one_of("float32 tf32 bfloat16", "arithmetic of VAE and U-Net"),
    "data_source": one_of("delivery phantom", "where the NLST tables and series come from"),
    "data_delivery": text("folder of the delivery; empty for the phantom's own"),
    "data_workers": whole(0, 256, "processes that read DICOM; 0 is one per core"),
    "data_label_days": whole(1, 10000, "days after the T0 scan within which a cancer counts"),
    "data_val_share": num(0.01, 0.9, "share of the subjects outside test that validate"),
    "data_test_share": num(0.01, 0.9, "share of all subjects held out for the test"),
    "data_split_seed": whole(0, 2**31 - 1, "seed of the split by patient"),
    "image_size": whole(32, 512, "side of the image in pixels of 0.6 mm"),
    "window_low": whole(-1024, 3000, "HU shown as -1"),
    "window_high": whole(-1023, 3071, "HU shown as +1"),
    "augment": one_of("square rotations", "8 symmetries of the square, or turns of 45 degrees"),
    "phantom_subjects": whole(8, MILLION, "subjects of the phantom delivery"),
    "phantom_seed": whole(0, 2**31 - 1, "seed of the phantom delivery"),
    "phantom_eps": num(0, 10, "noise between risk and fate: the dial"),
    "phantom_gmax": num(0, 3, "largest growth of the log diameter in a year"),
    "phantom_null": one_of("none growth_given_label no_record_effect", "a law without the effect"),
    "vae_path": text("VAE in Hugging Face format; empty builds a small one"),
    "vae_channels": many(WIDTH, "channels of each level of a small VAE"),
    "vae_layers": whole(1, 8, "residual blocks per level of a small VAE"),
    "vae_steps": whole(1, 10 * MILLION, "optimiser steps"),
    "vae_batch": whole(2, 4096, "images per step"),
    "vae_lr": num(1e-8, 1, "learning rate"),
    "vae_lr_schedule": one_of("constant one_cycle", "learning rate over the steps"),
    "lambda_kl": num(0, 1e3, "weight of the Kullback-Leibler term, Eq. 6"),
    "lambda_lpips": num(0, 1e3, "weight of the perceptual term, Eq. 6"),
    "lambda_align": num(0, 1e3, "weight of the alignment loss, Eq. 4"),
    "lambda_pred": num(0, 1e3, "weight of the prediction loss, Eq. 5"),
    "lpips_net": one_of("vgg alex squeeze", "backbone of the perceptual term"),
    "lpips_weights": one_of("imagenet random", "weights of that backbone"),
    "lpips_share": num(0, 1, "share of the batch the perceptual term sees"),
    "align_latent": one_of("pooled flat", "what of z is compared in Eq. 2"),
    "align_features": one_of("standardised raw", "how attributes become numbers"),
    "align_perplexity": num(0, 1e4, "neighbours that set sigma_f; 0 uses sigma_f itself"),
    "sigma_f": num(1e-6, 1e6, "width in attribute space, Eq. 2"),
    "sigma_z": num(1e-6, 1e6, "width in latent space, Eq. 2"),
    "align_temperature": num(1e-6, 1e6, "divides the logits of Eq. 3"),
    "align_floor": num(0, 0.1, "what entries of P and Q are raised by in Eq. 4; 0 is Eq. 4 to the letter"),
    "latent_scale": num(0, 100, "factor on z; 0 measures 1/std on the training set"),
    "llm_path": text("language model in Hugging Face format; empty builds a small one"),
    "llm_steps": whole(0, MILLION, "pretraining steps of a small language model"),
    "llm_hidden": whole(8, 16384, "width of a small language model"),
    "llm_layers": whole(1, 128, "layers of a small language model"),
    "llm_dtype": one_of("float32 bfloat16", "number format of the language model"),
    "text_report": one_of("record none", "what the language model reads: the record's report, or the empty one"),
    "text_n_sets": whole(1, 64, "m of Eq. 7: sets of soft prompts"),
    "text_n_tokens": whole(1, 256, "n of Eq. 7: tokens per set"),
    "text_standardise": flag("whether C has zero mean and unit spread over the training reports"),
    "text_prompt_start": one_of("vocabulary normal", "the prompts before training: words, or .02 N(0, 1)"),
    "text_prompt_lr": num(1e-8, 1, "largest learning rate of the prompts"),
    "text_prompt_steps": whole(-1, 10 * MILLION, "conditional steps that train the prompts; -1 all, 0 none"),
    "unet_path": text("U-Net in Hugging Face format; empty builds a small one"),
    "unet_channels": many(WIDTH, "channels of each level of a small U-Net"),
    "unet_layers": whole(1, 8, "residual blocks per level of a small U-Net"),
    "unet_heads": whole(1, 64, "attention heads of a small U-Net"),
    "n_timesteps": whole(2, 10000, "T, the diffusion timesteps"),
    "beta_start": num(1e-7, 0.999, "beta_1"),
    "beta_end": num(1e-7, 0.999, "beta_T"),
    "beta_schedule": one_of("scaled_linear linear", "how beta grows"),
    "prediction_type": one_of("epsilon v_prediction", "what the U-Net predicts"),
    "zero_terminal_snr": flag("whether x_T is pure noise"),
    "timestep_spacing": one_of("leading trailing", "which timesteps DDIM visits"),
    "ddim_steps": whole(1, 1000, "DDIM steps"),
    "uncond_steps": whole(1, 10 * MILLION, "optimiser steps of Eq. 9"),
    "uncond_batch": whole(1, 4096, "latents per step"),
    "uncond_lr": num(1e-8, 1, "largest learning rate"),
    "uncond_lr_start": num(0, 1, "learning rate before warm-up"),
    "uncond_lr_end": num(0, 1, "learning rate after the cosine"),
    "uncond_warmup": whole(0, 10 * MILLION, "warm-up steps"),
    "cond_steps": whole(1, 10 * MILLION, "optimiser steps of Eq. 10"),
    "cond_batch": whole(1, 4096, "pairs per step"),
    "cond_lr": num(1e-8, 1, "learning rate"),
    "cond_lr_schedule": one_of("constant one_cycle", "learning rate over the steps"),
    "ema_decay": num(0, 0.99999, "decay of the weight average; 0 is none"),
    "grad_clip": num(1e-6, 1e6, "largest gradient norm"),
    "save_every": whole(1, 10 * MILLION, "steps between checkpoints"),
    "judge_dim": whole(8, 8192, "width of the judge"),
    "judge_depth": whole(1, 48, "layers of the judge"),
    "judge_heads": whole(1, 128, "attention heads of the judge"),
    "judge_head_dim": whole(1, 1024, "width of one head"),
    "judge_mlp": whole(1, 65536, "width of the hidden layer"),
    "judge_patch": whole(1, 64, "side of a patch in pixels"),
    "judge_dropout": num(0, 0.95, "dropout of the judge"),
    "judge_steps": whole(1, 10 * MILLION, "optimiser steps"),
    "judge_batch": whole(2, 4096, "images per step"),
    "judge_lr": num(1e-8, 1, "largest learning rate"),
    "judge_attributes": num(0, 1e3, "weight of the attribute head; 0 is none"),
    "judge_seeds": whole(1, 100, "judges trained; the first one fills Table 1"),
    "k_runs": whole(2, 1000, "K, the follow-ups drawn per subject"),
    "oracle_runs": whole(2, 1000, "draws of the oracle per subject"),
    "eval_batch": whole(1, 65536, "images per forward pass"),
    "eval_workers": whole(0, 256, "processes that sample and score rows; 0 is one per core"),
    "eval_lpips_net": one_of("vgg alex squeeze", "backbone of the LPIPS column"),
    "eval_inception": text("torch-fidelity's Inception weights for FID and KID; empty uses the judge's features only"),
    "var_nodules": whole(1, 10000, "nodules whose running variance is drawn"),
    "var_runs": whole(2, 1000, "follow-ups drawn for each of them"),
    "n_boot": whole(10, MILLION, "bootstrap resamples"),
    "compare_arms": many(label("an arm"), "arms that become rows of Table 1"),
    "systems": many(label("a system"), "compared systems, files of namd/forecasters/"),
    "system_arm": label("arm whose VAE the systems on latents share"),
    "system_steps": whole(1, 10 * MILLION, "optimiser steps of each system, all its stages together"),
    "system_tune_steps": whole(1, 10 * MILLION, "steps that each learning rate is tried for"),
    "system_rates": many(num(1e-8, 1, "learning rate"), "learning rates that are tried"),
    "system_batch": whole(2, 4096, "pairs per step"),
    "system_channels": many(WIDTH, "channels of each level of the networks a system brings along"),
    "system_flow_steps": whole(1, 1000, "Euler steps of a flow"),
    "imageflownet_part": whole(1, 64, "ImageFlowNet's flows learn from one pair of a batch in so many"),
    "ddl_cxr_channels": many(WIDTH, "channels of each level of DDL-CXR's U-Net"),
    "ddl_cxr_ddim_steps": whole(1, 1000, "DDIM steps of DDL-CXR"),
    "ddl_cxr_eta": num(0, 1, "share of DDPM's noise in each DDIM step of DDL-CXR"),
    "flux_path": text("FLUX.1 in Hugging Face format; empty builds a small transformer"),
    "flux_rank": whole(1, 1024, "rank of the LoRA on a pretrained FLUX.1"),
}


def suggest(name, known, wording="did you mean {}?"):
    """' did you mean vae_steps?' for a near miss among `known`, else ''."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.7)
    return " " + wording.format(near[0]) if near else ""


def validate(key, value, where="the parameters"):
    """The value of `key` in its type, or a UserError that says how to mend it.

    Source: ours, because papermill passes `vae_lr: 5e-5` on as text and the run fails hours later.
    """
    if key not in TABLE:
        raise UserError(f"{where}: there is no parameter {key!r};{suggest(key, TABLE)}"
                        " params/paper.yaml lists them all.")
    rule = TABLE[key]
    if rule["type"] is not list:
        return _checked(rule, value, f"{where}: {key}")
    if not isinstance(value, list) or not value:
        example = _EXAMPLES[rule["item"]["type"]]
        raise UserError(f"{where}: {key}: {reprlib.repr(value)} is not a list: write {example}.")
    return [_checked(rule["item"], each, f"{where}: {key}, in the list") for each in value]


def _checked(rule, value, where):
    """`value` in the type of `rule` and within its bounds."""
    said = f"{where}: {reprlib.repr(value)}"
    wrong = _wrong_type(rule, value)
    if wrong:
        raise UserError(f"{said} is {wrong}")
    if "choices" in rule and value not in rule["choices"]:
        raise UserError(f"{said} is not one of {', '.join(rule['choices'])}."
                        + suggest(value, rule["choices"], "Did you mean {}?"))
    if "pattern" in rule and not re.fullmatch(rule["pattern"], value):
        raise UserError(f"{said} names a folder: write up to 100 lower-case letters, digits and _ only.")
    if "low" in rule and not rule["low"] <= value <= rule["high"]:
        raise UserError(f"{said} is outside {rule['low']:g} .. {rule['high']:g} ({rule['meaning']}).")
    return float(value) if rule["type"] is float else value


def _wrong_type(rule, value):
    """What is wrong with the type of `value`, and the mend; '' when nothing is."""
    if rule["type"] in (int, float) and isinstance(value, str):
        return f"text, not a number{_dotted(value)}."
    allowed = (int, float) if rule["type"] is float else (rule["type"],)
    return "" if type(value) in allowed else f"not {_NAMES[rule['type']]}: {_MEND[rule['type']]}"


_EXAMPLES = {int: "[8, 16]", float: "[1.0e-4, 1.0e-3]", str: "[namd]"}
_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_MEND = {int: "write it without dot and quotes.", float: "write it like 0.5 or 5.0e-5.",
         bool: "write true or false.", str: "put it in quotes."}


def _dotted(value):
    """The mend for `5e-5`, which YAML 1.1 reads as text."""
    try:
        float(value)
    except ValueError:
        return ""
    head, mark, tail = value.lower().partition("e")
    dotted = head if "." in head else head + ".0"
    return f". YAML 1.1 needs a dot: write {dotted}{mark}{tail}" if mark else ": leave the quotes out"


def read_layer(path):
    """Key-value pairs of one parameter file, not yet validated."""
    path = Path(path)
    if not path.exists():
        names = sorted(str(f.relative_to(REPO)) for f in (REPO / "params").rglob("*.yaml"))
        shown = path.resolve().relative_to(REPO) if path.resolve().is_relative_to(REPO) else path
        raise UserError(f"There is no parameter file {shown}; choose one of {', '.join(names)}.")
    layer = read_yaml(read_text(path, f"The parameter file {path.name}"), path.name)
    if layer is not None and not isinstance(layer, dict):
        raise UserError(f"{path.name} holds no `key: value` lines.")
    return layer or {}


def read_pair(pair):
    """{key: value} of one `-p key=value`, not yet validated; nothing behind the = is the empty text."""
    key, mark, value = pair.partition("=")
    if not mark:
        raise UserError(f"-p {pair}: write -p key=value.")
    return {key.strip(): read_yaml(value, f"-p {pair}") if value.strip() else ""}


def load(files=(), pairs=(), ablations=()):
    """params/paper.yaml, each of `files`, each `key=value` of `pairs`, each of `ablations`: one dict, last wins.

    Raises:
        UserError: a file, a value, or what values are together; one sentence.

    Source: ours, because a file of differences is read as the list of departures from the paper.
    """
    layers = [(Path(f).name, read_layer(f)) for f in (BASE, *files)]
    layers += [(f"-p {pair}", read_pair(pair)) for pair in pairs]
    layers += [(Path(f).name, read_layer(f)) for f in ablations]
    merged = {}
    for where, layer in layers:
        merged.update({key: validate(key, value, where) for key, value in layer.items()})
    rules.check(merged)
    return merged
