import json
import re
import shutil
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from PIL import Image
from small_delivery import POINT, REAL, SPACING, needs_real, write_series, write_slice
from tiny_run import P, write_run

from namd.__main__ import main
from namd.data.dicom.geometry import extent
from namd.data.dicom.nodule import read_nodule_at
from namd.data.dicom.secondary import RESEARCH_ONLY
from namd.data.dicom.series import read_series
from namd.data.images import centre_crop, window
from namd.data.record import read_record
from namd.data.refused import RefusedError
from namd.evaluation.figures.prediction import follow_up_grid, spread_maps
from namd.forecasters.drawing import run_seeds
from namd.models.judge import load_judge
from namd.models.pipeline import NAMDPipeline

RECORD = {"age": 63, "gender": 1, "sct_long_dia": 12, "sct_margins": 9, "famchild": None}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "toy")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    write_series(folder, 900001, 0, 6.0)
    return folder


@pytest.fixture
def asked(run, series, tmp_path):
    """Command line of a prediction that works; keyword arguments change an option, None drops it."""
    (tmp_path / "ehr.json").write_text(json.dumps(RECORD))

    def words(**changes):
        options = {"--run": run, "--series": series, "--center": ",".join(map(str, POINT)), "-k": 3,
                   "--ehr": tmp_path / "ehr.json", "--out": tmp_path / "out"}
        options |= {f"--{name}" if len(name) > 1 else f"-{name}": value for name, value in changes.items()}
        return ["predict", *(str(part) for pair in options.items() if pair[1] is not None for part in pair)]
    return words


def draws(folder):
    """HU of the drawn images of an output folder, bands cut off: (K, S, S)."""
    files = [pydicom.dcmread(file) for file in sorted((folder / "follow_up").glob("*.dcm"))]
    return np.stack([ds.pixel_array[8:-8] * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in files])


def test_a_prediction_is_the_pipelines_draws_read_by_the_judge(asked, run, series, tmp_path, capsys):
    assert main(asked()) == 0
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())
    pipe, crop = NAMDPipeline.from_pretrained(run / "arms" / "namd" / "namd"), read_nodule_at(series, POINT).crop
    x1 = torch.from_numpy(window(centre_crop(crop, 64), -1000, 400))[None, None]
    name = f"{read_series(series).uid} {' '.join(f'{value:.2f}' for value in POINT)}"
    ehr = pd.DataFrame([read_record(tmp_path / "ehr.json")[0]], index=[name])
    x2_hat = pipe(x1, ehr, run_seeds(3), batch_size=P.eval_batch)[:, 0]
    prob = load_judge(run / "judge").prob(x2_hat)
    said = found["probability_of_malignancy"]
    assert said["values"] == pytest.approx(prob.tolist()) and said["sd"] == pytest.approx(prob.std().item())
    assert said["mean"] == pytest.approx(prob.mean().item()) and said["seeds"] == run_seeds(3)
    assert said["baseline_image"] == pytest.approx(load_judge(run / "judge").prob(x1).item())
    hu = (x2_hat[:, 0].numpy() + 1) / 2 * 1400 - 1000
    np.testing.assert_allclose(draws(tmp_path / "out"), hu, atol=0.51)
    assert f"{said['mean']:.2f} ± {said['sd']:.2f}" in capsys.readouterr().out


def test_record_report_and_what_is_missing_are_told(asked, tmp_path):
    main(asked())
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert "63 years old male" in found["report"] and "12 mm in size" in found["report"]
    assert found["missing"] == ["sct_pre_att", "sct_epi_loc", "sct_perp_dia", "sct_margins", "diagemph", "famfather",
                                "fammother", "fambrother", "famsister", "famchild"]
    assert found["record"]["sct_margins"] == 9 and found["record"]["famchild"] is None
    assert found["model"] | {"run": "toy", "arm": "namd", "digest": "0123abcd", "commit": "4ab113f"} == found["model"]
    assert any("age is 63" in note for note in found["notes"])                # all participants are 60
    assert not any("thickness" in note or "kernel" in note for note in found["notes"])


