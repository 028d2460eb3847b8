"""What parameters must be together: each rule with its keys, checked before anything runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from namd.data.leakage.shipped import training
from namd.forecasters import system_names
from namd.ground.arms import Arm
from namd.ground.errors import UserError

CROP = 128                                  # pixels of a stored crop
SMALLEST = math.log(np.finfo(np.float32).tiny)
RESERVED = ("reference", "course", "rehearsal")     # folders below outputs/ that are no run
HALVED = {"flux", "imageflownet", "imageflownet_record"}


@dataclass(frozen=True)
class Rule:
    """Keys whose values `holds` takes in this order, and the sentence, with {key} for a value, where it is false."""

    keys: str
    holds: Callable
    says: str


def _not_above(first, second):
    return Rule(f"{first} {second}", lambda low, high: low <= high,
                f"{first} ({{{first}}}) is larger than {second} ({{{second}}}): lower it")


def _no_twice(key):
    return Rule(key, lambda values: len(set(values)) == len(values),
                f"{key} ({{{key}}}) names one of them twice: keep one")


def _divides(batch):
    return Rule(f"processes {batch}", lambda n, size: size % n == 0,
                f"processes ({{processes}}) does not divide {batch} ({{{batch}}}): choose a number that does")


def _groups(widths):
    """Groups of a small VAE's norms; its widths must be multiples of it."""
    return 32 if widths[0] % 32 == 0 else 8


def _halves(side, widths):
    """Whether the latents of a `side` px image can be halved between all levels."""
    return side // 8 % 2 ** (len(widths) - 1) == 0


def _log_alpha_bar(n_timesteps, first, last, kind):
    """Logarithm of what is left of the image's variance at t = T."""
    power = 2 if kind == "scaled_linear" else 1
    beta = np.linspace(first ** (1 / power), last ** (1 / power), n_timesteps) ** power
    return np.log1p(-beta).sum()


def _is_arm(main, name):
    """Whether `name` is the main arm or made of files in params/ablations/."""
    return all(file.is_file() for file in Arm.parse(name, main).files)


def _has_one_name(main, name):
    """Whether an arm is called as its folder is, each layer once; a name that nobody can read is refused elsewhere."""
    try:
        arm = Arm.parse(name, main)
        return arm.format(main) == name and len(set(arm.layers)) == len(arm.layers)
    except UserError:
        return True


def _unseen(seed, *paths):
    """Whether no model at `paths`, "" for none, learnt from images of the subjects of `seed`; 01 and 09 ask for more.

    Source: ours; a wrong seed shows before a phantom is written, a wrong patient once the cohort is there.
    """
    return seed not in [training(path).phantom_seed for path in paths if path]


def _named(source, folder):
    """A delivery needs a folder; "" below the checkout would be the checkout."""
    return source == "phantom" or folder.strip()


def _is_written_out(folder):
    """No shell has read a parameter: `~` would be a folder of that name below the checkout."""
    return not folder.startswith("~")


def _as_in_the_paper(path, tanh, order, wording, sampled, skip):
    """Whether what only imported models do otherwise is left alone where there are none."""
    return path or (order, wording) == ("prompts_first", "paper") and not (tanh or sampled or skip)


FOLDERS = ("data_delivery", "lidc_delivery", "vae_path", "unet_path", "llm_path", "flux_path", "judge_path",
           "pipeline_path", "autorad_encoder", "autorad_text", "autorad_autoregressive", "autorad_contrastive")
