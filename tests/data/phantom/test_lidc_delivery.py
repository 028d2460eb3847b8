"""The synthetic LIDC delivery: its files name each other, and its contours and ratings are those of the readers."""

import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from ring import filled
from small_delivery import REPO

from namd.data.phantom import lidc_delivery, oracle, readers
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import nodule_at
from namd.data.phantom.lidc_delivery import write_lidc_delivery
from namd.data.phantom.outlines import outlines
from namd.ground.errors import UserError

N, SEED = 12, 4                 # with nodules of two, three and four readers, a vessel and a nodule below 3 mm
NIH = "{http://www.nih.gov}"


def write(path, n=N, workers=1, **law):
    return write_lidc_delivery(path, n, SEED, workers=workers, progress=lambda line: None, **law)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    return write(tmp_path_factory.mktemp("lidc") / "delivery")


@pytest.fixture(scope="module")
def truth(delivery):
    return oracle.read_truth(delivery / "truth")


@pytest.fixture(scope="module")
def patients(delivery):
    """Each patient's folder: slices by height, message and its sessions."""
    found = {}
    for file in delivery.glob("LIDC-IDRI/*/*/*/*.xml"):
        slices = sorted((pydicom.dcmread(f) for f in file.parent.glob("*.dcm")), key=height)
        root = ET.parse(file).getroot()
        found[file.parts[-4]] = SimpleNamespace(slices=slices, root=root, sessions=root.findall(NIH + "readingSession"))
    return found


def height(one):
    return float(one.ImagePositionPatient[2])


def text(element, name):
    return element.find(NIH + name).text


def outlined(session):
    """The nodules with ratings of a session: at most one."""
    nodules = session.findall(NIH + "unblindedReadNodule")
    return [one for one in nodules if one.find(NIH + "characteristics") is not None]


def ring(roi):
    return np.array([[int(text(edge, "xCoord")), int(text(edge, "yCoord"))] for edge in roi.findall(NIH + "edgeMap")])


def test_every_patient_has_one_series_and_one_message_of_four_sessions(patients, truth):
    assert sorted(patients) == sorted(truth.index) == [f"LIDC-IDRI-{1 + i:04d}" for i in range(N)]
    for name, patient in patients.items():
        assert patient.root.tag == NIH + "LidcReadMessage" and len(patient.sessions) == 4
        header = patient.root.find(NIH + "ResponseHeader")
        for one in patient.slices:
            assert one.PatientID == name and one.PatientName == "PHANTOM"
            assert one.SeriesInstanceUID == text(header, "SeriesInstanceUid")
            assert one.StudyInstanceUID == text(header, "StudyInstanceUID")
        gaps = np.diff([height(one) for one in patient.slices])
        assert gaps == pytest.approx(patient.slices[0].SliceThickness, abs=1e-3)
        assert len(patient.slices) == (5 if patient.slices[0].SliceThickness < 2 else 3)


def test_every_mark_names_a_slice_of_its_series_by_uid_and_height(patients):
    for patient in patients.values():
        heights = {one.SOPInstanceUID: height(one) for one in patient.slices}
        marks = [*patient.root.iter(NIH + "roi"), *patient.root.iter(NIH + "nonNodule")]
        assert marks and all(float(text(one, "imageZposition")) == heights[text(one, "imageSOP_UID")] for one in marks)


def drawn(truth, seed, name, patient):
    """What the four readers draw by truth and seed, on the slices' own pixels."""
    row, = truth.loc[[name]].to_dict("records")
    protocol, place = lidc_delivery.lidc_scan(row, seed)
    spacing = protocol.spacing
    corner = np.array(patient.slices[0].ImagePositionPatient[:2], float)
    centre = (np.array(place.centre_mm[:2]) - corner) / spacing
    x, y = ((np.arange(patient.slices[0].Rows) - c) * spacing for c in centre)
    z = lidc_delivery.slice_heights(protocol)
    shape = draw_anatomy(row, seed, row["subject"]).shape
    return outlines(shape, nodule_at(row, 0), seed, row["subject"], x, y, z, protocol.thickness)


def test_contours_filled_are_what_the_readers_draw(patients, truth):
    for name, patient in patients.items():
        index = {one.SOPInstanceUID: k for k, one in enumerate(patient.slices)}
        for session, masks in zip(patient.sessions, drawn(truth, SEED, name, patient), strict=True):
            got = np.zeros_like(masks)
            for roi in (roi for nodule in outlined(session) for roi in nodule.findall(NIH + "roi")):
                assert text(roi, "inclusion") == "TRUE"
                got[index[text(roi, "imageSOP_UID")]] = filled(ring(roi), masks.shape[1:])
            assert (got == masks).all() if outlined(session) else not got.any()


