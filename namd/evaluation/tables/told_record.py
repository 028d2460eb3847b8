"""What came out in notebook 04, one sentence a function: what the context holds, what learnt, whether it is heard."""

import numpy as np

from namd.evaluation.stats.bootstrap import mean_interval, resample_counts
from namd.evaluation.tables.wording import by_interval, listed, signed

FEATURES = {"age": "the age", "log_diameter": "the log diameter"}
MOVED = 0.01            # of the prompts' own length: less is standing still
SAME = 0.3              # of the length of the mean: patients that differ by less are nearly the same
N_BOOT = 500
NEAR_MM = 12            # from the centre: nodule and rim of most


def probes(table) -> str:
    """What a line through C reads of the record.

    Args:
        table: index age and log_diameter; a column for one prompt set and one for all.

    Source: ours.
    """
    one, every = table.columns
    told = [f"{FEATURES[name]} with an R² of {line[every]:.2f} ({line[one]:.2f})" for name, line in table.iterrows()]
    sets = listed(told)
    more = bool((table[every] > table[one]).all())
    closing = "More sets say more" if more else "Here more sets do not say more of both"
    return f"A line through {every} reads {sets}; in brackets from {one}. {closing}."


def spread(loudness) -> str:
    """Whether the context depends on the patient.

    Args:
        loudness: spread between patients over the length of the mean.

    Source: ours, because a context that is the same for everybody conditions nothing.
    """
    told = f"The spread of C between patients is {loudness:.0%} of the length of its mean"
    if loudness < SAME:
        return f"{told}: it is nearly the same for everybody, and a U-Net would mostly see a constant."
    return f"{told}: patients differ in it clearly."


def prompts(moved, steps, prompt_steps) -> str:
    """Whether the prompts learnt.

    Args:
        moved: distance from their start over the length of the start; steps: of the training; prompt_steps: in how many
            of them they learn, -1 for all.

    Source: ours, because what does not move cannot have learnt.
    """
    if prompt_steps == 0:
        return "The prompts are frozen in this arm and stay where they began."
    when = "all" if prompt_steps < 0 else f"the first {min(prompt_steps, steps)} of"
    learnt = f"The prompts moved by {moved:.1%} of their length in {when} {steps} steps"
    if moved < MOVED:
        return f"{learnt}: too little to have learnt anything, the run is too short for that."
    return f"{learnt}. Notebook 07 says whether that is worth more than frozen ones."


def losses(before, after, swapped) -> str:
    """The validation loss before and after, and with the record of another patient."""
    word = "falls" if after < before else "does not fall: it goes"
    own = "raises it" if swapped > after else "does not raise it: it is then"
    by = f" by {swapped - after:.4f}, {(swapped - after) / after:.1%}" if swapped > after else f" {swapped:.4f}"
    return f"The validation loss {word} from {before:.3f} to {after:.3f}. The record of another patient {own}{by}."


def disagreement(x2_hat, mm_per_px) -> str:
    """Where K drawings of a patient differ: near the nodule, and elsewhere.

    Args:
        x2_hat: (K, N, 1, S, S); mm_per_px: side of a pixel.

    Source: ours.
    """
    spread = np.asarray(x2_hat, dtype=float).std(0, ddof=1)[:, 0]                   # (N, S, S)
    axis = (np.arange(spread.shape[-1]) + 0.5 - spread.shape[-1] / 2) * mm_per_px
    near = np.hypot(axis[:, None], axis[None]) <= NEAR_MM
    within = spread[:, near].mean()
    beyond = spread[:, ~near].mean()
    word = "differ most" if within > beyond else "do not differ more"
    return (f"The {len(x2_hat)} drawings of a patient {word} around the nodule: by {within:.3f} (standard deviation of"
            f" a pixel) within {NEAR_MM} mm of the centre, by {beyond:.3f} beyond (n = {len(spread)}).")


def whose_record(errors, own, other, patient, seed) -> str:
    """Whether the right patient's record helps, by pixels, and where a copy of the baseline stands.

    Args:
        errors: {forecast: (N,) mean |error| of each pair}; own, other: two of them; patient: (N,); seed: names the
            resamples.

    Source: ours; paired, because both forecasts are of the same patients.
    """
    counts = resample_counts(np.zeros(len(patient)), N_BOOT, seed, "whose record", patient=patient)
    found = mean_interval(np.asarray(errors[other]) - np.asarray(errors[own]), counts)
    word = by_interval(*found[1:], "is worse", "is better", "cannot be told from one's own")
    means = [f"{name} {np.mean(values):.4f}" for name, values in errors.items()]
    return (f"Mean |error|: {listed(means)}. The record of another patient {word}: {signed(*found, 4)}"
            f" (n = {len(patient)}).")
