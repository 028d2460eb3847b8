"""The phantom's LIDC delivery, read by the reader of LIDC: what its readers drew and rated comes out again."""

import numpy as np
import pandas as pd
import pytest

from namd.data.cohort import Cohort
from namd.data.lidc.build import build_lidc
from namd.data.lidc.labels import SCALES, class_of
from namd.data.phantom import oracle, readers
from namd.data.phantom.lidc_delivery import write_lidc_delivery

N, SEED = 12, 4                 # with nodules of two, three and four readers, a vessel and a nodule below 3 mm


def silent(line):
    pass


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The truth, the cohort and its refused rows."""
    folder = tmp_path_factory.mktemp("phantom")
    write_lidc_delivery(folder / "d", N, SEED, progress=silent)
    cohort = Cohort.open(build_lidc(folder / "d", folder / "c", workers=1, progress=silent))
    return oracle.read_truth(folder / "d" / "truth"), cohort, pd.read_csv(folder / "c" / "refused.csv")


def test_every_nodule_of_three_readers_enters_and_every_other_mark_has_its_reason(read):
    truth, cohort, refused = read
    assert sorted(cohort.pairs.patient_id) == sorted(truth.index[truth.n_readers >= 3])
    assert (refused.code == "E14").sum() == (truth.n_readers < 3).sum() > 0
    points = refused[refused.code != "E14"]
    assert len(points) and set(points.code) == {"E27"} and points.message.str.contains("as nodules below 3 mm").all()
    assert cohort.manifest["synthetic"] and set(cohort.pairs.dataset) == {"synthetic"}


def test_readers_and_classes_are_those_of_the_law(read):
    truth, cohort, _ = read
    rated, marked = readers.characteristics(truth, SEED), readers.marked_by(truth, SEED)
    assert readers.CHARACTERISTICS == tuple(SCALES)
    for row in cohort.pairs.itertuples():
        i = truth.index.get_loc(row.patient_id)
        own = cohort.readers[cohort.readers.nodule_id == row.nodule_id]
        assert own.reader.tolist() == (np.flatnonzero(marked[i]) + 1).tolist()
        for name in SCALES:
            assert own[name].tolist() == rated[name][i][marked[i]].tolist()
        assert row.label3 == class_of(rated["malignancy"][i][marked[i]])


def test_masks_have_the_size_and_the_place_of_the_nodule(read):
    truth, cohort, _ = read
    pairs = cohort.split("train")
    true = truth.loc[pairs.patient]
    ratio = pairs.d_eq / np.sqrt(true.longest_mm * true.perpendicular_mm)
    assert ratio.between(0.75, 1.2).all() and abs(ratio.mean() - 1) < 0.06
    for hu, mask, row in zip(pairs.x1_hu, pairs.masks, true.itertuples(), strict=True):
        around = np.median(hu[~mask])
        assert hu[mask].mean() > around + (60 if row.sct_pre_att == 2 else 250)
        np.testing.assert_allclose(np.argwhere(mask).mean(0), 63.5, atol=0.6)
