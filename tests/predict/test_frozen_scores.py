"""What `predict` says of one CT with seeded toy weights, as numbers: a change anywhere on the way of x1 moves them."""

import json
from xml.etree import ElementTree

import numpy as np
import pydicom
import pytest
from small_delivery import CENTRE, REAL, SPACING, needs_real, write_series
from tiny_run import write_run

from namd.__main__ import main
from namd.data.dicom.series import read_series

RECORD = {"age": 63, "gender": 1, "sct_long_dia": 12, "sct_margins": 2, "sct_pre_att": 1}
PIXELS = [(32, 32), (20, 40), (50, 10)]         # row, column of an image of 64 x 64
FROZEN = {                                      # probability of three draws and of x1; HU of the draws
    "phantom": dict(values=[0.515386, 0.528595, 0.489989], baseline=0.405553, mean=-299.43, sd=100.36,
                    pixels=[-399, -198, -361]),
    "real": dict(values=[0.518350, 0.519145, 0.530463], baseline=0.527349, mean=-299.21, sd=102.93,
                 pixels=[-336, -363, -621]),
}
PROBABILITY = 1e-4                              # between machines: rounding of float32 in two layers of attention
HU = 1.0                                        # the files hold whole HU


def phantom(folder):
    """A scan of the small delivery and a point in mm beside its nodule, so that no turn leaves the crop as it is."""
    write_series(folder, 900001, 0, 6.0)
    return folder, (-40 + (CENTRE[0] + 9) * SPACING, -30 + (CENTRE[1] + 5) * SPACING, 0.0)


def real(folder):
    """The shipped CT and the centre of the first box of its annotation."""
    series = read_series(REAL / "chest_ct_philips")
    boxes = {item.sop_uid: REAL / "chest_ct_boxes" / f"{item.sop_uid}.xml" for item in series.slices}
    item = next(item for item in series.slices if boxes[item.sop_uid].is_file())
    box = ElementTree.parse(boxes[item.sop_uid]).find("object/bndbox")
    x0, y0, x1, y1 = (float(box.find(name).text) for name in ("xmin", "ymin", "xmax", "ymax"))
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return REAL / "chest_ct_philips", item.origin + item.spacing * middle @ item.axes


def hu_of(file):
    """HU of a drawn image without its bands: (64, 64)."""
    ds = pydicom.dcmread(file)
    return ds.pixel_array[8:-8] * float(ds.RescaleSlope) + float(ds.RescaleIntercept)


@pytest.mark.parametrize("scan", [phantom, pytest.param(real, marks=needs_real)])
def test_the_scores_are_those_that_were_written_down(scan, tmp_path):
    series, point = scan(tmp_path / "ct")
    (tmp_path / "ehr.json").write_text(json.dumps(RECORD))
    center = ",".join(f"{value:.2f}" for value in point)
    words = ["predict", "--run", write_run(tmp_path / "runs" / "toy"), "--series", series, "--center", center,
             "-k", 3, "--ehr", tmp_path / "ehr.json", "--out", tmp_path / "out"]
    assert main([str(word) for word in words]) == 0
    said = json.loads((tmp_path / "out" / "prediction.json").read_text())["probability_of_malignancy"]
    x2_hat = np.stack([hu_of(file) for file in sorted((tmp_path / "out" / "follow_up").glob("*.dcm"))])
    found = dict(values=said["values"], baseline=said["baseline_image"], mean=x2_hat.mean(), sd=x2_hat.std(),
                 pixels=[x2_hat[0][place] for place in PIXELS])
    frozen = FROZEN[scan.__name__]
    assert found["values"] == pytest.approx(frozen["values"], abs=PROBABILITY)
    assert found["baseline"] == pytest.approx(frozen["baseline"], abs=PROBABILITY)
    assert (found["mean"], found["sd"]) == pytest.approx((frozen["mean"], frozen["sd"]), abs=HU / 4)
    assert found["pixels"] == pytest.approx(frozen["pixels"], abs=HU)
