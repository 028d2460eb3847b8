"""What came out in notebook 07, one sentence a function: arms, controls, order of the latents, doses, maps, claims."""

from namd.evaluation.stats.intervals import verdict
from namd.evaluation.stats.rows import grouped, plain
from namd.evaluation.tables.wording import by_interval, listed, signed

CONTRASTS = "two arms against two"


def effects_found(effects) -> str:
    """Which rows NAMD is better than in AUROC, which it is behind, and which it cannot be told from.

    Args:
        effects: rows of metrics/effects.csv in AUROC: row, value, low, high.

    Source: ours.
    """
    lines = effects.set_index("row")
    contrasts = grouped(lines.index).get(CONTRASTS, [])
    sides = {"holds": [], "fails": [], "undecided": []}
    for row, line in lines.drop(index=contrasts).iterrows():
        sides[verdict(line["low"], line["high"])].append(plain(row))
    words = {"holds": "NAMD is ahead of", "fails": "it is behind", "undecided": "it cannot be told from"}
    told = [f"{words[side]} {listed(rows)}" for side, rows in sides.items() if rows]
    said = f"In AUROC, {'; '.join(told)}."
    for row in contrasts:
        said += f" {plain(row).capitalize()}: {signed(*lines.loc[row, ['value', 'low', 'high']])}."
    return said


def part_effects(effects, parts) -> str:
    """What each trained arm costs or gains in AUROC, and over which chance that was asked.

    Args:
        effects: as `effects_found`, with over; parts: arms of NAMD.

    Source: ours.
    """
    lines = effects[effects["row"].isin(parts)]
    if lines.empty:
        return "No arm but NAMD is trained in this run, so no part of it can be valued."
    told = [f"{plain(line.row)}: NAMD - arm {signed(line.value, line.low, line.high)} over {line.over},"
            f" {by_interval(line.low, line.high, 'NAMD is better', 'NAMD is worse')}" for line in lines.itertuples()]
    return f"{'; '.join(told)}."


def order_found(ordered, arm, view) -> str:
    """What alignment does to the order of the latents, by neighbours and by a straight line.

    Args:
        ordered: rows of metrics/ablation_order.csv; arm: the one beside NAMD; view: pooled or flat.

    Source: ours; a gain of neighbours alone means that the diameter was there and moved.
    """
    lines = ordered[(ordered["arm"] == arm) & (ordered["latent"] == view)].set_index("reader")
    told = []
    for reader, name in (("knn", "by its neighbours"), ("linear", "by a straight line")):
        line = lines.loc[reader]
        told.append(f"{name} with R2 {line['r2_reference']:.2f} instead of {line['r2_arm']:.2f}"
                    f" ({signed(*line[['value', 'low', 'high']], 2)})")
    gained = lines["low"]
    if gained["knn"] > max(lines.loc["linear", "high"], 0):
        moved = "The diameter was in the latent already; distances now see it"
    elif gained["knn"] > 0:
        moved = "Both readers gain"
    else:
        moved = "Distances do not certainly gain"
    return f"Beside {plain(arm)}, NAMD's {view} latent tells the diameter {listed(told)}. {moved}."


def doses_found(curves, reference) -> str:
    """Along each dose: where the order is highest, and whether any dose has another AUROC than the run's own.

    Args:
        curves: rows of tables.doses.against: parameter, quantity, dose, arm, value, low, high.

    Source: ours.
    """
    told = []
    for parameter, part in curves.groupby("parameter", sort=False):
        order = part[part["quantity"] != "AUROC"]
        auroc = part[(part["quantity"] == "AUROC") & (part["arm"] != reference)]
        off = [f"{line.dose:g} ({signed(line.value, line.low, line.high)})" for line in auroc.itertuples()
               if verdict(line.low, line.high) != "undecided"]
        best = f"order is highest at {order.loc[order['value'].idxmax(), 'dose']:g}; " if len(order) else ""
        told.append(f"{parameter}: {best}"
                    + (f"AUROC differs from NAMD's at {listed(off)}" if off else "no dose has certainly another AUROC"))
    return "; ".join(told) + "."


def maps_found(scores) -> str:
    """How ordered each map is, and how far its neighbours may be believed.

    Args:
        scores: {arm: (R2 of the map, trustworthiness)}.

    Source: ours.
    """
    return "; ".join(f"{plain(arm)}: R2 of the map {r2:.2f}, trustworthiness {trust:.2f}"
                     for arm, (r2, trust) in scores.items()) + "."


def claims_found(claims) -> str:
    """How many claims hold, fail, are undecided, and how many cannot be asked here.

    Args:
        claims: DataFrame with claim and verdict (tables.ledger).

    Source: ours.
    """
    counts = claims["verdict"].value_counts()
    told = [f"{counts.get(name, 0)} {word}" for name, word in (
        ("holds", "hold"), ("fails", "fail"), ("undecided", "are undecided"))]
    other = len(claims) - sum(counts.get(name, 0) for name in ("holds", "fails", "undecided"))
    rest = f" {other} more have no number here to be settled by." if other else ""
    return f"Of {len(claims) - other} claims {listed(told)} in this run.{rest}"
