import pytest
import torch
from small_systems import P, write_system_run
from torchmetrics.functional.image import structural_similarity_index_measure

from namd.forecasters.systems import mcwgan
from namd.ground import seeding
from namd.training import loop


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_system_run(tmp_path_factory.mktemp("run"))


def system(folder):
    return mcwgan.System(folder, P, key="k")


def images(n=4, size=64):
    return tuple(seeding.noise((n, 1, size, size), "mcwgan", name).clamp(-1, 1) for name in ("x1", "x2"))


def gradient(net):
    return sum(0 if weight.grad is None else weight.grad.abs().sum().item() for weight in net.parameters())


@pytest.mark.parametrize("distance", [2.0, 6.0])
def test_a_linear_optimum_has_the_slope_that_the_penalty_allows(distance):
    with seeding.fresh_weights("critic"):
        net = mcwgan.critic([8, 16], 16)
    optimizer, n_steps = torch.optim.Adam(net.parameters(), betas=mcwgan.BETAS), 150

    def draws(*keys):
        x1, base = (0.1 * seeding.noise((8, 1, 16, 16), *keys, name) for name in ("x1", "base"))
        return x1, base + distance / 16, base, torch.rand((8, 1, 1, 1), generator=seeding.generator(*keys, "mix"))

    for i in range(n_steps):
        optimizer.param_groups[0]["lr"] = loop.one_cycle(3e-3, n_steps)(i)
        optimizer.zero_grad()
        mcwgan.critic_loss(net, *draws(i)).backward()
        optimizer.step()
    x1, x2, x2_hat, mix = draws("test")
    slope = 1 + distance / (2 * mcwgan.PENALTY)         # the minimum of PENALTY (slope - 1)^2 - distance * slope
    assert mcwgan.slopes(net, x1, mix * x2 + (1 - mix) * x2_hat).tolist() == pytest.approx([slope] * 8, abs=0.03)
    gain = net(torch.cat([x1, x2], 1)).mean() - net(torch.cat([x1, x2_hat], 1)).mean()
    assert gain.item() == pytest.approx(distance * slope, rel=0.05)


def test_neither_loss_leaves_a_gradient_in_the_other_net(tmp_path):
    made, (x1, x2) = system(tmp_path), images()
    nets, mix = made.nets, torch.full((4, 1, 1, 1), 0.5)
    mcwgan.critic_loss(nets["critic"], x1, x2, made.predict(x1), mix).backward()
    assert gradient(nets["predictor"]) == 0 < gradient(nets["critic"])
    nets.zero_grad()
    made.predictor_loss(x1, x2, made.predict(x1)).backward()
    assert gradient(nets["critic"]) == gradient(nets["nodule"]) == 0 < gradient(nets["predictor"])


def test_the_critic_and_the_nodule_net_tell_the_predictor_where_to_go(tmp_path):
    made, (x1, x2) = system(tmp_path), images()
    x2_hat = x1.clone().requires_grad_()
    rest = made.predictor_loss(x1, x2, x2_hat) - made.distance(x2_hat, x2, mcwgan.SEEN)
    score = made.nets["critic"](torch.cat([x1, x2_hat], 1)).mean()
    found, wanted = (torch.autograd.grad(value, x2_hat)[0] for value in (rest, -mcwgan.ADVERSARIAL * score))
    assert torch.allclose(found, wanted, atol=1e-6) and wanted.abs().max() > 1e-5
    assert torch.autograd.grad(made.perceptual(x2_hat, x2), x2_hat)[0].abs().max() > 0


@pytest.mark.parametrize("name", mcwgan.WEIGHTS)
def test_every_term_is_zero_for_equal_images_alone(tmp_path, monkeypatch, name):
    made, (x1, x2) = system(tmp_path), images()
    for other in set(mcwgan.WEIGHTS) - {name}:
        monkeypatch.setitem(mcwgan.WEIGHTS, other, 0.0)
    assert made.distance(x2, x2).item() == pytest.approx(0, abs=1e-5)
    assert made.distance(x1, x2) > 0.01


def test_ssim_is_the_mean_over_images(tmp_path, monkeypatch):
    made, (x1, x2) = system(tmp_path), images()
    x1[0] = x2[0]                                       # so that the images differ in their SSIM
    for other in ("l1", "perceptual"):
        monkeypatch.setitem(mcwgan.WEIGHTS, other, 0.0)
    each = [structural_similarity_index_measure(a[None], b[None], data_range=2.0) for a, b in zip(x1, x2, strict=True)]
    wanted = mcwgan.WEIGHTS["ssim"] * (1 - sum(each) / 4)
    assert made.distance(x1, x2).item() == pytest.approx(wanted.item(), rel=1e-4)


def test_the_predictor_moves_in_every_n_critic_th_step_alone(tmp_path, pairs):
    def trained(n_steps):
        made = system(tmp_path)
        *_, stage = made.stages(pairs, pairs)
        loop.fit(stage.step, stage.trained, n_steps=n_steps, n_items=len(pairs), batch_size=4, lr=lambda i: 1e-3,
                 stage="gan", seed=1, folder=tmp_path / str(n_steps), log=lambda line: None, **stage.settings)
        return [torch.cat([w.detach().flatten() for w in made.nets[name].parameters()]) for name in stage.trained]

    n = mcwgan.N_CRITIC
    before, once, still, twice = map(trained, (n - 1, n, 2 * n - 1, 2 * n))
    start = torch.cat([w.detach().flatten() for w in system(tmp_path).nets["predictor"].parameters()])
    assert torch.equal(before[0], start) and torch.equal(once[0], still[0])
    assert not torch.equal(once[0], start) and not torch.equal(twice[0], still[0])
    assert not torch.equal(once[1], still[1])
