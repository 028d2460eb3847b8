"""The terms of the VAE's objective: Eq. 2-6 of the paper; the perceptual one is in `perceptual`."""

import torch
import torch.nn.functional as F

from namd.ground.errors import UserError


def _log_rows(v: torch.Tensor, sigma: float, temperature: float) -> torch.Tensor:
    """Logarithm of the rows of Eq. 3, (B, B), with -inf on the diagonal."""
    if len(v) < 2:
        raise ValueError(f"v has {len(v)} row(s); Eq. 3 compares each sample with another, so give B >= 2")
    if sigma <= 0 or temperature <= 0:
        raise ValueError(f"sigma = {sigma} and temperature = {temperature} must be above 0")
    v = v.flatten(1)
    squared = (v[:, None] - v[None]).square().sum(-1)
    ell = -squared / (2 * sigma**2 * temperature)
    itself = torch.eye(len(v), dtype=torch.bool, device=v.device)
    return ell.masked_fill(itself, -torch.inf).log_softmax(1)


def neighbour_rows(v: torch.Tensor, sigma: float, temperature: float = 1.0) -> torch.Tensor:
    """Distribution of each sample's neighbours in its batch (Eq. 2-3).

    Args:
        v: (B, ...) float, attributes f or latents z; flattened per sample.
        sigma: > 0, width in the units of v.
        temperature: > 0, dimensionless; divides the log-similarity, so the width in force is
            sigma * sqrt(temperature).

    Returns:
        (B, B) float, dimensionless; rows sum to 1, the diagonal is 0.

    Raises:
        ValueError: B < 2, sigma <= 0 or temperature <= 0.

    Source: Sec. 3.2.1. The temperature is in the authors' code only; the paper's is 1.
    """
    return _log_rows(v, sigma, temperature).exp()


def alignment_loss(
    f: torch.Tensor, z: torch.Tensor, sigma_f: float, sigma_z: float, temperature: float = 1.0, floor: float = 0.0,
    known: torch.Tensor | None = None,
) -> torch.Tensor:
    """KL from attribute neighbours P to latent neighbours Q (Eq. 4).

    Args:
        f: (B, n_feat) float, nodule attributes.
        z: (B, ...) float, latents; flattened per sample.
        sigma_f, sigma_z: > 0, widths in the units of f and of z.
        temperature: > 0, dimensionless, the same on both sides.
        floor: >= 0, dimensionless; what every entry of P and Q is raised by, before the rows are rescaled to sum to 1
            and again inside the logarithm. 0 is Eq. 4 to the letter, which has no upper end; above 0 no row costs
            more than about log(1 / (2 floor)), and a neighbour that Q holds for impossible pulls no more.
        known: (B,) bool, of which nodules any attribute is known; the others have no row and are in nobody's. None is
            all of them.

    Returns:
        () float, nats, mean over the rows; 0 when P = Q, and where fewer than two nodules are known.

    Raises:
        ValueError: B < 2, a width or the temperature is <= 0.

    Source: Sec. 3.2.1. The paper does not define the superscript (n) on f; we read "normalised". Floor: authors' code.
        `known` is ours, because an open list names nodules that have no row in the tables.
    """
    if known is not None:
        f = f[known]
        z = z[known]
        if len(f) < 2:
            return 0 * z.sum()
    log_p = _log_rows(f, sigma_f, temperature)
    log_q = _log_rows(z, sigma_z, temperature)
    if floor:
        P = _raised(log_p, floor)
        Q = _raised(log_q, floor)
        return (P * ((P + floor).log() - (Q + floor).log())).sum(1).mean()
    itself = torch.eye(len(log_p), dtype=torch.bool, device=z.device)
    log_ratio = (log_p - log_q).masked_fill(itself, 0.0)
    return (log_p.exp() * log_ratio).sum(1).mean()


def _raised(log_rows: torch.Tensor, floor: float) -> torch.Tensor:
    """Rows of Eq. 3 with `floor` added to each entry, the diagonal too, and rescaled to sum to 1."""
    rows = log_rows.exp() + floor
    return rows / rows.sum(1, keepdim=True)


def prediction_loss(logit: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the linear probe h_theta (Eq. 5).

    Args:
        logit: (B,) float, the probe's output before the sigmoid.
        label: (B,) int or float, 0 benign, 1 malignant.

    Returns:
        () float, nats, mean over the batch; log 2 when every logit is 0.

    Source: Sec. 3.2.2.
    """
    return F.binary_cross_entropy_with_logits(logit, label.to(logit.dtype))


def kl_loss(mean: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """KL from the posterior N(mean, exp(logvar)) to N(0, 1), the L_KL of Eq. 6.

    Args:
        mean, logvar: (B, 4, h, w) float, moments of the posterior, unscaled.

    Returns:
        () float, nats, summed over the latent and averaged over the batch; 0 at mean 0, logvar 0.

    Source: Sec. 3.2.3. The sum over the latent is the authors' code, so lambda_kl is theirs too.
    """
    per_value = 0.5 * (mean.square() + logvar.exp() - 1 - logvar)
    return per_value.flatten(1).sum(1).mean()


def reconstruction_loss(x: torch.Tensor, x_hat: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of two images (B, 1, S, S) in [-1, 1], the L_rec of Eq. 6; () float.

    Source: Sec. 3.2.3 (L1); the mean over pixels is the authors' code.
    """
    return (x - x_hat).abs().mean()


def perplexity(P: torch.Tensor) -> torch.Tensor:
    """Effective number of neighbours in each row.

    Args:
        P: (B, B) float, rows that sum to 1.

    Returns:
        (B,) float, dimensionless, from 1 (one neighbour takes all) to B - 1 (all alike).

    Source: ours, because sigma is easier to judge in neighbours; the definition is t-SNE's.
    """
    return torch.special.entr(P).sum(1).exp()


def sigma_for_perplexity(f: torch.Tensor, perplexity_wanted: float, temperature: float = 1.0) -> float:
    """Width at which the median row of Eq. 3 has the perplexity wanted.

    Args:
        f: (B, n_feat) float, one batch of attributes, as large as the batches trained on.
        perplexity_wanted: dimensionless, below B - 1.
        temperature: > 0, as in `alignment_loss`.

    Returns:
        float, in the units of f; found by bisection to 1e-4 relative.

    Raises:
        UserError: no width gives this perplexity in a batch of B.

    Source: ours, because standardised attributes need a width of their own.
    """
    f = f.double()

    def median_at(log_sigma: float) -> float:
        return perplexity(neighbour_rows(f, 10**log_sigma, temperature)).median().item()

    low = -3.0
    high = 3.0
    if not median_at(low) < perplexity_wanted < median_at(high):
        raise UserError(
            f"align_perplexity = {perplexity_wanted:g} cannot be reached with {len(f)} nodules in a batch: "
            f"choose it between {median_at(low):.1f} and {median_at(high):.1f}, or enlarge vae_batch."
        )
    while high - low > 4e-5:
        middle = (low + high) / 2
        if median_at(middle) < perplexity_wanted:
            low = middle
        else:
            high = middle
    return 10 ** ((low + high) / 2)