def test_a_header_that_makes_the_scan_doubtful_is_told_to_people_and_in_the_file(asked, tmp_path, capsys):
    write_series(tmp_path / "head", 900001, 0, 6.0, BodyPartExamined="BRAIN", LossyImageCompression="01",
                 PixelPaddingValue=7)
    assert main(asked(series=tmp_path / "head")) == 0
    found, said = json.loads((tmp_path / "out" / "prediction.json").read_text()), capsys.readouterr().out
    for words in ("compressed with loss", "the body part BRAIN, not the chest", "outside the scan are stored as 7"):
        assert any(words in note for note in found["notes"]) and words in " ".join(said.split())
    assert [found["nodule"][name] for name in ("body_part", "lossy", "padding")] == ["BRAIN", True, 7]


def test_every_output_says_research_only_and_the_training_is_synthetic(asked, tmp_path, capsys):
    assert main(asked()) == 0
    out, said = tmp_path / "out", " ".join(capsys.readouterr().out.split())
    assert RESEARCH_ONLY.upper() in said and "mean nothing for a patient" in said
    found = json.loads((out / "prediction.json").read_text())
    assert found["use"] == RESEARCH_ONLY and found["model"]["synthetic_training"]
    files = sorted(f for f in out.rglob("[!.]*") if f.is_file())
    assert len(files) == 3 + 3
    for file in files:
        if file.suffix == ".png":
            assert RESEARCH_ONLY in Image.open(file).text["Description"] and min(Image.open(file).size) > 300
        if file.suffix == ".dcm":
            ds = pydicom.dcmread(file)
            assert all(RESEARCH_ONLY in str(ds[name].value) and "SYNTHETIC" in str(ds[name].value)
                       for name in ("SeriesDescription", "DerivationDescription"))


@pytest.mark.parametrize("k_runs", [1, 2, 20, 21])
def test_no_figure_cuts_its_warning(k_runs):
    x1, x2_hat, heading = np.zeros((64, 64)), np.zeros((k_runs, 64, 64)), f"SYNTHETIC follow-ups, {RESEARCH_ONLY}"
    for fig in (follow_up_grid(x1, x2_hat, [0.5] * k_runs, 0.5, heading),
                spread_maps(np.zeros((128, 128)), x1, x2_hat, (-1000, 400), heading)):
        fig.canvas.draw()
        box = fig._suptitle.get_window_extent()
        assert 0 < box.x0 < box.x1 < fig.bbox.width and box.y1 < fig.bbox.height
        plt.close(fig)


def test_a_run_on_patients_is_not_called_phantom(asked, run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "real", ignore=shutil.ignore_patterns("delivery", ".namd"))
    manifest = tmp_path / "real" / "cohort" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"synthetic": true', '"synthetic": false'))
    assert main(asked(run=tmp_path / "real", k=1)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no diagnosis" in said and "phantom" not in said
    assert "phantom" not in Image.open(tmp_path / "out" / "follow_up.png").text["Description"]


def test_dicom_files_are_marked_anonymous_repeatable_and_no_scan(asked, tmp_path):
    main(asked())
    first = {f.name: f.read_bytes() for f in (tmp_path / "out" / "follow_up").glob("*.dcm")}
    ds = pydicom.dcmread(tmp_path / "out" / "follow_up" / "draw_01.dcm")
    assert ds.SOPClassUID.name == "Secondary Capture Image Storage" and ds.Modality == "OT"
    assert list(ds.ImageType[:2]) == ["DERIVED", "SECONDARY"] and ds.BurnedInAnnotation == ds.SyntheticData == "YES"
    assert list(ds.PixelSpacing) == [0.6, 0.6] and ds.RescaleType == "HU"
    assert "900001" not in str(ds) and "1.2.900001" not in str(ds)
    assert len({pydicom.dcmread(tmp_path / "out" / "follow_up" / name).SOPInstanceUID for name in first}) == 3
    with pytest.raises(RefusedError, match="E15"):                            # our own reader does not take it for a CT
        read_series(tmp_path / "out" / "follow_up")
    assert main(asked(out=tmp_path / "again")) == 0
    assert {f.name: f.read_bytes() for f in (tmp_path / "again" / "follow_up").glob("*.dcm")} == first


def test_simpleitk_reads_the_same_hu(asked, tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    main(asked(k=1))
    image = sitk.ReadImage(str(tmp_path / "out" / "follow_up" / "draw_01.dcm"))
    assert image.GetSpacing()[:2] == (0.6, 0.6)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0, 8:-8], draws(tmp_path / "out")[0])


