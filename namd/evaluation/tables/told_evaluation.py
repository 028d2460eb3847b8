"""What came out in notebook 05, one sentence a function: the year, the images, Table 1, the probabilities."""

import numpy as np

from namd.evaluation.stats import bootstrap, intervals
from namd.evaluation.stats.calibration import net_benefit
from namd.evaluation.stats.rows import plain
from namd.evaluation.tables.wording import by_interval, listed, measured, signed

FALSE_POSITIVES = 0.1       # rate at which the share of found nodules is read
STRETCH = 2                 # thresholds in a row that make a range


def worth_of_the_year(label, prob, patient) -> str:
    """How much better the judge reads the real follow-up than the real baseline.

    Args:
        label: (N,); prob: {row: (K, N)} with both real rows; patient: (N,).

    Source: ours.
    """
    before, after = (prob[row].mean(0) for row in ("real baseline", "real follow-up"))
    gain, _, low, high, _ = intervals.delong_paired(label, after, before, patient=patient)
    auroc = [intervals.placements(label, score)[0].mean() for score in (before, after)]
    said = by_interval(low, high, "That difference is what a forecast may win",
                       "The follow-up is read worse, so there is nothing to win",
                       "Whether there is anything to win is undecided")
    return (f"The judge's AUROC is {auroc[0]:.3f} on real baselines and {auroc[1]:.3f} on real follow-ups of the same"
            f" patients, {signed(gain, low, high)}. {said}.")


