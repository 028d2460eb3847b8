"""The claims ledger: each claim of tables.claims with its number, interval and verdict in a finished run."""

import numpy as np
import pandas as pd

from namd.evaluation.stats.variance import verdict
from namd.evaluation.tables.claims import COMMAND, declared
from namd.ground.order import LATER
from namd.ground.paper import ours
from namd.ground.reading import read_json, read_table

COLUMNS = ["id", "claim", "place", "statistic", "effect", "low", "high", "unit", "over", "n", "k", "training_seeds",
           "data", "verdict", "why"]
COUNTS = dict.fromkeys(("n", "k", "training_seeds"), "Int64")
REAL = ("real baseline", "real follow-up")
SYSTEMS = ("comparators", "best_system", "record_controls")     # tables of notebook 08
BESIDE = {"table1": "05", "regimes": "06", **dict.fromkeys(SYSTEMS, "08")}  # read for a reason; which notebook's


def near_best(table1):
    """How far NAMD's LPIPS and FID lie above the best other trained generator: share of the best, over runs.

    Args:
        table1: DataFrame with row, k and <metric>_mean, <metric>_sd (divisor K); controls and ceilings do not count.

    Returns:
        DataFrame quantity, value, low, high (NaN where nothing is beside NAMD) and beside, the names compared.

    Source: Sec. 4.2.1 calls both "comparable to the best baselines" and gives no margin; 10 % is ours (the paper's
    own are 9 % for LPIPS and 3 % for FID).
    """
    table = table1.set_index("row")
    others = [row for row in table.index[table["paper_row"].notna()] if row not in (*REAL, "namd")]
    rows = []
    for quantity in ("lpips", "fid"):
        column = ours(quantity, table)
        mean, se = table[f"{column}_mean"], table[f"{column}_sd"] / np.sqrt(np.maximum(table["k"] - 1, 1))
        best = mean[others].min() if others else np.nan
        half = 1.96 * np.hypot(se["namd"], se[mean[others].idxmin()]) / best if others else np.nan
        value = mean["namd"] / best - 1
        rows.append(dict(quantity=quantity, value=value, low=value - half, high=value + half, beside=", ".join(others)))
    return pd.DataFrame(rows)


def read_tables(folder, makers):
    """The tables of a run, as far as they are there, with its parameters and data source.

    Args:
        folder: Path of the run; notebooks 02, 04 and 05 must have finished there.
        makers: {table: number of the notebook that writes it}.
    """
    files = {name: folder / "metrics" / f"{name}.csv" for name in {**makers, **BESIDE}}
    tables = {name: read_table(file, {**makers, **BESIDE}[name]) for name, file in files.items() if file.exists()}
    vae = read_json(folder / "arms/namd/runs/02.json", "02", "parameters")
    cond = read_json(folder / "arms/namd/runs/04.json", "04", "numbers")
    record = read_json(folder / "runs/05.json", "05", "parameters", "run_name", "synthetic")
    for name in SYSTEMS:        # of another Table 1 than this one: other patients, judge or arms
        if name in tables and set(tables[name]["table1_digest"]) != set(tables["table1"]["digest"]):
            del tables[name]
    rows = pd.concat([tables[name] for name in ("table1", "comparators") if name in tables])
    return tables | dict(
        probabilities=read_table(folder / "metrics" / "probabilities.parquet", "05"), run=record["run_name"],
        parameters=vae["parameters"] | record["parameters"], data="phantom" if record["synthetic"] else "NLST",
        near_best=near_best(rows), prompts_moved=cond["numbers"]["prompts_moved"])


def settle(rule, limit, low, high):
    """holds, fails or undecided: where the interval lies, seen from the limit.

    Args:
        rule: "above" or "below", the side on which the claim holds; low, high: the interval, in the limit's unit.

    Source: ours, because a claim is settled by its interval and not by its sign.
    """
    return verdict(low - limit, high - limit) if rule == "above" else verdict(limit - high, limit - low)


def ledger(folder, arms=(), notebooks=None):
    """The verdict of a run on every claim, or on those alone whose tables some `notebooks` write, e.g. ("05", "07").

    Args:
        folder: Path of the run; arms: ablations of the run, without the reference and without training seeds.

    Returns:
        DataFrame id, claim, place, statistic, effect, low, high (95 %), unit, over (what the interval covers), n, k,
        training_seeds, data (phantom or NLST), verdict (holds, fails, undecided, not comparable, not run here), why.

    Source: ours. A verdict concerns this run and its data; none says that the paper was reproduced.
    """
    claims = [claim for claim in declared(arms) if notebooks is None or claim.made_by in notebooks]
    tables = read_tables(folder, {claim.table: claim.made_by for claim in claims})
    return pd.DataFrame([_decide(claim, tables) for claim in claims], columns=COLUMNS).astype(COUNTS)


def _row(claim, tables):
    """The one row of the claim's table, None when table or row is missing."""
    table = tables.get(claim.table, pd.DataFrame())
    if not set(claim.where) <= set(table):
        return None
    found = table[(table[list(claim.where)] == pd.Series(claim.where)).all(axis=1)]
    return None if found.empty else found.iloc[0].dropna()


def _decide(claim, tables):
    """One line of the ledger."""
    row, known = _row(claim, tables), tables["table1"].set_index("row").loc["namd"]
    head = {name: getattr(claim, name) for name in ("id", "claim", "place", "statistic")}
    tail = dict(unit=claim.unit, data=tables["data"])
    if row is None:
        way = claim.absent if claim.table in tables or claim.made_by in LATER else COMMAND
        return head | tail | dict(verdict="not run here", why=way.format(number=claim.made_by, run=tables["run"]))
    effect, low, high = (float(row.get(name, np.nan)) for name in ("value", "low", "high"))
    counted = np.isfinite(effect) and np.isnan(low)
    found = row["verdict"] if counted else settle(claim.rule, claim.limit, low, high)
    seeds = int(row.get("training_seeds", 1))
    tail |= dict(over=row.get("over", claim.over), n=int(row.get("n", known["n"])), k=int(row.get("k", known["k"])),
                 training_seeds=seeds)
    why = ["counted" if counted else _reading(claim, found, effect, low, high, tail["over"])]
    if np.isnan(effect):
        found, why = "not comparable", ["the number does not exist here: a group or a gap is empty"]
    elif claim.unless(tables):
        found, why = "not comparable", [claim.unless(tables), f"by the rule it {found}" if found != "undecided" else ""]
    elif found != "holds" and claim.cause(tables):
        why.append(f"likely cause: {claim.cause(tables)}")
    why.append("one training seed" if seeds == 1 else f"{seeds} training seeds")
    return head | dict(effect=effect, low=low, high=high) | tail | dict(verdict=found, why="; ".join(filter(None, why)))


def _reading(claim, found, effect, low, high, over):
    """Where the interval lies, and what it would take to decide."""
    if found != "undecided":
        side = claim.rule if found == "holds" else {"above": "below", "below": "above"}[claim.rule]
        return f"the interval lies {side} {claim.limit:g}"
    times = ((high - low) / 2 / max(abs(effect - claim.limit), 1e-12)) ** 2
    need = f"to settle this effect takes about {times:.1f} times the {over}" if times < 100 else "the effect lies on it"
    return f"the interval contains {claim.limit:g}: {need}"
