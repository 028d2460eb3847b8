"""How alike generated and real images are to a perceptual network, and what it sees of them, each image read once."""

import torch


@torch.no_grad()
def compare_runs(net, x2_hat, x2, batch=20):
    """Distance between each generated image and its real follow-up, and the features of the generated ones.

    The numbers of `net(x2_hat, x2)`, which would compute the follow-up's features anew for each of the K runs.

    Args:
        net: frozen module of perceptual.load_perceptual; name network and weights beside the number, because networks
            do not compare and the paper does not say which it used.
        x2_hat: (K, N, 1, S, S), x2: (N, 1, S, S), in [-1, 1]; batch: images per forward pass.

    Returns:
        distance (K, N) float32 numpy array, 0 means equal, dimensionless; pooled (K, N, dim) float32 tensor on the
        CPU, the mean of each feature over the image, or None where `net.pools` is false.

    Source: Sec. 4.1.2 [Zhang et al., 2018]; 20 images a pass because they fit the cache.
    """
    device = next(net.parameters()).device
    distances = []
    pooled = []
    for runs, real in zip(x2_hat.split(batch, dim=1), x2.split(batch), strict=True):
        of_real = net.features(real.to(device, torch.float32))
        of_runs = [net.features(run.to(device, torch.float32)) for run in runs]
        distances.append(torch.stack([net.between(of_real, of_run).reshape(-1).cpu() for of_run in of_runs]))
        pooled.append(torch.stack([pool(of_run) for of_run in of_runs]))
    return torch.cat(distances, dim=1).numpy(), torch.cat(pooled, dim=1) if net.pools else None


@torch.no_grad()
def pooled_features(net, x, batch=20):
    """What `compare_runs` gives of the features of images x (N, 1, S, S) in [-1, 1]: (N, dim) float32 on the CPU.

    Source: ours, for a Frechet distance in the features of the distance; Inception's are pooled alike.
    """
    device = next(net.parameters()).device
    return torch.cat([pool(net.features(part.to(device, torch.float32))) for part in x.split(batch)])


def pool(features):
    """Mean over space of feature maps (B, C, h, w), all maps side by side: (B, sum of C) on the CPU."""
    return torch.cat([of_layer.mean((2, 3)) for of_layer in features], dim=1).cpu()
