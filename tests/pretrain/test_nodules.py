"""Single nodules and their captions: repeatable, in twice their diameter, with words that the prompts have too."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from namd.autorad.prompts import CLASSES
from namd.data.phantom.law import draw_subjects
from namd.data.phantom.readers import ratings
from namd.pretrain import images, nodules

P = SimpleNamespace(pretrain_subjects=60, pretrain_seed=7001, phantom_eps=.45, phantom_gmax=.8, phantom_null="none",
                    data_workers=1)


@pytest.fixture(scope="module")
def rows():
    return draw_subjects(60, 7001).reset_index()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return nodules.draw_nodules(tmp_path_factory.mktemp("nodules") / "nodules.npy", "key", P, lambda *a, **k: None)


def test_a_nodule_depends_on_its_subject_alone(drawn, rows):
    assert drawn.images.shape == (60, 128, 128) and drawn.images.numpy().dtype == np.uint8
    row = rows.to_dict("records")[17]
    assert np.array_equal(drawn.images[17], nodules.draw_nodule(row, 7001)[0])
    assert not np.array_equal(drawn.images[17], nodules.draw_nodule(row, 7002)[0])


def test_every_second_one_is_scanned_as_lidcs_patients(rows, monkeypatch):
    drawn_by = []
    for name in ("draw_protocol", "draw_lidc_protocol"):
        own = getattr(nodules, name)
        monkeypatch.setattr(nodules, name, lambda rng, *shares, name=name, own=own: drawn_by.append((name, *shares))
                            or own(rng, *shares))
    for row in rows.to_dict("records")[16:20]:
        nodules.draw_nodule(row, 7001)
    assert drawn_by == [("draw_protocol", images.SHARES), ("draw_lidc_protocol",)] * 2


def test_small_and_large_ones_fill_the_same_share(drawn, rows):
    """Half of the side, a fifth of the area, however many millimetres; solid ones, whose edge is at -400 HU."""
    solid = (rows.sct_pre_att == 1).to_numpy()
    share = (drawn.images.numpy()[:, 16:112, 16:112] > 109).mean((1, 2)) * (96 / 128) ** 2
    large = (rows.longest_mm > rows.longest_mm.median()).to_numpy()
    assert np.median(share[solid & large]) == pytest.approx(np.pi / 16, rel=.25)
    assert np.median(share[solid & ~large]) == pytest.approx(np.median(share[solid & large]), rel=.25)


def test_the_class_is_that_of_the_readers_median(drawn, rows):
    median = np.median(ratings(rows, 7001), axis=1)
    assert np.array_equal(drawn.label3, np.where(median < 2.5, 0, np.where(median > 3.5, 2, 1)))
    assert Counter(drawn.label3.tolist()).keys() == {0, 1, 2}


def test_a_caption_tells_what_is_there_and_ends_with_the_class(drawn, rows):
    kinds = {1: "solid", 2: "ground glass", 3: "part solid"}
    margins = {1: "spiculated", 2: "smooth", 3: "ill defined"}
    codes = zip(rows.sct_pre_att, rows.sct_margins, strict=True)
    told = Counter()
    for caption, label, (kind, margin) in zip(drawn.captions, drawn.label3, codes, strict=True):
        seen, _, rest = caption.removeprefix("a ").partition("nodule image of ")
        assert rest == f"{CLASSES[label]} ."
        both = (kinds[kind], margins[margin])
        assert seen.strip() in {"", *both, " ".join(both)}
        told.update(word for word in both if word in seen)
    assert 35 < sum(told.values()) < 85                          # each word in half of the captions


def test_the_last_fifth_is_probed_and_never_more_than_1200(drawn):
    learnt, probed = drawn.halves()
    assert (len(learnt.captions), len(probed.captions)) == (48, 12) and len(probed.images) == len(probed.label3) == 12
    assert probed.captions[0] == drawn.captions[48] and np.array_equal(drawn.first(48).images, learnt.images)
    many = nodules.Nodules(np.zeros(24_000), ["a"] * 24_000, np.zeros(24_000))
    assert [len(part.label3) for part in many.halves()] == [22_800, 1_200]
