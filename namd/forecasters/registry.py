"""The compared systems by name: a system is the file namd/forecasters/systems/<name>.py with a class `System`."""

import importlib
from functools import partial
from pathlib import Path

import joblib
import pandas as pd

from namd.forecasters.systems import system_names
from namd.ground.cost import flops, parameters
from namd.ground.errors import UserError
from namd.ground.precision import prepare
from namd.ground.reading import read_json, read_table

DECIDES = ("seed", "device", "threads", "precision", "image_size", "window_low", "window_high", "augment",
           "vae_channels", "vae_layers", "unet_path", "unet_layers", "unet_heads", "n_timesteps", "beta_start",
           "beta_end", "beta_schedule", "prediction_type", "zero_terminal_snr", "timestep_spacing", "ddim_steps",
           "ema_decay", "grad_clip", "system_arm", "system_steps", "system_tune_steps", "system_rates", "system_batch",
           "system_channels", "system_flow_steps", "imageflownet_part", "ddl_cxr_channels", "ddl_cxr_ddim_steps",
           "ddl_cxr_eta", "flux_path", "flux_rank")

# notebook, stage, prefix of its parameters, what a step sees
NAMD_STAGES = (("02", "VAE", "vae", "images"), ("03", "unconditional", "uncond", "images"),
               ("04", "conditional", "cond", "pairs"))


def system(name):
    """The class `System` of namd/forecasters/systems/<name>.py.

    Raises:
        UserError: there is no such file, or no such class in it.
    """
    if name not in system_names():
        raise UserError(f"systems: there is no system {name!r}; choose from {', '.join(system_names())}.")
    return importlib.import_module(f"namd.forecasters.systems.{name}").System


def keys(run, names):
    """{name: key of its training}: a system is trained again when its own sources or parameters change, not others'."""
    reads = ["cohort", *(f"arms/{run.p.system_arm}/{part}" for part in ("vae", "latents", "unet_start"))]
    return {name: run.part_key([system(name).__module__], reads, name) for name in names}


def makers(root, p, keys):
    """{row: () -> System}, for runs.draw_rows, and {row: the paper's name of it or ""}."""
    rows = {row: (name, *known) for name in keys for row, known in system(name).rows.items()}
    return ({row: partial(system(name), root, p, keys[name], **options) for row, (name, _, options) in rows.items()},
            {row: paper for row, (_, paper, _) in rows.items()})


def row_keys(keys, seeds, batch):
    """{row: `runs.draw_rows`' name of its images}, from the keys of `keys`, {row: seeds} and the images of one call."""
    return {row: f"{keys[name]} {row} {seeds[row]} {batch}" for name in keys for row in system(name).rows}


def fit_all(root, p, keys, pairs, workers, log=print):
    """Train every system of `keys`, side by side in `workers` processes; finished ones are left alone.

    Args:
        root, p, keys: as in `makers`; pairs: Pairs of train and val.

    Source: ours; each process trains whole systems, so the weights are the same for any number of them.
    """
    jobs = (joblib.delayed(_fit)(name, root, p, key, pairs) for name, key in keys.items())
    for name, seconds in joblib.Parallel(n_jobs=workers, return_as="generator_unordered")(jobs):
        log(f"{name}: trained in {seconds:.0f} s" if seconds else f"{name}: trained already", flush=True)


def _fit(name, root, p, key, pairs):
    prepare(p.threads, p.precision)
    made = system(name)(root, p, key)
    if made.fitted:
        return name, 0
    made.fit(pairs, p)
    return name, made.seconds


def budget(root, names, arm):
    """What every system of a finished run was shown in its training, and NAMD and the shared VAE beside them.

    Args:
        root: of the run; names: trained systems; arm: whose VAE the systems on latents share.

    Returns:
        DataFrame system, stage, steps (optimiser), batch, item (pairs or images), seen (items that the forecaster
        learnt from, each as often as it came), tuning_steps (of all rates that were tried; 0: set by hand).

    Source: ours, because a budget of equal steps is not one of equal lessons.
    """
    root = Path(root)
    spent = [read_table(root / "systems" / name / "budget.csv", "08").assign(system=name) for name in names]
    stages = [("namd", "namd", *stage) for stage in NAMD_STAGES] + [("shared VAE", arm, *NAMD_STAGES[0])]
    for system_name, arm_name, number, stage, prefix, item in stages:
        given = read_json(root / f"arms/{arm_name}/runs/{number}.json", number, "parameters")["parameters"]
        steps, batch = given[f"{prefix}_steps"], given[f"{prefix}_batch"]
        spent.append(pd.DataFrame([dict(system=system_name, stage=stage, steps=steps, batch=batch, item=item,
                                        seen=steps * batch, tuning_steps=0)]))
    return pd.concat(spent).set_index(["system", "stage"])


def costs(makers, x1, ehr):
    """What one follow-up and the training of each row take.

    Args:
        makers: {row: () -> trained System}; x1: (1, 1, S, S) and ehr: one record, to draw one follow-up from.

    Returns:
        DataFrame indexed by row: parameters (of the modules that draw), gflops (of one follow-up), train_seconds (of
        the system, tuning included; rows of one system share it).
    """
    made = {row: make() for row, make in makers.items()}
    table = [_cost(one, one.used, one.seconds, x1, ehr) for one in made.values()]
    return pd.DataFrame(table, index=pd.Index(made, name="row"))


def costs_of_namd(make, root, x1, ehr):
    """The same line for NAMD, its language model included; the seconds are those of notebooks 02 to 04.

    Args:
        make: () -> NAMD; root: of the run; x1, ehr: as in `costs`.
    """
    one = make()
    stamps = [read_json(Path(root) / f"arms/namd/runs/{n}.json", n, "seconds") for n in ("02", "03", "04")]
    line = _cost(one, [one.pipe.vae, one.unet, one.prompts, one.lm], sum(s["seconds"] for s in stamps), x1, ehr)
    return pd.DataFrame([line], index=pd.Index(["namd"], name="row"))


def _cost(forecaster, modules, seconds, x1, ehr):
    return dict(parameters=sum(map(parameters, modules)), gflops=flops(forecaster.sample, x1, ehr, [0]) / 1e9,
                train_seconds=seconds)
