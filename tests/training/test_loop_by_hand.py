"""loop.fit against the same three steps written out in plain torch: rate, clipping, optimiser, average, validation."""

import pytest
import torch
from torch import nn

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.training import loop

N_STEPS, CLIP, DECAY = 3, 0.05, 0.5
RATES = [0.1, 0.02, 0.3]
X, Y = seeding.noise((6, 2), "x"), 10 * seeding.noise((6, 1), "y")


def layer():
    with seeding.fresh_weights("by hand"):
        return nn.Linear(2, 1)


def objective(net, idx):
    return (net(X[idx]) - Y[idx]).square().mean()


def by_hand(clip=CLIP, rates=RATES):
    """Weights after each step, their averages, and the norms of the gradients before clipping."""
    net, live, mean, norms = layer(), [], [], []
    optimizer = torch.optim.AdamW(net.parameters(), lr=1.0, weight_decay=0.01)
    averaged = [p.detach().clone() for p in net.parameters()]
    for i in range(N_STEPS):
        optimizer.param_groups[0]["lr"] = rates[i]
        optimizer.zero_grad()
        objective(net, loop.batch_indices(i, 6, 3, 1, "s")).backward()
        norm = torch.cat([p.grad.flatten() for p in net.parameters()]).norm()
        for p in net.parameters():
            p.grad *= min(1.0, clip / (norm.item() + 1e-6))
        optimizer.step()
        decay = min(DECAY, (1 + i) / (10 + i))                  # an average of few steps must not hold the start
        averaged = [decay * a + (1 - decay) * p.detach() for a, p in zip(averaged, net.parameters(), strict=True)]
        live.append([p.detach().clone() for p in net.parameters()])
        mean.append(averaged)
        norms.append(norm.item())
    return live, mean, norms


def fitted(folder, ema_decay, validate=None, clip=CLIP):
    net, seen = layer(), []

    def look():
        assert not net.training                                 # dropout would blur what is compared
        seen.append([p.detach().clone() for p in net.parameters()])
        return -float(len(seen))                                # each one better than the one before
    history = loop.fit(lambda idx, g, i: {"loss": objective(net, idx)}, net, n_steps=N_STEPS, n_items=6, batch_size=3,
                       lr=lambda i: RATES[i], stage="s", seed=1, folder=folder, ema_decay=ema_decay, grad_clip=clip,
                       validate=look if validate else None, val_every=1, log=lambda line: None)
    return list(net.parameters()), seen, history


def close(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.detach(), other, atol=1e-6, rtol=1e-5)


def test_three_steps_with_a_moving_rate_and_clipped_gradients(tmp_path):
    live, _, norms = by_hand()
    weights, _, history = fitted(tmp_path, ema_decay=0.0)
    close(weights, live[-1])
    assert min(norms) > CLIP and history["grad_norm"].tolist() == pytest.approx(norms, rel=1e-4)
    assert history["lr"].tolist() == pytest.approx(RATES)


def test_clipping_and_the_rate_each_decide_the_weights(tmp_path):
    """The example can tell: without clipping, and at a rate that never moves, the weights are others."""
    live, _, _ = by_hand()
    unclipped, _, _ = by_hand(clip=float("inf"))
    fixed, _, _ = by_hand(rates=RATES[:1] * N_STEPS)
    for other in (unclipped, fixed):
        assert max((a - b).abs().max() for a, b in zip(live[-1], other[-1], strict=True)) > 1e-3
    close(fitted(tmp_path, ema_decay=0.0, clip=1e9)[0], unclipped[-1])


def test_without_an_average_the_live_weights_are_validated(tmp_path):
    live, _, _ = by_hand()
    _, seen, _ = fitted(tmp_path, ema_decay=0.0, validate=True)
    for found, expected in zip(seen, live, strict=True):
        close(found, expected)


def test_the_averaged_weights_are_validated_and_returned_and_the_live_ones_go_on(tmp_path):
    live, mean, _ = by_hand()
    weights, seen, _ = fitted(tmp_path / "a", ema_decay=DECAY, validate=True)
    for found, expected in zip(seen, mean, strict=True):
        close(found, expected)
    close(weights, mean[-1])
    close(fitted(tmp_path / "b", ema_decay=DECAY)[0], mean[-1])
    assert max((a - b).abs().max() for a, b in zip(live[-1], mean[-1], strict=True)) > 1e-3


def plain(make):
    """Weights after the three steps of a torch optimiser, gradients clipped by torch itself."""
    net = layer()
    optimizer = make(net.parameters())
    for i in range(N_STEPS):
        optimizer.param_groups[0]["lr"] = RATES[i]
        optimizer.zero_grad()
        objective(net, loop.batch_indices(i, 6, 3, 1, "s")).backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
    return list(net.parameters())


def stepped(folder, **settings):
    net = layer()
    loop.fit(lambda idx, g, i: {"loss": objective(net, idx)}, net, n_steps=N_STEPS, n_items=6, batch_size=3,
             lr=lambda i: RATES[i], stage="s", seed=1, folder=folder, grad_clip=CLIP, log=lambda line: None, **settings)
    return list(net.parameters())


def test_without_a_word_the_optimiser_is_torch_s_fused_adamw_to_the_last_bit(tmp_path):
    expected = plain(lambda params: torch.optim.AdamW(params, lr=1.0, weight_decay=0.01, fused=True))
    for found, other in zip(stepped(tmp_path), expected, strict=True):
        assert torch.equal(found, other)


def test_sgd_by_hand(tmp_path):
    """v <- m v + g + decay w, w <- w - rate v: momentum as torch's, decay inside the gradient."""
    net = layer()
    speed = [torch.zeros_like(p) for p in net.parameters()]
    for i in range(N_STEPS):
        grads = torch.autograd.grad(objective(net, loop.batch_indices(i, 6, 3, 1, "s")), list(net.parameters()))
        norm = torch.cat([grad.flatten() for grad in grads]).norm()
        with torch.no_grad():
            for p, grad, v in zip(net.parameters(), grads, speed, strict=True):
                v.mul_(0.8).add_(grad * CLIP / norm + 0.1 * p)
                p -= RATES[i] * v
    close(stepped(tmp_path, optimizer="sgd", momentum=0.8, weight_decay=0.1), [p.detach() for p in net.parameters()])


def test_an_optimiser_that_nobody_wrote_is_refused(tmp_path):
    with pytest.raises(UserError, match="s: optimizer is adam; use adamw or sgd"):
        stepped(tmp_path, optimizer="adam")
