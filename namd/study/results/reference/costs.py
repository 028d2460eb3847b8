"""What a run cost: one line a notebook and arm, and what the page says of it."""

import pandas as pd

from namd.ground.order import LATER
from namd.ground.reading import read_json
from namd.study.results.reference.words import count, duration, interval, listed, markdown, number

COSTS = "costs.csv"
TOLD = ("notebook", "seconds", "memory_gib", "commit", "digest", "device", "threads")
AGAINST = {         # row of benchmarks.csv: what is compared
    "conditional quick": "a training step of 04, reports padded to a fixed length (diffusers' script with peft)",
    "conditional quick tight": "the same, reports padded to the longest of the batch",
    "conditional medium": "a training step of wider networks, padded to a fixed length",
    "conditional medium tight": "the same, padded to the longest of the batch",
    "conditional paper": "a training step at the paper's widths, 8 layers, no update, padded to a fixed length",
    "conditional paper tight": "the same, padded to the longest of the batch",
    "prompts quick naive": "the soft prompts, against one call of all sequences",
    "prompts quick peft": "the soft prompts, against a call for each of peft's sets",
    "prompts medium naive": "the same of a wider language model, against one call",
    "prompts medium peft": "the same of a wider language model, against a call for each set",
    "sampling quick 1 a call": "sampling, against a loop over subjects and runs",
    "sampling quick 4 a call": "sampling, against a loop over subjects, all runs of one in a call",
}
STEP = "conditional quick"
SAMPLING = "sampling quick 1 a call"


def write_costs(root, before, aside):
    """Write COSTS from the stamps of the run at `root` and of the runs beside it that cohorts.csv and dial.csv name.

    Args:
        before: folder whose COSTS still counts for a notebook that this run has not run; aside: where it is written.

    Returns:
        [COSTS]

    Source: ours. Wall seconds of the notebook and the peak memory of its process, workers not counted.
    """
    names = {root.name: None}
    for table in ("cohorts.csv", "dial.csv"):
        if (aside / table).is_file():
            names |= dict.fromkeys(pd.read_csv(aside / table)["run_name"])
    rows = []
    for name in names:
        folder = root.with_name(name)
        for file in sorted([*folder.glob("runs/*.json"), *folder.glob("arms/*/runs/*.json")]):
            stamp = read_json(file, file.stem, "arm", *TOLD)
            rows.append(dict(run_name=name, arm=stamp["arm"] or "", **{key: stamp[key] for key in TOLD}))
    table = pd.DataFrame(rows)
    if (before / COSTS).is_file():
        table = pd.concat([table, _still_counting(pd.read_csv(before / COSTS, keep_default_na=False), table)])
    table.sort_values(["run_name", "notebook", "arm"]).to_csv(aside / COSTS, index=False)
    return [COSTS]


def _still_counting(before, table):
    """The lines before of notebooks that `table` has no line of."""
    new = set(zip(table["run_name"], table["notebook"], strict=True))
    return before[[pair not in new for pair in zip(before["run_name"], before["notebook"], strict=True)]]


def part(kept):
    """What the page says of costs, None without costs.csv: the table, sums in sentences."""
    if "costs" not in kept:
        return None
    own = kept.rows("costs", run_name=kept.run)
    rows = []
    for notebook, lines in own.groupby("notebook"):
        n = len(lines)
        rows.append([f"`{notebook}`", count(n, "arm") if lines["arm"].notna().any() else "",
                     duration(lines["seconds"].sum()), duration(lines["seconds"].max()) if n > 1 else "",
                     f"{number(lines['memory_gib'].max(), 1)} GiB", listed(dict.fromkeys(lines["commit"]))])
    head = ["notebook", "arms", "wall time, one arm after another", "slowest arm", "largest process", "commit"]
    return dict(table=markdown(head, rows), sentences=[series(kept), *_beside(kept)])


def series(kept):
    """How long the notebooks of `make study` took, in one sentence; empty without costs.csv."""
    own = kept.rows("costs", run_name=kept.run)
    if own.empty:
        return ""
    number_of = own["notebook"].str[:2]
    study = own[~number_of.isin(LATER)]
    arms = study["arm"].nunique()
    sentence = (f"On {_machine(study)}, the notebooks {number_of.min()} to {study['notebook'].str[:2].max()} of"
                f" `{kept.run}` with {count(arms, 'arm')} took {duration(study['seconds'].sum())} one after another;"
                f" the largest process had {number(study['memory_gib'].max(), 1)} GiB.")
    for later in LATER:
        lines = own[number_of == later]
        if len(lines):
            sentence += f" {later} adds {duration(lines['seconds'].sum())}."
    return sentence


def _machine(lines):
    """The device and its threads."""
    devices = lines[["device", "threads"]].drop_duplicates()
    names = {"cpu": "a CPU"}
    return listed(f"{names.get(line.device, line.device)} ({count(int(line.threads), 'thread')} a notebook)"
                  for line in devices.itertuples())


def _beside(kept):
    """One sentence on each command that runs other phantoms."""
    for name in ("cohorts", "dial"):
        runs = set(kept.rows(name)["run_name"]) - {kept.run} if name in kept else set()
        lines = kept["costs"][kept["costs"]["run_name"].isin(runs)]
        if len(lines):
            yield (f"`make {name}` adds {count(lines['run_name'].nunique(), 'run')}:"
                   f" {duration(lines['seconds'].sum())} one notebook after another.")


def against(kept):
    """The table of benchmarks.csv, None without it."""
    if "benchmarks" not in kept:
        return None
    rows = [[AGAINST.get(line["pair"], line["pair"]), f"{number(line['ratio'], 2)} ({_range(line)})",
             number(line["flop_ratio"], 2)] for _, line in kept["benchmarks"].iterrows()]
    return markdown(["what", "ratio of times", "ratio of operations"], rows)


def speed(kept):
    """What our way is worth against the common way, in one sentence; empty without benchmarks.csv."""
    ways = {"a training step of 04": STEP, "sampling": SAMPLING}
    said = []
    for what, pair in ways.items():
        line = kept.row("benchmarks", pair=pair)
        if line is not None:
            said.append(f"{what} {number(line['ratio'], 2)} times as fast ({_range(line)})")
    return f"Against the common way, side by side: {listed(said)}." if said else ""


def _range(line):
    return interval(line["low"], line["high"], 2).strip("[]").replace(", ", " to ")