def middle_error(x2_hat, x2, counts) -> str:
    """Whether the mean of the runs is darker or brighter than the follow-up where nodules lie.

    Args:
        x2_hat: (K, N, 1, S, S) in [-1, 1]; x2: (N, 1, S, S); counts: (n_boot, N) of bootstrap.resample_counts.

    Source: ours.
    """
    side = x2.shape[-1]
    inner = slice(side // 4, side - side // 4)
    error = np.asarray((x2_hat.mean(0) - x2)[..., inner, inner], dtype=float).mean((1, 2, 3))
    value, low, high = bootstrap.mean_interval(error, counts)
    said = by_interval(low, high, "brighter than the follow-up, so growth is over-shot on average",
                       "darker than the follow-up, so growth is under-shot on average",
                       "neither darker nor brighter than the follow-up on average")
    return (f"Over all {len(x2)} test nodules the middle of the drawn mean is {said}:"
            f" {signed(value, low, high)} in units of the window.")


def likeness(images, floors, arm) -> str:
    """NAMD beside the copied baseline in likeness, in change, and as a cloud of images.

    Args:
        images: DataFrame of table1.image_columns, indexed by row, with `arm` and copy-baseline.
        floors: DataFrame whose first row holds the distances FID, ... of real images to real ones.

    Source: ours.
    """
    of = images.loc[arm]
    copy = images.loc["copy-baseline"]
    nearer = "nearer to" if of["lpips_mean"] < copy["lpips_mean"] else "farther from"
    told = (f"In LPIPS a drawing is {nearer} its follow-up than the copied baseline is ({of['lpips_mean']:.3f} against"
            f" {copy['lpips_mean']:.3f}), and in the change, Δ-RMAE, it makes {of['delta_rmae_mean']:.2f} where the"
            f" copy makes {copy['delta_rmae_mean']:.2f}. The FID in the judge's features is {of['fid_mean']:.2f}; real"
            f" images have {floors['FID'].iloc[0]:.2f} among themselves, the copy has {copy['fid_mean']:.2f}.")
    if "fid_lite0_mean" in images:
        told += (f" The FID in texture is {of['fid_lite0_mean']:.1f} against {copy['fid_lite0_mean']:.1f} of the copy,"
                 " which is a real scan.")
    return told


def known_growth(growth, arm) -> str:
    """The drawn diameter's error, and whether the range of the draws holds the truth as often as it says.

    Args:
        growth: DataFrame of growth.growth_columns, indexed by row.

    Source: ours.
    """
    rows = [row for row in (arm, "copy-baseline", "oracle") if row in growth.index]
    errors = listed(f"{plain(row)} {growth.loc[row, 'diameter_error']:.2f} mm" for row in rows)
    of = growth.loc[arm]
    value, low, high, honest = of[["coverage", "coverage_low", "coverage_high", "coverage_nominal"]]
    said = by_interval(low - honest, high - honest, "more often than honest draws: NAMD's are too far apart",
                       "less often than honest draws: NAMD's are too alike",
                       "as often as honest draws, as far as one can tell")
    return (f"Error of the drawn diameter: {errors}. NAMD's range holds the truth in"
            f" {measured(value, low, high)} of the nodules, {said} ({honest:.2f}).")


def standing(table, arm) -> str:
    """Where NAMD stands in Table 1: what reads better than it and what worse, by the mean AUROC over runs.

    Args:
        table: DataFrame of table1.diagnosis_columns, indexed by row, with `arm`.

    Source: ours.
    """
    auroc = table["auroc_mean"].sort_values(ascending=False)
    place = auroc.index.get_loc(arm) + 1
    return (f"From the best AUROC down: {listed(f'{plain(row)} {value:.3f}' for row, value in auroc.items())}."
            f" NAMD is number {place} of {len(auroc)}.")


def averaged(table, arm) -> str:
    """What averaging the K readings of a nodule does to NAMD's AUROC.

    Args:
        table: as `standing`, with k.

    Source: ours.
    """
    of = table.loc[arm]
    return (f"Averaging {of['k']:.0f} readings of each nodule moves NAMD's AUROC from {of['auroc_mean']:.3f} to"
            f" {of['auroc_kmean']:.3f}; rows of one run stay where they are.")


def headline(table, arm) -> str:
    """The title of the figure of Table 1: NAMD's AUROC between the baseline and the readers of the record.

    Source: ours.
    """
    auroc = table["auroc_kmean"]
    rows = [row for row in ("real baseline", arm, "real follow-up", "record only") if row in auroc]
    return "AUROC: " + ", ".join(f"{plain(row)} {auroc[row]:.2f}" for row in rows)


def other_judges(read, arm) -> str:
    """How far the AUROC moves with the judge, beside what separates NAMD from the baseline.

    Args:
        read: DataFrame of table1.judge_spread.

    Source: ours.
    """
    judges = [name for name in read if name.startswith("judge ")]
    if len(judges) < 2:
        return "One judge was trained, so the spread over judges is not known."
    gain = read.loc[arm, judges] - read.loc["real baseline", judges]
    return (f"Over {len(judges)} judges the AUROC has a standard deviation of {read.loc[arm, 'sd']:.3f} for NAMD and"
            f" {read.loc['real baseline', 'sd']:.3f} for the real baseline; NAMD's lead over the baseline is"
            f" {listed(f'{value:+.3f}' for value in gain)}.")


def verdicts(differences, arm) -> str:
    """Which rows have a better AUROC than NAMD, which a worse one, and which cannot be told apart.

    Args:
        differences: DataFrame of differences.differences against `arm`.

    Source: ours.
    """
    kept = differences[(differences["metric"] == "auroc") & (differences["statistic"] == "mean over runs")]
    told = []
    for verdict, words in (("better", "better than NAMD"), ("worse", "worse"), ("undecided", "undecided")):
        rows = [plain(row) for row in kept.loc[kept["verdict"] == verdict, "row"]]
        told.append(f"{words}: {listed(rows) if rows else 'none'}")
    return f"In AUROC, {'; '.join(told)}."


def gaps_closed(gaps, arm) -> str:
    """How much of each gap NAMD closes, and what reading the record without drawing closes.

    Args:
        gaps: DataFrame of differences.gaps.

    Source: ours.
    """
    of = gaps.dropna(subset="value").set_index(["row", "ceiling"])
    told = [f"{measured(*of.loc[(row, ceiling), ['value', 'low', 'high']])} of the way to the {ceiling}"
            for row, ceiling in of.index if row == arm]
    if not told:
        return "No ceiling lies above the real baseline here, so there is no gap to close."
    ceiling = "oracle" if ("direct", "oracle") in of.index else "real follow-up"
    direct = measured(*of.loc[("direct", ceiling), ["value", "low", "high"]])
    return f"NAMD closes {listed(told)}; baseline and record without a drawing (direct) close {direct} of the latter."


def found_at(label, scores) -> str:
    """The share of malignant nodules that each row finds at a false positive rate of a tenth.

    Args:
        label: (N,) in {0, 1}; scores: {row: (N,)}.

    Source: ours.
    """
    label = np.asarray(label).astype(bool)
    found = []
    for row, prob in scores.items():
        cut = np.quantile(prob[~label], 1 - FALSE_POSITIVES)
        found.append(f"{plain(row)} {np.mean(prob[label] > cut):.0%}")
    return (f"Where {FALSE_POSITIVES:.0%} of the benign nodules are called malignant, so many of the malignant ones are"
            f" found: {listed(found)}.")


def calibrated(fits) -> str:
    """Which rows are overconfident, which call too few or too many malignant.

    Args:
        fits: DataFrame of calibration.calibration, indexed by row.

    Source: ours.
    """
    told = []
    for row, fit in fits.iterrows():
        slope = by_interval(fit["slope_low"] - 1, fit["slope_high"] - 1, "underconfident", "overconfident", "")
        level = by_interval(fit["intercept_low"], fit["intercept_high"],
                            "too low on average", "too high on average", "")
        told.append(f"{plain(row)}: {listed(filter(None, (slope, level))) or 'nothing against it'}")
    return f"By their intervals, {'; '.join(told)}."


def useful_range(label, scores, counts, reference, thresholds, arm) -> str:
    """Between which thresholds acting on NAMD is certainly worth more than acting on the reference.

    Args:
        label: (N,); scores: {row: (N,)}; counts: (n_boot, N), unstratified; reference: a row; thresholds: (T,).

    Source: ours.
    """
    t = np.asarray(thresholds)
    drawn = net_benefit(label, scores[arm], t, counts) - net_benefit(label, scores[reference], t, counts)
    low = np.percentile(drawn, 2.5, axis=0)
    sure = t[low > 0]
    if len(sure) < STRETCH:
        return f"At no stretch of thresholds is the gain of NAMD over the {plain(reference)} certain."
    return (f"The band of NAMD's gain over the {plain(reference)} lies above 0 at {len(sure)} of {len(t)} thresholds,"
            f" between {sure.min():.2f} and {sure.max():.2f}.")