def test_the_nodule_lies_within_the_contours(patients):
    for patient in patients.values():
        hu = {one.SOPInstanceUID: one.pixel_array + one.RescaleIntercept for one in patient.slices}
        rois = [roi for session in patient.sessions for nodule in outlined(session) for roi in nodule.iter(NIH + "roi")]
        pairs = [(hu[text(roi, "imageSOP_UID")], ring(roi)) for roi in rois]
        inside = np.mean([image[filled(edge, image.shape)].mean() for image, edge in pairs])
        around = np.mean([np.median(image) for image, _ in pairs])
        assert inside > around + 150


def test_sessions_hold_the_ratings_of_the_readers_who_mark(patients, truth):
    rated, marked = readers.characteristics(truth, SEED), readers.marked_by(truth, SEED)
    assert set(marked.sum(axis=1)) == {2, 3, 4} and (truth["n_readers"] == marked.sum(axis=1)).all()
    for i, name in enumerate(truth.index):
        for reader, session in enumerate(patients[name].sessions):
            nodules = outlined(session)
            assert len(nodules) == marked[i, reader]
            for nodule in nodules:
                codes = {one.tag.removeprefix(NIH): int(one.text) for one in nodule.find(NIH + "characteristics")}
                assert codes == {key: values[i, reader] for key, values in rated.items()}
    assert any(len(session) == 2 for patient in patients.values() for session in patient.sessions)     # marks nothing


def test_points_and_non_nodules_stand_beside_the_nodules(patients, truth):
    tiny, others = [], []
    for patient in patients.values():
        images = {one.SOPInstanceUID: one.pixel_array + one.RescaleIntercept for one in patient.slices}
        for session in patient.sessions:
            points = [one for one in session.findall(NIH + "unblindedReadNodule") if one not in outlined(session)]
            tiny += [(images, one.find(NIH + "roi"), one.find(f"{NIH}roi/{NIH}edgeMap")) for one in points]
            others += [(images, one, one.find(NIH + "locus")) for one in session.findall(NIH + "nonNodule")]
            numbers = [one.text for one in session.iter(NIH + "noduleID")]
            assert len(set(numbers)) == len(numbers)
    assert tiny and others
    for images, mark, point in tiny + others:
        x, y = int(text(point, "xCoord")), int(text(point, "yCoord"))
        image = images[text(mark, "imageSOP_UID")]
        assert image[y - 2:y + 3, x - 2:x + 3].max() > np.median(image) + 150
    score = readers.malignancy_score(truth, readers.draw_waviness(truth, SEED))
    assert truth["score"].to_numpy() == pytest.approx(score)


def files(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_the_same_bytes_for_any_workers_and_again_over_an_older_one(delivery, tmp_path):
    first = files(delivery)
    assert files(write(tmp_path / "again", workers=2)) == first
    assert files(write(tmp_path / "again")) == first


def test_a_killed_writer_leaves_nothing_behind_for_the_next(delivery, tmp_path):
    script = f"from namd.data.phantom.lidc_delivery import write_lidc_delivery as w; w({str(tmp_path / 'd')!r}, 500, 4)"
    writer = subprocess.Popen([sys.executable, "-c", script], cwd=REPO, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob(".tmp-*/*/*/*/*/*.xml")):
        assert writer.poll() is None
        time.sleep(.02)
    writer.kill()
    writer.wait()
    assert not (tmp_path / "d").exists()
    assert files(write(tmp_path / "d")) == files(delivery)
    assert {path.name for path in tmp_path.iterdir()} == {"d"}


def test_who_is_ill_is_said_in_the_truth_alone(delivery, truth, tmp_path):
    other = write(tmp_path / "other", eps=4., null="no_record_effect")
    assert (oracle.read_truth(other / "truth")["label"] != truth["label"]).any()
    told = {path for path, content in files(other).items() if files(delivery)[path] != content}
    assert {path.parts[0] for path in told} == {"truth", ".namd"}
    assert "SYNTHETIC" in (delivery / "README.txt").read_text()


def test_patients_stay_when_more_are_asked_for(delivery, tmp_path):
    few = files(write(tmp_path / "few", n=2) / "LIDC-IDRI")
    more = files(delivery / "LIDC-IDRI")
    assert len(few) >= 8 and all(more[path] == content for path, content in few.items())


def test_protocols_are_those_of_lidc():
    protocols = [lidc_delivery.lidc_scan(dict(subject=i, sct_epi_loc=1), SEED)[0] for i in range(400)]
    thin = np.mean([one.thickness < 2 for one in protocols])
    assert thin == pytest.approx(.43, abs=.08)
    assert np.mean([one.vendor == "GE" for one in protocols]) == pytest.approx(.66, abs=.08)
    assert .5 <= min(one.spacing for one in protocols) and max(one.spacing for one in protocols) <= .85


def test_a_foreign_folder_is_left_alone_and_nobody_is_no_delivery(tmp_path):
    (tmp_path / "069.xml").write_text("<LidcReadMessage/>")
    with pytest.raises(UserError, match="not written by this program"):
        write(tmp_path)
    assert (tmp_path / "069.xml").exists()
    with pytest.raises(UserError, match="lidc_subjects"):
        write(tmp_path / "none", n=0)
