"""Single images of nobody: repeatable, of other scanners, in the form that the models see."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from namd.data.phantom.law import draw_subjects
from namd.data.phantom.scanner import draw_protocol
from namd.ground.seeding import numpy_rng
from namd.pretrain import images

P = SimpleNamespace(pretrain_subjects=30, pretrain_seed=7001, phantom_eps=.45, phantom_gmax=.8, phantom_null="none",
                    image_size=64, window_low=-1000, window_high=400, data_workers=1)


@pytest.fixture(scope="module")
def hu(tmp_path_factory):
    return images.draw_images(tmp_path_factory.mktemp("images") / "images.npy", "key", P, lambda *a, **k: None)


def test_an_image_depends_on_its_subject_alone(hu):
    row = draw_subjects(30, 7001).reset_index().to_dict("records")[17]
    assert hu.shape == (30, 64, 64) and hu.dtype == np.int16
    assert np.array_equal(hu[17], images.draw_image(row, 7001, 64))
    assert not np.array_equal(hu[17], images.draw_image(row, 7002, 64))


def test_the_nodule_lies_in_the_middle(hu):
    middle = hu[:, 30:34, 30:34].mean((1, 2))
    corners = hu[:, :4, :4].mean((1, 2))
    assert (middle > -600).mean() > .8 and np.median(middle) > np.median(corners) + 200


def test_they_are_drawn_once_for_a_key(tmp_path, monkeypatch):
    said = []
    small = SimpleNamespace(**{**vars(P), "pretrain_subjects": 5})
    for key in ("a", "a", "b"):
        images.draw_images(tmp_path / "images.npy", key, small, lambda line, **k: said.append(line))
    assert len(said) == 2


def test_scanners_come_in_equal_shares_and_those_of_a_cohort_do_not():
    def seen(*shares):
        makers = [draw_protocol(numpy_rng("scanner", i), *shares).manufacturer for i in range(400)]
        return Counter(makers)
    assert seen(images.SHARES).most_common(1)[0][1] < 140 < 180 < seen().most_common(1)[0][1]


def test_an_image_is_drawn_by_those_shares(monkeypatch):
    asked = []

    def drawn(rng, *shares):
        asked.append(shares)
        return draw_protocol(rng, *shares)

    monkeypatch.setattr(images, "draw_protocol", drawn)
    images.draw_image(draw_subjects(5, 7001).reset_index().to_dict("records")[3], 7001, 64)
    assert asked == [(images.SHARES,)]


def test_the_last_ones_validate(hu):
    seen = images.Images(hu, P)
    assert (len(seen.train), len(seen.val)) == (24, 6) and seen.val.shape == (6, 1, 64, 64)
    assert seen.train.min() >= -1 and seen.train.max() <= 1
