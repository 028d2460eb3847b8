"""The judge: its shape, its losses by hand, its files, and that it learns what is in the follow-up."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from watched import Watched, names_read

from namd.data.cohort import SCHEMA, Pairs
from namd.data.report import nodule_features
from namd.ground import keys, order, sources
from namd.ground.errors import UserError
from namd.ground.precision import set_arithmetic
from namd.models import judge as judging
from namd.models.judge import Attention, Judge, judge_loss, load_judge, softened, train_judge, train_judges


def small_judge(n_attributes=0, dropout=0.0):
    torch.manual_seed(0)
    return Judge(image_size=16, patch=8, dim=12, depth=2, heads=2, head_dim=8, mlp=16, dropout=dropout,
                 n_attributes=n_attributes)


def vision_transformer(dim, depth, inner, mlp, patch_pixels, n_tokens):
    """Shapes of a ViT with a norm on both sides of the patch projection, as public ViT code has them."""
    yield from ((patch_pixels,), (patch_pixels,), (dim, patch_pixels), (dim,), (dim,), (dim,))      # norm, linear, norm
    yield from ((1, n_tokens, dim), (1, 1, dim))                                              # positions, class token
    for _ in range(depth):
        yield from ((dim,), (dim,), (3 * inner, dim), (dim, inner), (dim,))              # norm, q k v, output
        yield from ((dim,), (dim,), (mlp, dim), (mlp,), (dim, mlp), (dim,))              # norm, two layers
    yield from ((dim,), (dim,), (1, dim), (1,))                                          # norm, head


def test_at_the_authors_sizes_the_judge_has_their_75_686_017_weights():
    with torch.device("meta"):
        judge = Judge(64, 8, 1024, 6, 32, 64, 2048, 0.5)
    theirs = list(vision_transformer(1024, 6, 32 * 64, 2048, 8 * 8, 8 * 8 + 1))
    assert sum(math.prod(shape) for shape in theirs) == 75_686_017
    assert sorted(tuple(w.shape) for w in judge.parameters()) == sorted(theirs)


def test_a_patch_is_normalised_before_and_after_its_projection():
    judge, pixels = small_judge(), torch.rand(3, 4, 64)
    tokens = judge.patches(pixels)
    assert torch.allclose(judge.patches(5 * pixels - 2), tokens, atol=1e-3)
    assert torch.allclose(tokens.mean(-1), torch.zeros(3, 4), atol=1e-5)
    assert torch.allclose(tokens.std(-1, correction=0), torch.ones(3, 4), atol=1e-3)


def test_the_patches_are_those_of_the_image():
    judge, x = small_judge(), torch.arange(256.0).view(1, 1, 16, 16)
    seen = []
    judge.patches.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    judge(x)
    assert torch.equal(seen[0][0, 1].view(8, 8), x[0, 0, :8, 8:])


def test_attention_itself_drops_out_in_training_only():
    attention, x = Attention(12, 2, 8, dropout=0.5), torch.rand(2, 5, 12)
    attention.to_out[1].p = 0.0
    assert not torch.equal(attention(x), attention(x))
    assert torch.equal(attention.eval()(x), attention(x))


def test_features_and_prob_do_not_depend_on_the_batch():
    judge, x = small_judge(dropout=0.5), torch.rand(7, 1, 16, 16)
    assert judge.features(x).shape == (7, 12)
    assert torch.allclose(judge.features(x, batch=3), judge.features(x), atol=1e-6)
    prob = judge.prob(x)
    assert prob.shape == (7,) and ((0 < prob) & (prob < 1)).all()
    assert torch.allclose(prob, judge.logit(judge.features(x)).sigmoid())


def test_the_class_token_sees_every_patch():
    judge, x = small_judge(), torch.rand(1, 1, 16, 16, requires_grad=True)
    judge(x)[0, 0].backward()               # the sum over a normalised token is 0, whatever x
    assert (x.grad.abs().sum((2, 3)) > 0).all() and (x.grad != 0).float().mean() > 0.99


def test_save_and_load_are_bit_equal(tmp_path):
    judge, x = small_judge(n_attributes=5).eval(), torch.rand(3, 1, 16, 16)
    judge.save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["n_attributes"] == 5
    assert torch.equal(load_judge(tmp_path).prob(x), judge.prob(x))


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match="namd run 05"):
        load_judge(tmp_path)
    with pytest.raises(UserError, match="judge_patch"):
        Judge(16, 5, 8, 1, 1, 8, 8, 0.0)


def test_loss_by_hand():
    judge = small_judge(n_attributes=2).eval()
    for head, bias in ((judge.head, [0.0]), (judge.attributes, [1.0, 1.0])):
        torch.nn.init.zeros_(head.weight)
        head.bias.data = torch.tensor(bias)
    x, label, f = torch.rand(2, 1, 16, 16), torch.tensor([1.0, 0.0]), torch.tensor([[3.0, 1.0], [1.0, 0.0]])
    logs = judge_loss(judge, x, label, f, weight=0.5)               # attribute errors 2, 0, 0, 1
    assert logs["loss_label"].item() == pytest.approx(np.log(2))
    assert logs["loss_attributes"].item() == pytest.approx(5 / 4)
    assert logs["loss"].item() == pytest.approx(np.log(2) + 0.5 * 5 / 4)
    assert "loss_attributes" not in judge_loss(small_judge(), x, label, f, 0)


def discs(n, seed):
    """n pairs whose follow-up is a disc in the lung: 10 px in radius when malignant, 4 px when benign; x1 is empty."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    axis = np.arange(128) - 63.5
    far = np.hypot(axis[:, None], axis[None])
    crops = [np.full((128, 128), -900)] + [np.where(far < radius, 0, -900) for radius in np.where(label, 10, 4)]
    crops = np.stack(crops) + rng.normal(0, 40, (n + 1, 128, 128))
    known = dict(label=label, t0_index=0, t1_index=np.arange(1, n + 1), t1_sct_long_dia=np.where(label, 12.0, 5.0),
                 t1_sct_perp_dia=np.where(label, 12.0, 5.0))
    return Pairs(pd.DataFrame(known, index=range(n), columns=list(SCHEMA)), crops.astype(np.int16))


