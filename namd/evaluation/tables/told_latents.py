"""What came out in notebook 02, one sentence a function: neighbours, the terms of Eq. 6, sharpness, order by size."""

import numpy as np

from namd.evaluation.stats import latent
from namd.evaluation.stats.bootstrap import percentile_interval, resample_counts
from namd.evaluation.tables.wording import listed, measured

NAMES = {"rec": "L1", "kl": "KL", "lpips": "perceptual", "align": "alignment", "pred": "prediction"}
AT_ENDS = 10            # steps at each end of a training that are averaged
LEAST = 0.9             # of a term's start: what lies above it after training has not fallen
PEAK = 2                # times the power around it, from where a pattern of period 2 is one
N_BOOT = 500


def rows(P, Q, kl_rows) -> str:
    """Where the latents look for another neighbour than the attributes, and what that costs.

    Args:
        P, Q: (B, B) rows of Eq. 3; kl_rows: (B,) nats.

    Source: ours.
    """
    worst = int(kl_rows.argmax())
    wanted = int(P[worst].argmax())
    got = int(Q[worst].argmax())
    said = f"Nodule {worst + 1} pays most, {kl_rows[worst]:.2f} of {kl_rows.sum():.2f} nats: "
    if wanted == got:
        return (f"{said}both rows point to nodule {wanted + 1}, P with {P[worst, wanted]:.2f}, Q with"
                f" {Q[worst, got]:.2f}.")
    return (f"{said}P gives {P[worst, wanted]:.2f} of the row to nodule {wanted + 1}, Q gives {Q[worst, got]:.2f} to"
            f" nodule {got + 1}.")


def neighbours(sigmas, counts, wanted=10) -> str:
    """How many neighbours a row has at sigma_z = 1, by the length of the latent, and the width that gives `wanted`.

    Args:
        sigmas: (S,) ascending; counts: {length of the latent: (S,) perplexities}.

    Source: ours.
    """
    at_one = [f"{np.interp(0, np.log(sigmas), found):.1f} where the latent has {n} numbers"
              for n, found in counts.items()]
    longest = max(counts)
    enough = np.asarray(counts[longest]) >= wanted
    width = f"; {longest} need a width of {sigmas[enough.argmax()]:.1f} to have {wanted}" if enough.any() else ""
    return f"At $\\sigma_z = 1$ the neighbours of a row are {listed(at_one)}{width}."


def terms(history, weights) -> str:
    """What each term of Eq. 6 makes of the loss at the end of the training.

    Args:
        history: DataFrame with a column for each term; weights: {column: lambda}.

    Source: ours, because a term that is a hundredth of the loss teaches little.
    """
    last = history[list(weights)].tail(AT_ENDS).mean()
    part = {name: weight * last[name] for name, weight in weights.items()}
    whole = sum(part.values())
    told = [f"{NAMES[name]} {value / whole:.0%}" for name, value in sorted(part.items(), key=lambda x: -x[1])]
    return f"At the end the loss is {whole:.3f}: {listed(told)}."


def fell(history, name, weight) -> str:
    """How far a term fell, or that nothing asked it to.

    Args:
        history: as of `terms`; name: of the column; weight: its lambda.

    Source: ours.
    """
    before, after = ends(history, name)
    if not weight:
        return f"The {NAMES[name]} term has no weight here and goes from {before:.2f} to {after:.2f}."
    word = "falls" if after < LEAST * before else "does not fall in these steps: it goes"
    return f"The {NAMES[name]} term {word} from {before:.2f} to {after:.2f}."


def ends(history, name) -> tuple[float, float]:
    """Mean of a column over the first and over the last steps of a training."""
    n = min(AT_ENDS, max(1, len(history) // 2))
    return float(history[name].head(n).mean()), float(history[name].tail(n).mean())


def decoded(x_hat, x, window_low, window_high) -> str:
    """How far a decoded pixel lies from the image's, in the middle, where the nodule is, and around it.

    Args:
        x_hat, x: (N, 1, S, S) in [-1, 1]; window_low, window_high: HU shown as -1 and 1.

    Source: ours; the middle is a quarter of the side wide.
    """
    off = np.abs(np.asarray(x_hat) - np.asarray(x)) * (window_high - window_low) / 2
    side = off.shape[-1]
    inside = np.zeros((side, side), dtype=bool)
    inside[side * 3 // 8:side * 5 // 8, side * 3 // 8:side * 5 // 8] = True
    return (f"A decoded pixel misses the image's by {off.mean():.0f} HU on average (n = {len(off)}): by"
            f" {off[..., inside].mean():.0f} HU in the middle, where the nodule lies, and by"
            f" {off[..., ~inside].mean():.0f} HU around it.")


def sharpness(quality) -> str:
    """What the decoder gives back, from `image_quality.decoded_rows`."""
    line = quality.set_index("quantity")
    value = line["value"]
    noise, smallest, largest, peak = (value.iloc[i] for i in range(4))
    known = np.isfinite(line["low"].iloc[0])
    decibel = measured(noise, line["low"].iloc[0], line["high"].iloc[0], 1) if known else f"{noise:.1f}"
    pattern = (f"there is a pattern of period 2, {peak:.1f} times its surroundings" if peak > PEAK
               else "there is no pattern of period 2")
    return (f"PSNR is {decibel} dB. Up to the cut-off the decoded images keep {smallest:.0%} to {largest:.0%} of the"
            f" power, and {pattern}.")


def order(log_diameter, views, patient, seed) -> str:
    """How much of the log diameter the nearest latents of other patients explain, with a patient interval.

    Args:
        log_diameter: (N,); views: {name: (N, D)} of `latent.views`; patient: (N,); seed: names the resamples.

    Source: ours; Figure 2 of the paper has no number.
    """
    counts = resample_counts(np.zeros(len(log_diameter)), N_BOOT, seed, "order", patient=patient)
    told = []
    for name, points in views.items():
        guess = latent.out_of_fold(points, log_diameter, "knn", patient=patient)
        with np.errstate(divide="ignore", invalid="ignore"):            # a resample of one size alone
            drawn = latent.r2_draws(log_diameter, guess, counts)
        low, high = percentile_interval(drawn[np.isfinite(drawn)])
        told.append(f"{measured(latent.r2(log_diameter, guess), low, high)} from the {name} latent")
    return (f"The nearest latents of other patients explain, of the variance of log diameter, {listed(told)}"
            f" (n = {len(log_diameter)}; 1 is all, 0 is none).")
