"""The second judge: what it takes from windowed images, and that a row it reads teaches it nothing."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_text import tokenizer, tower

from namd.autorad import crops, radiomics, second_judge
from namd.autorad.encoders import Encoder
from namd.evaluation.stats import metrics
from namd.ground.seeding import fresh_weights, numpy_rng

SIDE = 32
AXIS = np.arange(SIDE) - SIDE / 2
P = SimpleNamespace(window_low=-1000, window_high=400, autorad_images="original", data_workers=1, autorad_rates=[0.1],
                    seed=3, autorad_ctx=2, autorad_hidden_share=16, autorad_scale=10.0, autorad_projection="none",
                    autorad_epochs=15, autorad_batch=16, autorad_weight_decay=5e-7, autorad_momentum=0.9,
                    save_every=1000, threads=1, precision="float32")
SHORT = SimpleNamespace(**vars(P) | dict(autorad_epochs=2))


def discs(radii, name):
    """Windowed images of bright discs, (N, 1, SIDE, SIDE), and their masks."""
    inside = np.hypot(AXIS[:, None], AXIS) <= np.asarray(radii)[:, None, None]
    x = np.where(inside, 0.4, -0.7) + 0.05 * numpy_rng(name).normal(size=inside.shape)
    return torch.from_numpy(x.clip(-1, 1).astype(np.float32)).unsqueeze(1), inside


def encoder():
    with fresh_weights("small encoder"):
        return Encoder(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16)), 16, 8)


def test_it_sees_hounsfield_units_and_the_square_of_twice_the_diameter(tmp_path, monkeypatch):
    monkeypatch.setattr(second_judge, "CHUNK", 1)
    x, masks = discs([4, 7], "seen")
    net = encoder()
    sight = second_judge.see(x, masks, net, P, tmp_path / "r.npz")
    mean = sight.features[:, radiomics.names().index("original_firstorder_Mean")]
    assert mean == pytest.approx([(0.4 + 1) * 700 - 1000] * 2, abs=10)
    hu = (x[:, 0].numpy() + 1) * 700 - 1000
    assert torch.allclose(sight.z, net.embed(crops.crops(hu, masks, 8)), atol=1e-6)
    assert np.array_equal(sight.masks, masks)


def test_rows_are_seen_one_at_a_time_and_the_first_draw_of_each(tmp_path):
    x, other = (discs([4, 7], name)[0] for name in ("one", "another"))
    images = {"real baseline": x, "namd": partial(torch.stack, [other, x])}
    alone = second_judge.see(other, metrics.outlined(other), encoder(), P, tmp_path / "alone.npz")
    for workers in (1, 2):
        found = second_judge.see_rows(images, metrics.outlined, encoder(), P, tmp_path / str(workers), workers)
        assert list(found) == list(images) and torch.equal(found["namd"].z, alone.z)
        assert np.array_equal(found["namd"].features, alone.features)
        assert np.array_equal(found["real baseline"].masks, metrics.outlined(x))
        assert second_judge.kept(tmp_path / str(workers), "real baseline").is_file()


def test_rows_are_read_by_a_judge_that_learnt_from_real_images_alone(tmp_path):
    rng = numpy_rng("judge")
    text = tower(width=32, layers=1, projection=16), tokenizer()
    labels = {"train": rng.integers(0, 2, 60), "val": rng.integers(0, 2, 20)}
    true = {**labels, "x2": np.arange(20) % 2, "namd": np.arange(20) % 2}
    sights = {row: second_judge.see(*discs(np.where(is_true, 9, 5) + rng.uniform(-1, 1, len(is_true)), row), encoder(),
                                    P, tmp_path / f"{row}.npz") for row, is_true in true.items()}
    found, training = second_judge.judge(sights, labels, text, P, tmp_path / "arms", "k")
    assert {name: prob.shape for name, prob in found.items()} == {"x2": (1, 20), "namd": (1, 20)}
    assert ((found["namd"][0] > 0.5) == true["namd"]).mean() > 0.9
    assert training.tried.rate.tolist() == [0.1]
    drawn = sights["namd"]
    turned = sights | {"namd": second_judge.Sight(-drawn.z, -drawn.features, drawn.masks)}
    one, two = (second_judge.judge(each, labels, text, SHORT, tmp_path / name, "k")[0]
                for name, each in (("one", sights), ("two", turned)))
    assert np.array_equal(one["x2"], two["x2"]) and not np.allclose(one["namd"], two["namd"])


def test_doubt_is_learnt_from_other_nodules_and_read_from_these(tmp_path):
    rng = numpy_rng("doubt")
    text = tower(width=32, layers=1, projection=16), tokenizer()
    label3 = np.arange(150) % 3
    radius = np.array([7.0, 10, 4])
    then = second_judge.see(*discs(radius[label3] + rng.uniform(-1, 1, 150), "then"), encoder(), P, tmp_path / "r.npz")
    today = second_judge.see(*discs(radius[[0, 1, 2, 1]], "today"), encoder(), P, tmp_path / "r.npz")
    val = np.arange(150) >= 120
    given = text, P, tmp_path / "arms", "k"
    found = second_judge.unsure(then, today, label3, val, *given)
    assert found.shape == (4,) and found[[1, 3]].min() > 0.6 > found[[0, 2]].max()
    fewer = second_judge.Sight(today.z[:2], today.features[:2], today.masks[:2])
    assert second_judge.unsure(then, fewer, label3, val, *given) == pytest.approx(found[:2], abs=1e-6)
    another = np.where(val, (label3 + 1) % 3, label3)               # who chooses among one rate teaches nothing
    first, second = (second_judge.unsure(then, today, label, val, text, SHORT, tmp_path / name, "k")
                     for name, label in (("one", label3), ("two", another)))
    assert np.array_equal(first, second)