SMALL = dict(image_size=64, window_low=-1000, window_high=400, judge_patch=16, judge_dim=16, judge_depth=1,
             judge_heads=2, judge_head_dim=8, judge_mlp=16, judge_dropout=0.1, judge_steps=60, judge_batch=16,
             judge_lr=3e-3, judge_blur=0.0, judge_attributes=1.0, save_every=100, seed=0)


def test_the_judge_learns_and_reads_in_strict_float32_whatever_was_set(tmp_path, monkeypatch):
    """TF32 only shows on CUDA, so the switches are looked at."""
    seen = []

    def allowed():
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    def forward(self, x):
        seen.append(allowed())
        return torch.zeros(len(x), 16, requires_grad=True) + 0 * self.cls[0, 0]
    monkeypatch.setattr(Judge, "forward", forward)
    set_arithmetic("tf32")
    try:
        judge, _ = train_judge(discs(16, 0), discs(8, 1), SimpleNamespace(**SMALL | dict(judge_steps=2)), tmp_path)
        taught = len(seen)
        judge.prob(torch.zeros(2, 1, 64, 64))
        assert allowed() == (True, True)
    finally:
        set_arithmetic("float32")
    assert 0 < taught < len(seen) and set(seen) == {(False, False)}


def test_a_step_sees_a_turn_of_each_follow_up_with_its_own_label_and_attributes(tmp_path, monkeypatch):
    """Every nodule has a diameter of its own, which says whose attributes a row of a batch holds."""
    train, seen = discs(16, 0), []
    train.table["t1_sct_long_dia"] = np.linspace(4, 19, 16)
    monkeypatch.setattr(judging, "judge_loss", lambda judge, *given: seen.append(given) or judge_loss(judge, *given))
    p = SimpleNamespace(**SMALL | dict(judge_steps=4))
    train_judge(train, discs(8, 1), p, tmp_path)
    f_all = torch.from_numpy(nodule_features(train.attributes(2), "standardised")[0])
    x2, turns = train.images(64, -1000, 400)[1], set()
    for x, label, f in zip(*map(torch.cat, zip(*(given[:3] for given in seen), strict=True)), strict=True):
        (i,) = (f_all == f).all(1).nonzero()[0].tolist()
        square = [torch.rot90(x2[i], k, (-2, -1)) for k in range(4)]
        square += [turned.flip(-1) for turned in square]
        turns |= {k for k, turned in enumerate(square) if torch.equal(turned, x)}
        assert any(torch.equal(turned, x) for turned in square) and label == train.label[i]
    assert len(turns) > 5