def test_a_second_prediction_leaves_no_draw_of_the_first(asked, tmp_path):
    assert main(asked()) == main(asked(k=1, ehr=None)) == 0
    assert [f.name for f in (tmp_path / "out" / "follow_up").glob("*.dcm")] == ["draw_01.dcm"]
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert found["probability_of_malignancy"]["sd"] is None and len(found["missing"]) == 13


@pytest.mark.parametrize("changes, words", [
    (dict(center="999,0,0"), r"outside the volume, which reaches x -40.4 to 49.6, y -30.4 to 59.6, z -3.8 to 3.8 mm"),
    (dict(center="-39,-29,0"), "E24.*lies outside the slice"),
    (dict(center="1,2"), "--center: expected 3"), (dict(center="a,b,c"), "three numbers in mm"),
    (dict(k=0), "at least one"), (dict(series="absent"), "There is no folder absent"),
    (dict(run="absent"), "There is no run at absent"), (dict(arm="other"), "has no arm other; it has namd"),
    (dict(ehr="absent.json"), "cannot be read")])
def test_a_wrong_argument_gets_one_sentence(asked, changes, words, tmp_path, capsys):
    assert main(asked(**changes)) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(words, said), said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("absent, number", [
    ("cohort", "01"), ("arms/namd/namd", "04"), ("arms/namd/runs", "04"), ("judge", "05"), ("runs", "05")])
def test_an_unfinished_run_names_the_notebook(asked, run, absent, number, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "part", ignore=shutil.ignore_patterns("delivery"))
    shutil.rmtree(tmp_path / "part" / absent)
    assert main(asked(run=tmp_path / "part")) == 1
    assert f"run notebook {number} first" in capsys.readouterr().err


