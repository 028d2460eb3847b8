"""What came out in notebook 08, one sentence a function: training, change, cost, and the record's worth."""

from namd.evaluation.stats.rows import plain
from namd.evaluation.tables.told_training import lowest
from namd.evaluation.tables.wording import by_interval, listed, signed

LATE = 0.95             # of the steps: a lowest loss from there on came at the end


def still_falling(learnt) -> str:
    """In how many stages the validation loss was lowest at the very end, so that more steps might have helped.

    Args:
        learnt: {"system, stage": history with step and val_loss}.

    Source: ours.
    """
    late = []
    for name, history in learnt.items():
        best, last = lowest(history)
        if best["step"] >= LATE * last["step"]:
            late.append(name)
    if not late:
        return f"All {len(learnt)} stages had their lowest validation loss before the end of the budget."
    return (f"{len(late)} of {len(learnt)} stages had their lowest validation loss at the end of the budget, and might"
            f" gain from more steps: {'; '.join(late)}.")


def change_found(change, systems, arm) -> str:
    """Which system forecasts the change best, beside NAMD and the mean image.

    Args:
        change: DataFrame of comparators.change_on_validation; systems: its rows that are compared.

    Source: ours.
    """
    rmae = change["delta_rmae"]
    best = rmae[systems].idxmin()
    ahead = int((rmae[systems] < rmae[arm]).sum())
    return (f"In the change, Δ-RMAE, the best system is {plain(best)} with {rmae[best]:.2f}; NAMD has {rmae[arm]:.2f},"
            f" with {ahead} of {len(systems)} systems below it, and one mean image {rmae['mean follow-up']:.2f}.")


def spread_found(change, arm) -> str:
    """How far two draws of a row lie apart, in units of the window, the largest first.

    Args:
        change: as `change_found`.

    Source: ours.
    """
    spread = change["spread"][change["spread"] > 0].sort_values(ascending=False)
    if spread.empty:
        return "No row draws twice in two ways."
    rows = list(dict.fromkeys([spread.index[0], arm, spread.index[-1]]))
    return ("Two draws of a nodule differ by so much a pixel: "
            + listed(f"{plain(row)} {spread[row]:.3f}" for row in rows if row in spread) + " (window units).")


def cost_found(table, costs, reference="real baseline") -> str:
    """The best AUROC and its cost, beside the cheapest row and the baseline.

    Args:
        table: as `told_evaluation.standing`; costs: DataFrame gflops, parameters, train_seconds, indexed by row.

    Source: ours.
    """
    auroc = table["auroc_kmean"]
    best = auroc[costs.index].idxmax()
    cheap = costs["gflops"].idxmin()
    if best == cheap:
        return (f"The best AUROC, {auroc[best]:.3f} of {plain(best)}, is that of the cheapest row as well,"
                f" {costs['gflops'][best]:.2f} GFLOP a follow-up ({plain(reference)} {auroc[reference]:.3f}).")
    return (f"The best AUROC, {auroc[best]:.3f}, is that of {plain(best)} at {costs['gflops'][best]:.2f} GFLOP a"
            f" follow-up; the cheapest row, {plain(cheap)} at {costs['gflops'][cheap]:.2f}, has {auroc[cheap]:.3f}"
            f" ({plain(reference)} {auroc[reference]:.3f}).")


def record_or_method(record) -> str:
    """Whether NAMD beats a system that has its record, and what the record gave that system.

    Args:
        record: DataFrame of comparators.record_controls.

    Source: ours.
    """
    if record.empty:
        return "No control with the record was trained, so the record cannot be told from the method."
    told = [f"{plain(line.row)} - {plain(line.beside)} {signed(line.value, line.low, line.high)},"
            f" {by_interval(line.low, line.high, 'better', 'worse')}" for line in record.itertuples()]
    return f"In AUROC, {'; '.join(told)}."
