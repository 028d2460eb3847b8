"""Eq. 6, 9 and 10 as notebooks 02 to 04 compose them: their own cells, beside networks whose answer is known."""

import ast
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from namd.data.cohort import SCHEMA, Pairs
from namd.ground import order, seeding
from namd.models import diffusion, losses


def run_cells(number, *definitions, **names):
    """Names that the cells of `definitions`, functions or lines, leave behind after every import of the notebook."""
    cells = [source for _, source in order.code_cells(number)]
    lines = [node for cell in cells for node in ast.parse(cell).body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(lines, []), "imports", "exec"), names)
    for definition in definitions:
        text = definition if "=" in definition else f"def {definition}("
        (cell,) = [cell for cell in cells if text in cell]
        exec(compile(cell, f"notebook {number}", "exec"), names)
    return names


def test_equation_6_gives_every_term_its_own_weight():
    x, xi, logit = (seeding.noise(shape, name) for shape, name in (((6, 1, 8, 8), "x"), ((6, 4, 2, 2), "xi"), (6, "l")))
    f, label = seeding.noise((6, 3), "f"), torch.tensor([0, 1, 1, 0, 0, 1])
    q = SimpleNamespace(mean=seeding.noise((6, 4, 2, 2), "m"), std=torch.full((6, 4, 2, 2), 0.5))
    q.logvar = q.std.log() * 2
    vae = SimpleNamespace(posterior=lambda x: q, decode=lambda z: 0.9 * x + z.mean(), logit=lambda z: logit)
    weights = dict(lambda_kl=0.03, lambda_lpips=0.5, lambda_align=0.7, lambda_pred=1.1)
    made = run_cells("02", "compared", "objective", vae=vae, perceptual=lambda a, b: (a - b).square().flatten(1),
                     lpips_share=0.5, width_f=1.5, sigma_z=2.0, align_temperature=0.5, align_floor=1e-8,
                     align_latent="flat", **weights)
    m = torch.tensor([True, True, False, True, True, True])
    said, z = made["objective"](x, f, m, label, xi), q.mean + 0.5 * xi
    x_hat = 0.9 * x + z.mean()
    terms = dict(kl=losses.kl_loss(q.mean, q.logvar), lpips=(x[:3] - x_hat[:3]).square().mean(),
                 align=losses.alignment_loss(f[m], z[m], 1.5, 2.0, 0.5, 1e-8),
                 pred=losses.prediction_loss(logit, label))
    for name, term in terms.items():
        torch.testing.assert_close(said[name], term)
    whole = (x - x_hat).abs().mean() + sum(weights[f"lambda_{name}"] * term for name, term in terms.items())
    torch.testing.assert_close(said["loss"], whole)


class Sum(torch.nn.Module):
    """A U-Net whose prediction is the sum of what it is told, the second four channels twice."""

    def forward(self, z, t, encoder_hidden_states):
        told = t / 1e3 + encoder_hidden_states.mean((1, 2))
        return SimpleNamespace(sample=sum(n * part for n, part in enumerate(z.split(4, dim=1), 1))
                               + told.view(-1, 1, 1, 1))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_equations_9_and_10_ask_for_the_noise_of_what_they_noised(kind):
    p = SimpleNamespace(n_timesteps=1000, beta_start=8.5e-4, beta_end=1.2e-2, beta_schedule="scaled_linear",
                        prediction_type=kind, zero_terminal_snr=False, timestep_spacing="leading")
    scheduler, t = diffusion.schedule(p), torch.tensor([10, 500, 900])
    bar = diffusion.alpha_bar(scheduler)
    z1, z2, eps = (seeding.noise((3, 4, 2, 2), name) for name in ("z1", "z2", "eps"))
    ctx, given = seeding.noise((3, 2, 5), "ctx"), dict(run=SimpleNamespace(device="cpu"), net=Sum(), p=p,
                                                       alpha_bar=bar, scheduler=scheduler)
    a, b = (v.sqrt().view(-1, 1, 1, 1) for v in (bar[t], 1 - bar[t]))
    z2_t, aim = a * z2 + b * eps, eps if kind == "epsilon" else a * eps - b * z2
    told = t.view(-1, 1, 1, 1) / 1e3
    uncond = run_cells("03", "noisy_loss", null=ctx[:1], **given)["noisy_loss"](z2, eps, t)
    torch.testing.assert_close(uncond, (aim - z2_t - told - ctx[:1].mean()).square().mean())
    latents = {"train": {name: z1[:, None] for name in ("z1_mean", "z2_mean", "z1_std", "z2_std")}}
    made = run_cells("04", "cond_loss", latents=latents, reports={"train": "abc"}, check=lambda *_: None, **given)
    by_hand = aim - (z2_t + 2 * z1 + told + ctx.mean((1, 2)).view(-1, 1, 1, 1))     # [z2_t, z1] along the channels
    torch.testing.assert_close(made["cond_loss"](z1, z2, eps, t, ctx), by_hand.square().mean())