def test_folders_without_a_usable_ct(asked, series, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    shutil.copytree(series, tmp_path / "study" / "one")
    write_slice(tmp_path / "cut" / "1.dcm", np.zeros((120, 120), np.int16), PixelData=b"12")
    for folder, words in (("empty", "no axial CT image"), ("study", "name one folder below it: one"),
                          ("cut", "damaged pixels")):
        assert main(asked(series=tmp_path / folder)) == 1 and words in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(asked(out=tmp_path / "file")) == 1 and "cannot be made" in capsys.readouterr().err


def test_air_at_the_centre_is_noted(asked, tmp_path):
    assert main(asked(center=f"{POINT[0] - 15},{POINT[1]},0")) == 0
    assert "which is air" in json.loads((tmp_path / "out" / "prediction.json").read_text())["notes"][0]


def test_extent_reaches_the_outer_faces_of_the_voxels(series):
    low, high = extent(read_series(series))
    np.testing.assert_allclose(low, [-40.375, -30.375, -3.75])
    np.testing.assert_allclose(high, [-40.375 + 120 * SPACING, -30.375 + 120 * SPACING, 3.75])


@needs_real
def test_real_ct_end_to_end(asked, tmp_path, capsys):
    series = read_series(REAL / "chest_ct_philips")
    item, file = next((item, file) for item in series.slices
                      if (file := REAL / "chest_ct_boxes" / f"{item.sop_uid}.xml").is_file())
    box = ElementTree.parse(file).find("object/bndbox")
    x0, y0, x1, y1 = (float(box.find(name).text) for name in ("xmin", "ymin", "xmax", "ymax"))
    point = item.origin + item.spacing * np.array([(x0 + x1) / 2, (y0 + y1) / 2]) @ item.axes
    center = ",".join(f"{value:.2f}" for value in point)
    assert main(asked(series=REAL / "chest_ct_philips", center=center)) == 0
    found = json.loads((tmp_path / "out" / "prediction.json").read_text())
    assert found["nodule"]["slice_instance"] == item.instance and found["nodule"]["core_hu"] > -100
    assert any("slice thickness is 5 mm" in note for note in found["notes"])
    assert draws(tmp_path / "out").shape == (3, 64, 64)
    assert main(asked(series=REAL / "transfer_syntaxes", center=center)) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@needs_real
def test_real_undecodable_series_names_its_syntax(asked, tmp_path, capsys):
    file, = (REAL / "transfer_syntaxes").glob("*JPEGProcess10*")
    (tmp_path / "jpeg").mkdir()
    shutil.copy(file, tmp_path / "jpeg")
    low, high = extent(read_series(tmp_path / "jpeg"))
    center = ",".join(f"{value:.2f}" for value in (low + high) / 2)
    assert main(asked(series=tmp_path / "jpeg", center=center)) == 1
    assert "JPEG Full Progression" in capsys.readouterr().err


def their_folder(out):
    (out / "follow_up").mkdir(parents=True)
    (out / "follow_up" / "notes.txt").write_text("a user's")


def their_file(out):
    out.mkdir()
    (out / "prediction.json").write_text("a user's")


def their_picture(out):
    out.mkdir()
    (out / "variance.png").write_text("a user's")


def their_link(out):
    (out / "scans").mkdir(parents=True)
    (out / "follow_up").symlink_to("scans")


def no_folder(out):
    out.write_text("a user's")


def link_to_nowhere(out):
    out.symlink_to("a disk that is away")


@pytest.mark.parametrize("theirs", [their_folder, their_file, their_picture, their_link, no_folder, link_to_nowhere])
def test_what_a_user_has_at_out_stays(theirs, asked, tmp_path, capsys):
    theirs(tmp_path / "out")
    before = sorted((path, path.is_file() and path.read_text()) for path in tmp_path.rglob("*"))
    assert main(asked()) == 1
    assert re.fullmatch("[^\n]+(not replaced: move it away|name another folder)[^\n]+\n", capsys.readouterr().err)
    assert sorted((path, path.is_file() and path.read_text()) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("below", ["", "drawn", "../ct/drawn"])
def test_the_folder_of_the_scan_stays_as_it_is(below, asked, series, tmp_path, capsys):
    shutil.copytree(series, tmp_path / "ct")
    assert main(asked(series=tmp_path / "ct", out=tmp_path / "ct" / below)) == 1
    assert "lies in the folder of the scan" in capsys.readouterr().err
    assert len(list((tmp_path / "ct").rglob("*"))) == len(list(series.rglob("*")))


def test_a_note_among_our_own_draws_stays_and_another_beside_them_does_not_matter(asked, tmp_path, capsys):
    assert main(asked(k=1)) == 0
    (tmp_path / "out" / "notes.txt").write_text("a user's")
    assert main(asked(k=1)) == 0
    (tmp_path / "out" / "follow_up" / "notes.txt").write_text("a user's")
    assert main(asked(k=1)) == 1
    assert "follow_up/notes.txt was not written by this program" in capsys.readouterr().err
    assert (tmp_path / "out" / "follow_up" / "notes.txt").is_file() and (tmp_path / "out" / "notes.txt").is_file()


def test_without_an_arm_the_main_one_of_the_run_draws(asked, run, tmp_path):
    shutil.copytree(run, tmp_path / "mine", ignore=shutil.ignore_patterns("delivery"))
    (tmp_path / "mine" / "arms" / "namd").rename(tmp_path / "mine" / "arms" / "main")
    for stamp in (tmp_path / "mine").rglob("runs/*.json"):
        stamp.write_text(stamp.read_text().replace('"arm": "namd"', '"arm": "main"'))
    assert main(asked(run=tmp_path / "mine")) == 0
    assert json.loads((tmp_path / "out" / "prediction.json").read_text())["model"]["arm"] == "main"
