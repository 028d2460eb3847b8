"""Delta-LFM: ArcRank's zeros and signs, a gradient that survives equal singular values, and real time."""

import pytest
import torch
from small_systems import P, fitted, write_system_run

from namd.forecasters import flow
from namd.forecasters.systems.delta_lfm import MARGIN, System, arc_rank, safe_svd
from namd.ground.seeding import noise


def grown(z, by):
    """The same singular vectors, every singular value larger by `by` times the root of its row's length."""
    u, s, vh = torch.linalg.svd(z.flatten(2), full_matrices=False)
    return (u @ torch.diag_embed(s + by * z[0, 0].numel() ** 0.5) @ vh).view_as(z)


def test_arc_rank_is_zero_for_the_right_order_and_positive_for_the_wrong_one():
    z1 = noise((3, 4, 8, 8), "z1").double()
    arc, rank = arc_rank(z1, grown(z1, 1.01 * MARGIN))
    assert arc == pytest.approx(0, abs=1e-6) and rank == pytest.approx(0, abs=1e-6)
    assert arc_rank(z1, z1)[1] == pytest.approx(MARGIN, abs=1e-6)
    arc, rank = arc_rank(z1, grown(z1, -0.05))
    assert arc == pytest.approx(0, abs=1e-6) and rank == pytest.approx(MARGIN + 2 * 0.05, abs=1e-6)


def test_arc_sees_a_turn_and_no_sign():
    z1, angle = noise((200, 4, 8, 8), "z1").double(), torch.tensor(0.1)
    turn = torch.eye(4).double()
    turn[:2, :2] = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    z2 = (turn @ z1.flatten(2)).view_as(z1)
    arcs = torch.stack([arc_rank(z1[[i]], z2[[i]])[0] for i in range(200)])
    assert 0 < arcs.min() and arcs.max() < angle        # a vector that LAPACK returns with another sign is the same one
    assert arc_rank(z1, z1.flip(1))[0] > angle


def test_the_earlier_visit_is_a_constant_and_the_later_one_learns():
    z1, z2 = (noise((2, 4, 8, 8), name).requires_grad_() for name in "ab")
    sum(arc_rank(z1, z2)).backward()
    assert z1.grad is None and z2.grad.abs().max() > 0


def test_the_gradient_is_that_of_torch_where_singular_values_are_apart():
    m = noise((5, 4, 64), "m").double() * torch.tensor([1.0, 2.0, 4.0, 8.0]).view(4, 1)
    weight_u, weight_s = noise((5, 4, 4), "u").double(), noise((5, 4), "s").double()
    grads = []
    for svd in (safe_svd, lambda m: torch.linalg.svd(m, full_matrices=False)[:2]):
        x = m.clone().requires_grad_()
        u, s = svd(x)
        ((u * weight_u).sum() + (s * weight_s).sum()).backward()
        grads.append((u, s, x.grad))
    for ours, theirs in zip(*grads, strict=True):
        assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()


def test_the_size_of_the_latents_is_neither_punished_nor_rewarded():
    made = System("unused", P)
    x1, x2 = (noise((4, 1, 64, 64), v) for v in "ab")
    plain = made.autoencoder_losses(x1, x2)
    gain = torch.tensor(10.0, requires_grad=True)
    made.nets["encoder"].register_forward_hook(lambda module, x, h: gain * h)
    grown = made.autoencoder_losses(x1, x2)
    assert torch.allclose(grown["rank"], plain["rank"], atol=1e-5) and grown["rank"] > 0
    assert torch.autograd.grad(grown["rank"], gain)[0].abs() < 1e-6


@pytest.mark.parametrize("m", [torch.eye(4, 64), torch.zeros(4, 64)])
def test_the_gradient_is_finite_where_singular_values_are_equal(m):
    x = m.unsqueeze(0).clone().requires_grad_()
    u, s = safe_svd(x)
    ((u * noise(u.shape, "w")).sum() + s.sum()).backward()
    assert x.grad.isfinite().all()


def test_a_flow_learns_a_velocity_per_year_whatever_the_interval():
    made = System("unused", P)
    speed = torch.linspace(-1, 1, 4).view(4, 1, 1).expand(4, 8, 8)
    optimizer = torch.optim.Adam(made.nets["flow"].parameters(), 3e-2)
    record, z1 = torch.zeros(4, 39), noise((4, 4, 8, 8), "z1")
    for i in range(50):
        g = torch.Generator().manual_seed(i)
        z, s, years = noise((4, 4, 8, 8), "train", i), torch.rand(4, generator=g), 1 + torch.rand(4, generator=g)
        loss = made.flow_loss(z, z + speed * years.view(-1, 1, 1, 1), years, record, s)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    with torch.no_grad():
        error = flow.integrate(lambda z, t: made.velocity(z, t, record), z1, 5) - (z1 + speed)
    assert error.square().mean() < 0.02 * speed.square().mean()


def test_the_velocity_is_asked_at_its_own_time_in_years():
    made, asked = System("unused", P), []
    made.velocity = lambda z, t, record: asked.append(t) or 0 * z
    made.flow_loss(torch.zeros(2, 4, 8, 8), torch.ones(2, 4, 8, 8), torch.tensor([0.5, 2.0]), None,
                   torch.tensor([1.0, 0.5]))
    assert asked[0].tolist() == [0.5, 1.0]


def test_the_record_reaches_the_draw_and_is_stored_with_its_spreads(tmp_path):
    pairs = write_system_run(tmp_path)
    made = fitted("delta_lfm", tmp_path, pairs)
    x1, ehr = pairs.images(64, -1000, 400)[0][:4], pairs.ehr.iloc[:4]
    other = ehr.assign(sct_long_dia=ehr.sct_long_dia * 3, age=ehr.age + 20)
    assert not torch.equal(made.sample(x1, ehr, [1]), made.sample(x1, other, [1]))
    again = System(tmp_path, P, "k")
    assert torch.equal(again.nets["record"].numbers(ehr), made.nets["record"].numbers(ehr))
    assert again.nets["record"].mean.abs().max() > 0
