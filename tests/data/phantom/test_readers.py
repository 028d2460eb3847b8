"""The four readers: as much agreement, and as much told by size, as in LIDC; they see the picture and nothing else."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from namd.data.phantom import readers
from namd.data.phantom.law import GROUND_GLASS, PART_SOLID, SOFT, SPICULATED, draw_subjects

N, SEED = 700, 61
LIDC_SD = {"subtlety": .81, "sphericity": .81, "margin": .83, "lobulation": .87, "spiculation": .82, "texture": .61,
           "malignancy": .91}                                       # between the readers of a nodule


@pytest.fixture(scope="module")
def rows():
    return draw_subjects(N, SEED)


@pytest.fixture(scope="module")
def wavy(rows):
    return readers.draw_waviness(rows, SEED)


@pytest.fixture(scope="module")
def opinions(rows, wavy):
    return readers.characteristics(rows, SEED, wavy)


@pytest.fixture(scope="module")
def rated(opinions):
    return opinions["malignancy"]


def within_sd(values):
    return np.sqrt(values.var(axis=1, ddof=1).mean())


def classes(values):
    median = np.median(values, axis=1)
    return (median >= 2.5).astype(int) + (median > 3.5)


def test_readers_agree_as_much_as_in_lidc(rated):
    within, between = within_sd(rated) ** 2, 4 * rated.mean(axis=1).var(ddof=1)
    assert (between - within) / (between + 3 * within) == pytest.approx(.47, abs=.03)
    assert within_sd(rated) == pytest.approx(.90, abs=.03)
    shares = np.bincount(rated.ravel(), minlength=6)[1:] / rated.size
    assert shares == pytest.approx(readers.SHARE_MALIGNANCY, abs=.03)
    assert np.bincount(classes(rated)) / N == pytest.approx([.25, .52, .23], abs=.04)


def test_size_alone_tells_the_class_as_often_as_in_lidc(rows, rated):
    model = make_pipeline(SplineTransformer(n_knots=5), LogisticRegression(max_iter=1000))
    equivalent = np.sqrt(rows["longest_mm"] * rows["perpendicular_mm"]).to_numpy()[:, None]
    guess = cross_val_predict(model, np.log(equivalent), classes(rated), cv=5)
    assert (guess == classes(rated)).mean() == pytest.approx(.65, abs=.03)


def test_ratings_need_nothing_but_the_rows_and_the_seed(rows, rated):
    some = rows.iloc[[7, 3]]
    assert (readers.ratings(some, SEED) == rated[[7, 3]]).all()
    as_truth = some.reset_index().assign(patient_id=["b", "a"]).set_index("patient_id")
    assert (readers.ratings(as_truth, SEED) == rated[[7, 3]]).all()
    assert (readers.marked_by(as_truth, SEED) == readers.marked_by(rows, SEED)[[7, 3]]).all()
    assert (readers.ratings(rows, SEED + 1, np.full(N, .5)) != rated).mean() > .3


def test_readers_see_neither_the_record_nor_the_lobe(rows, wavy, opinions):
    other = rows.assign(age=70, gender=2, diagemph=1 - rows["diagemph"], sct_epi_loc=1, famfather=1, risk=.5,
                        label=1 - rows["label"])
    for name, values in readers.characteristics(other, SEED, wavy).items():
        assert (values == opinions[name]).all(), name


def test_the_look_counts_as_declared(rows):
    one = rows.iloc[[0]].assign(sct_pre_att=SOFT, sct_margins=2, longest_mm=8., perpendicular_mm=8.)
    plain, = readers.malignancy_score(one, [.5])
    spiky, = readers.malignancy_score(one.assign(sct_margins=SPICULATED), [.5])
    glass, = readers.malignancy_score(one.assign(sct_pre_att=GROUND_GLASS), [.5])
    wavy, = readers.malignancy_score(one, [.9])
    change = np.array([spiky, glass, wavy]) - plain
    assert change == pytest.approx(np.sqrt(.35) / .53 * np.array([1.2, -.6, .2]), rel=.01)
    large, = readers.malignancy_score(one.assign(longest_mm=20., perpendicular_mm=12.8), [.5])      # 16 mm
    spread = readers.calibration().size[1]
    assert large - plain == pytest.approx(np.sqrt(.65) * (.8 ** -.5 - 1.6 ** -.5) / spread)


def test_the_other_characteristics_are_plausible(rows, opinions):
    assert tuple(opinions) == readers.CHARACTERISTICS
    assert (opinions["internalStructure"] == 1).all() and (opinions["calcification"] == 6).all()
    for name, sd in LIDC_SD.items():
        assert within_sd(opinions[name]) == pytest.approx(sd, abs=.08), name
        assert opinions[name].min() >= 1 and opinions[name].max() <= 5, name
    texture = [opinions["texture"][rows["sct_pre_att"] == kind].mean() for kind in (GROUND_GLASS, PART_SOLID, SOFT)]
    assert texture == pytest.approx([1.6, 3.2, 4.8], abs=.25)
    spiky = rows["sct_margins"] == SPICULATED
    assert opinions["spiculation"][spiky].mean() > opinions["spiculation"][~spiky].mean() + 1.5


def test_some_nodules_are_marked_by_fewer_readers(rows):
    marked = readers.marked_by(rows, SEED)
    shares = np.bincount(marked.sum(axis=1), minlength=5) / N
    assert shares == pytest.approx([0, .02, .04, .12, .82], abs=.03) and shares[0] == 0
    assert marked.mean(axis=0) == pytest.approx(marked.mean(), abs=.03)


def test_class_probabilities_are_the_shares_among_nodules_of_one_score(rows):
    for i, n_readers in ((0, 4), (1, 3), (2, 2)):
        alike = rows.iloc[[i] * 3000].set_axis(range(3000)).rename_axis("subject")
        prob = readers.class_probabilities(readers.malignancy_score(alike[:1], [.5]), n_readers)[0]
        rated = readers.ratings(alike, SEED, np.full(3000, .5))[:, :n_readers]
        assert np.bincount(classes(rated), minlength=3) / 3000 == pytest.approx(prob, abs=.03)


def test_class_probabilities_by_hand():
    assert readers.class_probabilities([-20., 20.]) == pytest.approx(np.eye(3)[[0, 2]], abs=1e-6)
    alone = readers.class_probabilities([.3], n_readers=1)
    low, high = readers.calibration().thresholds[1:3]
    assert alone[0, 0] == pytest.approx(ndtr((low - np.sqrt(.5) * .3) / np.sqrt(.5)))
    assert alone[0, 2] == pytest.approx(1 - ndtr((high - np.sqrt(.5) * .3) / np.sqrt(.5)))


def test_each_nodule_may_have_its_own_number_of_readers():
    mixed = readers.class_probabilities([.3, .3, -.5], np.array([1, 4, 3]))
    alone = [readers.class_probabilities([score], n)[0] for score, n in ((.3, 1), (.3, 4), (-.5, 3))]
    assert np.array_equal(mixed, alone) and not np.allclose(mixed[0], mixed[1])
