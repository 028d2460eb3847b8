"""How a latent space orders nodules by size, and how many neighbours a nodule has in it: metrics/latent_space.csv."""

import pandas as pd
import torch

from namd.evaluation.stats import latent
from namd.models.losses import neighbour_rows, perplexity


def scores(log_diameter, views, patient, batch, sigma_z, temperature) -> pd.DataFrame:
    """R2 of log diameter by two readers, and the median perplexity of a row of Q, for each view of the latent.

    Args:
        log_diameter: (N,); views: {name: (N, D)} of `latent.views`; patient: (N,).
        batch: latents that Q compares; sigma_z, temperature: as in Eq. 2.

    Returns:
        view, quantity, value, n.

    Source: ours; Figure 2 of the paper has no number.
    """
    found = []
    for view, points in views.items():
        for kind in ("knn", "linear"):
            r2 = latent.r2(log_diameter, latent.out_of_fold(points, log_diameter, kind, patient=patient))
            found.append({"view": view, "quantity": f"{kind}_r2", "value": r2, "n": len(points)})
        Q = neighbour_rows(torch.tensor(points[:batch]), sigma_z, temperature)
        found.append({"view": view, "quantity": "perplexity_z", "value": perplexity(Q).median().item(), "n": len(Q)})
    return pd.DataFrame(found)