def test_the_vae_learns_from_both_visits_under_every_turn_with_the_attributes_and_labels_of_each():
    n = 5
    known = dict(label=[0, 1, 1, 0, 1], t0_index=range(n), t1_index=range(n, 2 * n))
    for prefix, start in (("", 5.0), ("t1_", 11.0)):
        known |= {f"{prefix}sct_{axis}_dia": [start + i for i in range(n)] for axis in ("long", "perp")}
    crops = seeding.noise((2 * n, 128, 128), "crops").mul(100).short().numpy()
    train = Pairs(pd.DataFrame(known, index=list("abcde"), columns=list(SCHEMA)), crops)
    made = run_cells("02", "both_visits", "x_train = torch.stack(turned)", train=train, val=train, align_features="raw",
                     augment="square", image_size=64, window_low=-1000, window_high=400)
    plain = torch.cat(train.images(64, -1000, 400))
    for k in range(8):
        expected = torch.rot90(plain, k % 4, (-2, -1))
        assert torch.equal(made["x_train"][k], expected.flip(-1) if k >= 4 else expected)
    f, m, label, _ = made["both_visits"](train)
    order = f.sum(1).argsort()
    assert m.all() and order.tolist() == list(range(2 * n)) and label.tolist() == 2 * known["label"]


def test_a_vae_step_picks_one_turn_for_each_image_and_its_own_attributes_and_label():
    item, turn, seen = torch.arange(30.0), torch.arange(8.0).view(8, 1, 1, 1, 1), []
    made = run_cells("02", "step", x_train=(10 * item.view(1, 30, 1, 1, 1) + turn).expand(8, 30, 1, 2, 2),
                     f_train=item.view(30, 1), m_train=item < 7, label_train=item, z_first=torch.zeros(1, 4, 2, 2),
                     run=SimpleNamespace(device="cpu"))
    made["objective"] = lambda *given: seen.append(given)
    idx = torch.arange(30).flip(0)
    made["step"](idx, seeding.generator("step"), 7)
    x, f, m, label, xi = seen[0]
    assert torch.equal(m, idx < 7)
    assert torch.equal(x[:, 0, 0, 0] // 10, idx.float()) and len((x[:, 0, 0, 0] % 10).unique()) > 3
    assert torch.equal(f[:, 0], idx.float()) and torch.equal(label, idx.float()) and 0.9 < xi.std() < 1.1


def turned(visit):
    """Means that say their visit, pair and augmentation: (30, 8, 4, 2, 2)."""
    pair, turn = torch.arange(30.0).view(30, 1, 1, 1, 1), torch.arange(8.0).view(1, 8, 1, 1, 1)
    return (1000 * visit + 10 * pair + turn).expand(30, 8, 4, 2, 2)


def test_a_conditional_step_turns_both_visits_alike_and_asks_for_the_report_of_its_pair():
    seen = []
    prompts = SimpleNamespace(vectors=lambda: torch.ones(1, 1, 2))
    bank = SimpleNamespace(context=lambda idx, no: (idx, no))
    made = run_cells("04", "step", prompts=prompts, begun=torch.ones(1, 1, 2), p=SimpleNamespace(n_timesteps=1000),
                     n_aug=8, banks={"train": bank}, mean=[turned(1), turned(2)],
                     std=[torch.zeros(30, 8, 4, 2, 2)] * 2)
    made |= dict(cond_loss=lambda *given: seen.append(given))
    idx = torch.arange(30).flip(0)
    made["step"](idx, seeding.generator("step"), 7)
    z1, z2, eps, t, (told, step_no) = seen[0]
    assert torch.equal(z2, z1 + 1000) and len((z1[:, 0, 0, 0] % 10).unique()) > 3
    assert torch.equal(z1[:, 0, 0, 0] // 10 % 100, idx.float()) and torch.equal(told, idx) and step_no == 7
    assert len(t.unique()) > 20 and 0 <= t.min() and t.max() < 1000 and 0.9 < eps.std() < 1.1
