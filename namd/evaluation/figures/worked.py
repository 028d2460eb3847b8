"""Plots of the worked examples of the notebooks, and of sizes: arrays in, matplotlib Figure out."""

import matplotlib.pyplot as plt
import seaborn as sns

from namd.evaluation.figures.plots import COLOURS, LABEL_COLOURS, LABELS, finish, look

STYLES = ("-", "--", ":", "-.")


@look()
def perplexities(sigmas, counts):
    """Neighbours of a row of Q by its width, a line for each length of the latent.

    Args:
        sigmas: (S,) units of z; counts: {numbers in the latent: (S,) median perplexity}.
    """
    fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
    for (n, found), colour, style in zip(counts.items(), COLOURS, STYLES, strict=False):
        ax.semilogx(sigmas, found, style, color=colour, label=f"{n} numbers")
    ax.axvline(1, color="0.5", ls="--", lw=1)
    ax.set(xlabel=r"$\sigma_z$ (units of z)", ylabel="perplexity (neighbours)",
           title="A long latent needs a wide $\\sigma_z$ (row of Q, 64 samples)")
    ax.legend(title="latent length")
    return fig


@look()
def schedules(hand):
    """Share of variance and amplitude that each schedule leaves, by step.

    Args:
        hand: {name: (T,) alpha_bar}.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3), layout="constrained")
    for (name, values), style in zip(hand.items(), STYLES, strict=False):
        axes[0].plot(values, style, label=name)
        axes[1].semilogy(values.sqrt() + 1e-4, style)
    axes[0].set(xlabel="step t", ylabel=r"$\bar\alpha_t$, share of variance")
    axes[1].set(xlabel="step t", ylabel=r"$\sqrt{\bar\alpha_t} + 10^{-4}$, amplitude", ylim=(5e-5, 2))
    axes[0].legend(fontsize=8, title="computed, no data")
    return fig


@look()
def size_and_growth(growth, title, synthetic):
    """Densities of size at T0 and of growth, benign beside malignant.

    Args:
        growth: DataFrame whose first two columns are drawn, and `label` in words.
    """
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 2.9), layout="constrained")
    for ax, name, width in zip(axes, growth.columns[:2], (1, 0.08), strict=True):
        low, high = growth[name].agg(["min", "max"]).fillna(0)
        sns.histplot(growth, x=name, hue="label", hue_order=LABELS, stat="density", common_norm=False,
                     binwidth=width, binrange=(low, max(high, low + width)), element="step",
                     palette=None if growth.empty else LABEL_COLOURS, legend=not growth.empty, ax=ax)
    return finish(fig, title, synthetic)
