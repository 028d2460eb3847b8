"""The compared systems by name: a system is the file namd/forecasters/systems/<name>.py with a class `System`."""

import importlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from namd.forecasters import system_names
from namd.ground.cost import flops, parameters
from namd.ground.errors import UserError
from namd.ground.keys import sha
from namd.ground.precision import prepare
from namd.ground.reading import read_json, read_table
from namd.ground.workers import as_they_end


@dataclass(frozen=True)
class NAMDStage:
    """A notebook that trains a part of NAMD: its stage, the prefix of its parameters, and what a step sees."""

    number: str
    stage: str
    prefix: str
    item: str


NAMD_STAGES = (NAMDStage("02", "VAE", "vae", "images"), NAMDStage("03", "unconditional", "uncond", "images"),
               NAMDStage("04", "conditional", "cond", "pairs"))


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
    made_by_the_arm = [f"arms/{run.p.system_arm}/{part}" for part in ("vae", "latents", "unet_start")]
    found = {}
    for name in names:
        found[name] = run.part_key([system(name).__module__], ["cohort", *made_by_the_arm], name)
    return found


def makers(root, p, keys):
    """{row: () -> System}, for drawing.draw_rows, and {row: the paper's name of it or ""}."""
    made = {}
    papers = {}
    for name, key in keys.items():
        for row, (paper, options) in system(name).rows.items():
            made[row] = partial(system(name), root, p, key, batch=p.eval_batch, **options)
            papers[row] = paper
    return made, papers


def row_keys(keys, seeds, batch):
    """{row: `draw_rows`' name of its images}, from the keys of `keys`, {row: seeds} and the images of one call."""
    found = {}
    for name, key in keys.items():
        for row in system(name).rows:
            found[row] = sha(key, row, seeds[row], batch)
    return found


def fit_all(root, p, keys, pairs, workers, log=print):
    """Train every system of `keys`, side by side in `workers` processes; finished ones are left alone.

    Args:
        root, p, keys: as in `makers`; pairs: Pairs of train and val.

    Source: ours; each process trains whole systems, so the weights are the same for any number of them.
    """
    jobs = [(name, root, p, key, pairs) for name, key in keys.items()]
    for name, seconds in as_they_end(_fit, jobs, workers):
        log(f"{name}: trained in {seconds:.0f} s" if seconds else f"{name}: trained already", flush=True)


def _fit(name, root, p, key, pairs):
    prepare(p.threads, p.precision)
    made = system(name)(root, p, key)
    if made.fitted:
        return name, 0
    made.fit(pairs)
    return name, made.seconds


def budget(root, names, main_arm, system_arm):
    """What every system of a finished run was shown in its training, and NAMD and the shared VAE beside them.

    Args:
        root: of the run; names: trained systems; main_arm: that of the row namd; system_arm: whose VAE the systems on
            latents share.

    Returns:
        DataFrame system, stage, steps (optimiser), batch, item (pairs or images), seen (items that the forecaster
        learnt from, each as often as it came), tuning_steps (of all rates that were tried; 0: set by hand).

    Source: ours, because a budget of equal steps is not one of equal lessons.
    """
    root = Path(root)
    spent = [read_table(root / "systems" / name / "budget.csv", "08").assign(system=name) for name in names]
    spent += [_spent_on_namd(root, "namd", main_arm, stage) for stage in NAMD_STAGES]
    spent.append(_spent_on_namd(root, "shared VAE", system_arm, NAMD_STAGES[0]))
    return pd.concat(spent).set_index(["system", "stage"])


def _spent_on_namd(root, name, arm, stage):
    """A row of `budget` for one notebook of an arm, from its stamp."""
    file = root / "arms" / arm / "runs" / f"{stage.number}.json"
    given = read_json(file, stage.number, "parameters")["parameters"]
    steps = given[f"{stage.prefix}_steps"]
    batch = given[f"{stage.prefix}_batch"]
    return pd.DataFrame([dict(system=name, stage=stage.stage, steps=steps, batch=batch, item=stage.item,
                              seen=steps * batch, tuning_steps=0)])


def costs(makers, x1, ehr):
    """What one follow-up and the training of each row take.

    Args:
        makers: {row: () -> trained System}; x1: (1, 1, S, S) and ehr: one record, to draw one follow-up from.

    Returns:
        DataFrame indexed by row: parameters (of the modules that draw), gflops (of one follow-up), train_seconds (of
        the system, tuning included; rows of one system share it).
    """
    table = [_cost_of(make(), x1, ehr) for make in makers.values()]        # one system in memory at a time
    return pd.DataFrame(table, index=pd.Index(makers, name="row"))


def costs_of_namd(make, root, arm, x1, ehr):
    """The same line for NAMD, its language model included if it has one; the seconds are those of notebooks 02 to 04.

    Args:
        make: () -> NAMD; root: of the run; arm: whose models those are; x1, ehr: as in `costs`.
    """
    one = make()
    seconds = 0
    for stage in NAMD_STAGES:
        file = Path(root) / "arms" / arm / "runs" / f"{stage.number}.json"
        seconds += read_json(file, stage.number, "seconds")["seconds"]
    line = _cost(one, one.used, seconds, x1, ehr)
    return pd.DataFrame([line], index=pd.Index([arm], name="row"))


def _cost_of(one, x1, ehr):
    return _cost(one, one.used, one.seconds, x1, ehr)


def _cost(forecaster, modules, seconds, x1, ehr):
    gflops = flops(forecaster.sample, x1, ehr, [0]) / 1e9
    return dict(parameters=sum(map(parameters, modules)), gflops=gflops, train_seconds=seconds)
