"""What came out in notebook 03, one sentence a function: what noise leaves, what the U-Net learnt, what it draws."""

import numpy as np

from namd.evaluation.tables.told_training import lowest

ALIKE = 0.9             # of the distance between two real latents: below it samples are more alike
COPIES = 0.5            # below it they are near-copies
TISSUE_HU = -500        # between the lung and a solid nodule


def decoder_error(x, x_hat, window_low, window_high) -> str:
    """How far a decoded pixel lies from the image's.

    Args:
        x, x_hat: (N, 1, S, S) in [-1, 1]; window_low, window_high: HU shown as -1 and 1.

    Source: ours.
    """
    off = float((x - x_hat).abs().mean())
    return (f"A decoded pixel misses the image's by {off:.3f} on average, {off * (window_high - window_low) / 2:.0f} HU"
            f" (n = {len(x)}).")


def fading(alpha_bar) -> str:
    """Where the noise takes over, and what is left of the amplitude at 100 and 800 thousandths of the way.

    Args:
        alpha_bar: (T,) share of variance, falling.

    Source: ours.
    """
    values = np.asarray(alpha_bar, dtype=float)
    half = int((values < 0.5).argmax())
    early, late = (round(len(values) * share) for share in (0.1, 0.8))
    return (f"From step {half} of {len(values)} on, more than half of the variance is noise. At step {early} a latent"
            f" keeps {values[early] ** 0.5:.2f} of its amplitude, at step {late} {values[late] ** 0.5:.2f}.")


def leaks(schedules, spread=3) -> str:
    """What each schedule leaves at half time and at the end, and what that means for a wide direction.

    Args:
        schedules: {name: (T,) alpha_bar}; spread: standard deviation of a direction of the latent.

    Source: ours, after Lin et al. 2024.
    """
    told = []
    for name, values in schedules.items():
        values = np.asarray(values, dtype=float)
        end = values[-1] ** 0.5
        told.append(f"`{name}` {values[len(values) // 2]:.0%} and {end:.3f} ({spread * end:.2f})")
    return (f"Of the variance at half time and of the amplitude at the end, the schedules keep: {'; '.join(told)}. In"
            f" brackets, by how much a direction of spread {spread} still moves the input at the end.")


def below_yardstick(history, val_loss, yardstick) -> str:
    """The validation loss beside what a model of the spread alone would pay, and which step it is of.

    Args:
        history: DataFrame step, val_loss, ...; val_loss: of the weights that were kept.

    Source: ours.
    """
    best, last = (int(row["step"]) for row in lowest(history))
    which = "the last step's" if best == last else f"those of step {best} of {last}"
    gain = 1 - val_loss / yardstick
    if gain <= 0:
        return (f"The validation loss of {val_loss:.3f} is not below the yardstick of {yardstick:.3f}: in {last} steps"
                " the U-Net has not learnt more than the spread.")
    return (f"The validation loss of the weights that are kept, {which}, is {val_loss:.3f}, {gain:.0%} below the"
            f" yardstick of {yardstick:.3f}.")


def with_a_nodule(sampled, decoded, window_low, window_high) -> str:
    """In how many sampled images, and in how many decoded ones, tissue lies in the middle, where the nodule belongs.

    Args:
        sampled, decoded: (N, 1, S, S) in [-1, 1]; window_low, window_high: HU shown as -1 and 1.

    Source: ours; the middle is an eighth of the side wide.
    """
    told = []
    for x in (sampled, decoded):
        side = x.shape[-1]
        middle = slice(side * 7 // 16, side * 9 // 16)
        hu = window_low + (np.asarray(x)[..., middle, middle].mean((1, 2, 3)) + 1) / 2 * (window_high - window_low)
        told.append(f"{(hu > TISSUE_HU).sum()} of {len(hu)}")
    return (f"Tissue, more than {TISSUE_HU} HU on average, lies in the middle of {told[0]} sampled images and of"
            f" {told[1]} decoded ones.")


def variety(ratio, apart) -> str:
    """Whether the samples differ as real latents do.

    Args:
        ratio: their spread over the real one; apart: mean distance of two of them over that of two real ones.

    Source: ours, because sixteen pictures cannot tell variety from copies.
    """
    word = ("near-copies of each other" if apart < COPIES else "more alike than real ones" if apart < ALIKE
            else "as different as real ones")
    return (f"The spread of the sampled latents is {ratio:.2f} of the real one, and two of them lie {apart:.2f} times"
            f" as far apart as two real ones: they are {word}.")