def test_the_share_of_a_step_that_loses_its_noise_is_that_of_the_parameters():
    x, g = torch.rand(400, 1, 16, 16), torch.Generator().manual_seed(0)
    seen = softened(x, 0.5, g)
    kept = (seen == x).flatten(1).all(1)
    assert 150 < kept.sum() < 250
    assert seen[~kept].var((2, 3)).max() < x[~kept].var((2, 3)).min() / 3          # of independent pixels 1/9 stays
    assert torch.equal(softened(x, 0.0, g), x) and torch.allclose(softened(0 * x + .3, 1.0, g), 0 * x + .3)


def test_training_asks_for_softened_images(tmp_path, monkeypatch):
    shares = []
    monkeypatch.setattr(judging, "softened", lambda x, share, g: shares.append(share) or x)
    train_judge(discs(16, 0), discs(8, 1), SimpleNamespace(**SMALL | dict(judge_steps=3, judge_blur=0.25)), tmp_path)
    assert shares == [0.25] * 3


def test_the_key_of_the_judge_holds_every_parameter_that_trains_it_and_no_other_rooms(tmp_path):
    p = Watched(SimpleNamespace(**SMALL, threads=0, precision="float32", judge_seeds=1, eval_batch=7))
    for train in (train_judge, train_judges):           # the second hands on a copy
        train(discs(16, 0), discs(8, 1), p, tmp_path)
    declared = order.declared("05")
    derived = set(keys.deciding(["namd.models.judge"], declared))
    assert "save_every" in names_read(p)
    read = names_read(p) & set(declared) - sources.HOW
    assert read == derived - {"device", "processes"}                                # these two come beside p


def test_training_reads_the_follow_up_and_repeats_bit_for_bit(tmp_path):
    train, val, test = (discs(n, seed) for seed, n in enumerate((64, 16, 20)))
    judge, history = train_judge(train, val, SimpleNamespace(**SMALL), tmp_path / "a")
    x1, x2 = test.images(64, -1000, 400)
    prob = judge.prob(x2).numpy()
    assert prob[test.label == 1].min() > 0.8 and prob[test.label == 0].max() < 0.2
    assert judge.prob(x1).std() < 0.1                                   # nothing to see at baseline
    with torch.no_grad():
        long_dia = judge.attributes(judge.features(x2))[:, 0]           # of the image it reads, not of the baseline
    assert long_dia[test.label == 1].min() > long_dia[test.label == 0].max()
    assert history["loss_attributes"].iloc[-1] < history["loss_attributes"].iloc[0]
    assert torch.equal(load_judge(tmp_path / "a").prob(x2), judge.prob(x2))
    train_judge(train, val, SimpleNamespace(**SMALL), tmp_path / "b")
    same = [(tmp_path / run / "model.safetensors").read_bytes() for run in "ab"]
    assert same[0] == same[1]


def test_several_judges_are_those_of_one_process_each(tmp_path):
    train, val = discs(32, 0), discs(8, 1)
    p = SimpleNamespace(**SMALL | dict(judge_steps=6, judge_seeds=2, threads=1, precision="float32"))
    judges, history = train_judges(train, val, p, tmp_path / "two", workers=2)
    alone, same = train_judge(train, val, p, tmp_path / "one")
    weights = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("one", "two", "two/seed1")]
    assert weights[0] == weights[1] != weights[2] and history.equals(same)
    x = val.images(64, -1000, 400)[1]
    assert torch.equal(judges[0].prob(x), alone.prob(x)) and not torch.equal(judges[1].prob(x), alone.prob(x))
