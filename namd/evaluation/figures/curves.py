"""Figures of notebook 05: ROC, precision-recall, reliability and decision curves, all on the K-mean probability."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from sklearn.metrics import precision_recall_curve, roc_curve

from namd.evaluation.figures.plots import COLOURS, finish, look
from namd.evaluation.stats import metrics
from namd.evaluation.stats.calibration import net_benefit
from namd.evaluation.stats.intervals import wilson
from namd.evaluation.stats.patients import numbered
from namd.evaluation.stats.rows import plain

DASHES = ("-", (0, (6, 1.5)), "-.", (0, (1, 1)))     # rows differ by more than colour
MARKERS = "os^D"


def _style(i, lw=1.6):
    """Colour and dashes of row i."""
    return dict(color=COLOURS[i % len(COLOURS)], ls=DASHES[i % len(DASHES)], lw=lw)


@look()
def roc_and_pr(label, scores, title="How many malignant nodules are found, at which price", synthetic=False):
    """ROC curve (left) and precision-recall curve (right) of each row.

    Args:
        label: (N,) in {0, 1}; scores: {row: (N,)} probabilities.
    """
    fig, (roc, pr) = plt.subplots(1, 2, figsize=(9.6, 4.4), layout="constrained")
    for i, (row, prob) in enumerate(scores.items()):
        style = _style(i)
        false_positive, true_positive, _ = roc_curve(label, prob)
        precision, recall, _ = precision_recall_curve(label, prob)
        roc.plot(false_positive, true_positive, label=f"{plain(row)} ({metrics.auroc(label, prob):.3f})", **style)
        pr.step(recall, precision, where="post", label=f"{plain(row)} ({metrics.auprc(label, prob):.3f})", **style)
    roc.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1)
    pr.axhline(np.mean(label), color="0.6", ls="--", lw=1)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC (AUROC)")
    pr.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="precision-recall (AUPRC)")
    for ax, place in ((roc, "lower right"), (pr, "upper right")):
        ax.legend(fontsize=8, loc=place)
        sns.despine(ax=ax)
    n = f"n = {len(label)} test nodules, {int(np.sum(label))} malignant"
    return finish(fig, f"{title}\n{n}; dashed: chance", synthetic)


def reliability_bins(label, prob, n_bins=8, patient=None):
    """Mean probability and observed malignancy rate, with its 95 % interval, in bins of equal size.

    Args:
        label: (N,) in {0, 1}; prob: (N,) in [0, 1]; n_bins: at most N; patient: (N,), whose nodule each is.

    Returns:
        (predicted, observed, low, high), each (n_bins,).

    Source: ours; equal mass, because equal-width bins leave the upper ones almost empty. Wilson's interval, because a
    bin without malignant nodules is not known to be free of them; as wide as for one nodule of each patient in the bin.
    """
    label = np.asarray(label, dtype=float)
    prob = np.asarray(prob, dtype=float)
    number = numbered(patient, len(label))
    parts = np.array_split(np.argsort(prob, kind="stable"), min(n_bins, len(label)))
    predicted = np.array([prob[part].mean() for part in parts])
    observed = np.array([label[part].mean() for part in parts])
    n_patients = np.array([len(np.unique(number[part])) for part in parts])
    return predicted, observed, *wilson(observed, n_patients)


@look()
def reliability(label, scores, title="Does a probability mean what it says?", n_bins=8, synthetic=False, patient=None):
    """Observed malignancy rate against predicted probability, one line a row, with 95 % intervals over patients.

    Args:
        label: (N,) in {0, 1}; scores: {row: (N,)} probabilities; patient: as `reliability_bins`.
    """
    fig, ax = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
    for i, (row, prob) in enumerate(scores.items()):
        predicted, observed, low, high = reliability_bins(label, prob, n_bins, patient)
        text = f"{plain(row)} (Brier {metrics.brier(label, prob):.3f})"
        ax.errorbar(predicted, observed, yerr=(observed - low, high - observed), marker=MARKERS[i % len(MARKERS)], ms=4,
                    capsize=2, elinewidth=0.8, label=text, **_style(i, 1.2))
    ax.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1)
    ax.set(xlabel="predicted probability of malignancy", ylabel="observed share of malignant nodules",
           xlim=(0, 1), ylim=(0, 1))
    ax.legend(fontsize=8, loc="upper left")
    sns.despine(ax=ax)
    bars = f"n = {len(label)} test nodules in {n_bins} bins of equal size, bars 95 % over patients"
    return finish(fig, f"{title}\n{bars}", synthetic)


@look()
def decision_curves(label, scores, counts, reference, thresholds, synthetic=False):
    """Net benefit of acting on each row, and beside it, row by row, how far it exceeds that of the row `reference`.

    Args:
        label: (N,) in {0, 1}; scores: {row: (N,)} probabilities, four rows or fewer are readable.
        counts: (n_boot, N) of unstratified `bootstrap.resample_counts`, for the 95 % bands.
        reference: a row of `scores`; thresholds: (T,) in (0, 1).
    """
    others = [row for row in scores if row != reference]
    widths = [2, *[1] * len(others)]
    fig, (benefit, *gains) = plt.subplots(1, len(widths), figsize=(2.3 * sum(widths), 4.2), width_ratios=widths,
                                          layout="constrained")
    t = np.asarray(thresholds)
    worth = {row: net_benefit(label, prob, t) for row, prob in scores.items()}
    drawn = {row: net_benefit(label, prob, t, counts) for row, prob in scores.items()}
    styles = {row: _style(i) for i, row in enumerate(scores)}
    for row, style in styles.items():
        benefit.plot(t, worth[row], label=plain(row), **style)
    benefit.plot(t, net_benefit(label, np.ones(len(label)), t), color="0.6", ls="--", lw=1, label="work up everybody")
    benefit.axhline(0, color="0.3", ls=":", lw=1, label="work up nobody")
    top = max(map(np.max, worth.values()))
    benefit.set(xlabel="threshold probability", ylabel="net benefit (true positives per nodule)",
                ylim=(-0.25 * top, 1.1 * top), title="net benefit")
    benefit.legend(fontsize=8, loc="upper right")
    for ax, row in zip(gains, others, strict=True):         # a band each: three on one axes mix to brown
        if ax is not gains[0]:
            ax.sharey(gains[0])
            ax.tick_params(labelleft=False)
        ax.plot(t, worth[row] - worth[reference], label=row, **styles[row])
        low, high = np.percentile(drawn[row] - drawn[reference], [2.5, 97.5], axis=0)
        ax.fill_between(t, low, high, color=styles[row]["color"], alpha=0.25, lw=0)
        ax.axhline(0, color="0.6", ls="--", lw=1)
        ax.set(xlabel="threshold", title=f"{plain(row)}\n- {plain(reference)}")
    gains[0].set_ylabel("gain in net benefit, 95 %")
    sns.despine(fig)
    n = f"n = {len(label)} test nodules, {int(np.sum(label))} malignant"
    return finish(fig, f"What acting on each score is worth, and its gain over the {plain(reference)}\n{n}", synthetic)