RULES = (
    Rule("run_name", lambda name: name not in RESERVED,
         "run_name: outputs/{run_name} is no folder of a run: choose another name"),
    Rule("window_low window_high", lambda low, high: low < high,
         "window_low must be smaller than window_high, and {window_low} is not below {window_high}"),
    Rule("image_size", lambda side: side % 8 == 0 and side <= CROP,
         f"image_size ({{image_size}}) must be a multiple of 8, the factor between image and latent, up to {CROP}, the"
         " pixels of a stored crop: use 64"),
    Rule("augment image_size", lambda kind, side: kind != "rotations" or side * math.sqrt(2) <= CROP,
         f"augment: {{augment}} turns a crop of {CROP} px by 45 degrees, which leaves empty corners in image_size"
         " {image_size}: use 88 or less, or augment: square"),
    Rule("data_source data_delivery", _named,
         "data_source is {data_source} and data_delivery is empty: name its folder, or set data_source: phantom"),
    Rule("lidc_source lidc_delivery", _named,
         "lidc_source is {lidc_source} and lidc_delivery is empty: name its folder, or set lidc_source: phantom"),
    *(Rule(key, _is_written_out, f"{key} ({{{key}}}) begins with ~, which stands for a home only where a shell reads"
           " it: write the path in full") for key in FOLDERS),
    Rule("lidc_seed phantom_seed pretrain_seed", lambda own, *others: own not in others,
         "lidc_seed ({lidc_seed}) is that of the cohort ({phantom_seed}) or of the pretraining ({pretrain_seed}), whose"
         " subjects have the same nodules: choose another"),
    Rule("phantom_seed pretrain_seed", lambda cohort, prior: cohort != prior,
         "phantom_seed ({phantom_seed}) is pretrain_seed, that of the subjects whose images trained the small models: a"
         " test subject would be among them, so choose another"),
    Rule("phantom_seed vae_path unet_path flux_path", _unseen,
         "phantom_seed ({phantom_seed}) is that of the subjects whose images trained vae_path ({vae_path}), unet_path"
         " or flux_path, as their MANIFEST.json says: a test subject would be among them, so choose another"),
    Rule("phantom_seed autorad_encoder autorad_text autorad_autoregressive autorad_contrastive", _unseen,
         "phantom_seed ({phantom_seed}) is that of the subjects whose images trained a model of AutoRad-Lung, as its"
         " MANIFEST.json says: the second judge would read test subjects that it has seen, so choose another"),
    Rule("lidc_seed autorad_encoder autorad_text autorad_autoregressive autorad_contrastive", _unseen,
         "lidc_seed ({lidc_seed}) is that of the subjects whose images trained a model of AutoRad-Lung, as its"
         " MANIFEST.json says: a tested nodule would be among them, so choose another"),
    Rule("image_size judge_patch", lambda side, patch: side % patch == 0,
         "image_size ({image_size}) is no multiple of judge_patch ({judge_patch}): use 8"),
    Rule("vae_channels", lambda widths: len(widths) in (3, 4),      # corrflownet's too, where there is a vae_path
         "vae_channels {vae_channels}: a small VAE has 3 or 4 widths, for a latent of factor 8"),
    Rule("vae_channels", lambda widths: not any(width % _groups(widths) for width in widths),
         "vae_channels {vae_channels}: the norms need multiples of 32 throughout, or of 8 after a first width that is"
         " no multiple of 32"),
    Rule("unet_path unet_channels unet_heads", lambda path, widths, heads: path or not any(w % heads for w in widths),
         "unet_channels {unet_channels} do not split into unet_heads ({unet_heads}): use multiples of it"),
    Rule("unet_path image_size unet_channels", lambda path, side, widths: path or _halves(side, widths),
         "unet_channels {unet_channels}: the latents of image_size {image_size} cannot be halved as often: use fewer"
         " widths"),
    Rule("system_channels image_size", lambda widths, side: _halves(side, widths),
         "system_channels {system_channels}: the latents of image_size {image_size} cannot be halved as often: use"
         " fewer widths"),
    Rule("system_channels", lambda widths: not any(width % 8 for width in widths),
         "system_channels {system_channels}: the norms need multiples of 8"),
    Rule("systems image_size", lambda names, side: side % 16 == 0 or not HALVED & set(names),
         f"image_size ({{image_size}}): {', '.join(sorted(HALVED))} halve the image four times, so use 32, 48, 64 ..."
         " or leave them out of systems"),
    Rule("systems flux_path system_channels", lambda names, path, widths: "flux" not in names or path
         or widths[-1] >= 16, "system_channels {system_channels}: a small flux needs a last width of 16 or more: widen"
         " it, or leave flux out of systems"),
    Rule("ddl_cxr_channels unet_heads", lambda widths, heads: not any(width % heads for width in widths),
         "ddl_cxr_channels {ddl_cxr_channels} do not split into unet_heads ({unet_heads}): use multiples of it"),
    Rule("ddl_cxr_channels image_size", lambda widths, side: _halves(side, widths),
         "ddl_cxr_channels {ddl_cxr_channels}: the latents of image_size {image_size} cannot be halved as often: use"
         " fewer widths"),
    Rule("llm_path llm_hidden", lambda path, width: path or width % 8 == 0,
         "llm_hidden is {llm_hidden}: a small language model has four heads of even width; use 8, 16 ..."),
    Rule("align_perplexity vae_batch", lambda wanted, batch: wanted == 0 or 1 < wanted < batch - 1,
         "align_perplexity ({align_perplexity}) must lie above 1 and below vae_batch - 1 ({vae_batch} - 1), or be 0 for"
         " sigma_f"),
    _not_above("beta_start", "beta_end"),
    Rule("n_timesteps beta_start beta_end beta_schedule", lambda *schedule: _log_alpha_bar(*schedule) > SMALLEST,
         "beta_start ({beta_start}) and beta_end ({beta_end}) leave nothing of the image after n_timesteps"
         " ({n_timesteps}): lower beta_end"),
    Rule("ddim_steps n_timesteps", lambda steps, T: steps < T,
         "ddim_steps ({ddim_steps}) must be smaller than n_timesteps ({n_timesteps})"),
    Rule("ddim_skip ddim_steps", lambda skip, steps: skip < steps,
         "ddim_skip ({ddim_skip}) leaves none of ddim_steps ({ddim_steps}): lower it"),
    Rule("pipeline_path vae_tanh text_order text_wording z1_sampled ddim_skip", _as_in_the_paper,
         "vae_tanh, text_order, text_wording, z1_sampled and ddim_skip are read of imported models alone, and"
         " pipeline_path is empty: name their folder (params/authors.yaml), or leave the five as they are in"
         " params/paper.yaml"),
    Rule("pipeline_path arm compare_arms", lambda path, arm, arms: not path or arms == [arm],
         "compare_arms {compare_arms} names arms to train, and the models of pipeline_path ({pipeline_path}) are the"
         " only row that draws: write [{arm}]"),
    Rule("ddl_cxr_ddim_steps n_timesteps", lambda steps, T: steps < T,
         "ddl_cxr_ddim_steps ({ddl_cxr_ddim_steps}) must be smaller than n_timesteps ({n_timesteps})"),
    Rule("zero_terminal_snr prediction_type", lambda zero, kind: not (zero and kind == "epsilon"),
         "zero_terminal_snr is true and prediction_type is {prediction_type}: at t = T the input holds no image, so the"
         " noise says nothing about it; set prediction_type: v_prediction or zero_terminal_snr: false"),
    Rule("text_report text_prompt_steps", lambda report, steps: report != "numbers" or steps == 0,
         "text_report: numbers uses no prompts, and text_prompt_steps is {text_prompt_steps}: set it to 0"),
    _not_above("uncond_lr_start", "uncond_lr"),
    _not_above("uncond_lr_end", "uncond_lr"),
    _not_above("uncond_warmup", "uncond_steps"),
    _divides("vae_batch"),
    _divides("uncond_batch"),
    _divides("cond_batch"),
    _no_twice("compare_arms"),
    _no_twice("systems"),
    _no_twice("system_rates"),
    Rule("arm compare_arms", lambda arm, arms: not _is_arm("", arm),
         "arm is {arm}, the name of an ablation: a run's own arm has another name, such as namd, and an ablation is"
         " asked for by its file, --params params/ablations/{arm}.yaml"),
    Rule("arm compare_arms", lambda arm, arms: arm in arms,
         "compare_arms {compare_arms} lacks the run's own arm {arm}, which the others are compared with: add it"),
    Rule("arm compare_arms", lambda arm, arms: all(_has_one_name(arm, name) for name in arms),
         "compare_arms {compare_arms}: one of them is another name of an arm, or names a layer twice; write the layers"
         " joined with -, each once, then a seed, as no_align-seed24, or {arm}-seed24 for a seed alone"),
    Rule("arm system_arm", _is_arm,
         "system_arm: there is no arm {system_arm}; params/ablations/ holds the files of arms"),
    Rule("systems", lambda names: set(names) <= set(system_names()),
         f"systems {{systems}}: one of them does not exist; choose from {', '.join(system_names())}"),
    _not_above("system_tune_steps", "system_steps"),
)


def check(values: dict) -> None:
    """Check every rule whose keys are all there.

    Args:
        values: {key: value}, each of them of its type and within its bounds.

    Raises:
        UserError: the sentence of the first rule that does not hold.

    Source: ours, because a contradiction that shows in the fifth notebook has cost the four before it.
    """
    for rule in RULES:
        keys = rule.keys.split()
        if not set(keys) <= set(values):
            continue
        if not rule.holds(*(values[key] for key in keys)):
            raise UserError(rule.says.format(**values) + ".")
