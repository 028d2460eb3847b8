"""`doctor` says what 01 would make of a delivery, by the reader of 01, and leaves the folder as it was."""

import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import jupytext
import numpy as np
import pandas as pd
import pytest
from open_delivery import open_delivery
from small_delivery import GAP, REPO, SPACING, nodule_hu, tables, write_delivery, write_series, write_slice

from namd.__main__ import main
from namd.data.cohort import Cohort
from namd.data.nlst.build import build_cohort
from namd.data.nlst.fingerprint import fingerprint
from namd.data.phantom.lidc_delivery import write_lidc_delivery
from namd.study import params

PAIRS = ["-p", "data_workers=1", "-p", "data_test_share=0.4"]
P = SimpleNamespace(**params.load([], PAIRS[1::2]))


def asked(capsys, folder, *words):
    """Exit status of the command, what it prints, and its sentence."""
    status = main(["doctor", str(folder), *PAIRS, *words])
    out, err = capsys.readouterr()
    return status, " ".join(out.split()), err


def faulty(folder):
    """Twenty-four participants; faults of tables, links, headers, places and pixels, and what nobody reads."""
    made = tables(n=24)
    made["people"].loc[3, "rndgroup"] = 2                                                       # E08
    made["people"]["age"] = made["people"]["age"].astype(object)
    made["people"].loc[9, "age"] = "sixty"                                                      # E04, and its nodule
    made["centres"].loc[made["centres"].PID == 100011, "Bounding box x (pixels)"] = 0           # E24
    write_delivery(folder, made)
    images = folder / "images"
    write_series(images / "100003_copy", 100003, 0, 5)                                          # E16
    shutil.rmtree(images / "100007_1")                                                          # E15
    (images / "100005_0" / "1.dcm").write_bytes(b"\0" * 128 + b"DICM")                          # E23 in the header
    cut = images / "100009_0" / "1.dcm"
    cut.write_bytes(cut.read_bytes()[:-2000])                                                   # E23 in the pixels
    shutil.rmtree(images / "100002_1")
    write_series(images / "100002_1", 100002, 1, 6, BodyPartExamined="BRAIN", LossyImageCompression="01")
    write_series(images / "nobodys", 100050, 0, 5)
    (folder / "notes.csv").write_bytes("caf\u00e9".encode("latin-1"))
    (folder / "people.xlsx").write_bytes(b"PK")
    (folder / "DICOMDIR").write_bytes(b"index")
    (folder / "images" / "100001_0" / "IM0004").write_bytes(b"")
    (images / "more.zip").write_bytes(b"PK")
    (images / "disk").symlink_to(folder.parent / "nowhere")
    return folder


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    return faulty(tmp_path_factory.mktemp("doctor") / "nlst")


def test_it_says_what_is_kept_refused_unread_and_doubtful_and_writes_nothing(delivery, capsys):
    before = fingerprint(delivery)
    beside = sorted(delivery.parent.iterdir())
    status, said, err = asked(capsys, delivery)
    assert status == 0 and not err and fingerprint(delivery) == before and sorted(delivery.parent.iterdir()) == beside
    for words in ["people.xlsx", "1 x index of a medium (DICOMDIR)",
                  "1 x empty file: if it is a slice, copy it again, e.g. images/100001_0/IM0004",
                  "images/more.zip (packed)",
                  "images/disk (behind a link that leads nowhere)", "no linked nodule lies in, e.g. images/100004_0",
                  "nlstx, tier A, T0-T1: 18 pairs", "1 pairs: a scan was once compressed with loss",
                  "1 pairs: a header names another body part than the chest", "notes.csv: E01",
                  "1 x E04 no value of its column, participant: e.g. participant: file0.csv line 11: age = 'sixty'",
                  "E08 not a CT participant, nlstx: e.g. 100004 T0 nodule 1 (file4.csv line 8): participant 100004 is",
                  "1 x E16 several series in one folder", "1 x E15 no CT series, nlstx", "1 x E23",
                  "1 x E24 centre outside the volume", "--full reads them"]:
        assert words in said, words
    assert "01 would keep 18 pairs" in said and "refuse 6 nodules and 2 rows or files" in said


@pytest.mark.parametrize("words", [[], ["--full"]])
@pytest.mark.parametrize("make", [faulty, open_delivery])
def test_it_refuses_what_01_refuses(make, words, tmp_path, capsys):
    folder = make(tmp_path / "nlst")
    cohort = Cohort.open(build_cohort(folder, tmp_path / "cohort", P, progress=str))
    refused = pd.read_csv(cohort.path / "refused.csv")
    status, said, _ = asked(capsys, folder, *words)
    n_pixels = 0 if words or make is open_delivery else 1               # the cut file, which headers do not show
    assert status == 0 and f"01 would keep {len(cohort.pairs) + n_pixels} pairs" in said
    found = re.findall(r"(\d+) x (E\d\d) [^:]*?, (\w+|no table): e.g.", said)
    counted = refused.fillna({"source": "no table"}).groupby(["code", "source"]).size()
    counted["E23", "nlstx"] = counted.get(("E23", "nlstx"), 0) - n_pixels
    assert {(code, source): int(n) for n, code, source in found} == counted[counted > 0].to_dict()


def test_a_folder_that_nobody_may_write_in_is_read(tmp_path, capsys):
    folder = write_delivery(tmp_path / "nlst", tables())
    for place, _, names in os.walk(folder):
        for name in names:
            Path(place, name).chmod(0o444)
        Path(place).chmod(0o555)
    assert asked(capsys, folder)[0] == 0


def test_the_folder_that_is_asked_for_is_the_delivery(delivery, tmp_path, capsys):
    words = ["--params", str(REPO / "params" / "smoke.yaml"), "-p", "data_source=delivery"]
    status, said, err = asked(capsys, delivery, *words)
    assert status == 0 and not err and "01 would keep 18 pairs" in said
    odd = tmp_path / "a: 'b' \" #\U0001f600"
    odd.mkdir()
    status, _, err = asked(capsys, odd, *words)
    assert status == 1 and "is empty: put the tables" in err


def test_the_verdict_says_what_01_alone_looks_for(delivery, capsys):
    assert "share an image or a patient is looked for by 01 alone" in asked(capsys, delivery, "--full")[1]


def test_too_many_lost_to_their_images_or_no_pair_left_is_another_status(delivery, tmp_path, capsys):
    status, said, err = asked(capsys, delivery, "-p", "data_refused_share=0.1")
    assert status == 1 and "01 would keep 18 pairs" in said
    assert err == ("3 of 21 nodules (14%) were refused for their images, over data_refused_share (10%); mend what is"
                   " named above, and ask again.\n")
    made = tables()
    made["people"]["rndgroup"] = 2
    status, said, err = asked(capsys, write_delivery(tmp_path / "x-ray", made))
    assert status == 1 and "01 would keep 0 pairs" in said and err.count("\n") == 1 and "5 x E08" in err


def no_folder(folder):
    pass


def a_file(folder):
    folder.write_text("pid\n")


def another_file(folder):
    folder.mkdir()
    (folder / "page.csv").write_text("a,b\n1,2\n")


def lidc(folder):
    write_lidc_delivery(folder, 2, 71, progress=str)


@pytest.mark.parametrize(("make", "words"), [
    (no_folder, "is not there: name the folder of a delivery"), (a_file, "is a file: name the folder"),
    (Path.mkdir, "is empty: put the tables"), (another_file, "lacks the participant, abnormalities,"),
    (lidc, "is a delivery of LIDC-IDRI (")])
def test_what_is_no_delivery_is_one_sentence(make, words, tmp_path, capsys):
    make(tmp_path / "there")
    status, _, err = asked(capsys, tmp_path / "there")
    assert status == 1 and words in err and err.count("\n") == 1


def own_data(folder):
    """The delivery that 01 shows under "Your own data": its files, and two series of three slices a patient."""
    cells = jupytext.read(REPO / "notebooks" / "01_data_preparation.py").cells
    text = next(cell.source for cell in cells if "### Your own data" in cell.source)
    folder.mkdir()
    _, tree, _, files, *_ = text.split("```")
    for block in files.strip().split("\n\n"):
        name, _, rows = block.partition("\n")
        (folder / name).write_text(rows + "\n")
    cell = next(cell.source for cell in cells if cell.source.startswith("findings = "))
    scope = {"pd": pd}
    exec(cell, scope)
    scope["findings"].to_csv(folder / "findings.csv", index=False)
    assert {path.name for path in folder.iterdir()} == set(re.findall(r"\w+\.csv", tree))
    for row in pd.read_csv(folder / "nodules.csv").itertuples():
        year = row.StudyDate // 10000 - 1999
        assert f"ct/{row.PatientID}_{year}/*.dcm" in tree
        for k in (-1, 0, 1):
            hu = nodule_hu(5.0 if k == 0 else 0.0) + row.PatientID % 10
            corner = [row.CoordX - 60 * SPACING, row.CoordY - 58 * SPACING, row.CoordZ + GAP * k]
            write_slice(folder / "ct" / f"{row.PatientID}_{year}" / f"{k + 1}.dcm", (hu + 1024).astype(np.uint16),
                        instance=20 - k, uid=row.SeriesInstanceUID, PatientID=str(row.PatientID),
                        StudyDate=str(row.StudyDate), ImagePositionPatient=corner)
    return folder


def test_the_smallest_delivery_that_01_shows_is_kept_whole(tmp_path, capsys):
    folder = own_data(tmp_path / "own")
    status, said, err = asked(capsys, folder, "--full")
    assert status == 0 and not err and "luna25, tier C, T0-T1: 2 pairs, 1 malignant" in said
    assert "Refused nothing Not read nothing Kept, but doubtful nothing" in said
    pairs = Cohort.open(build_cohort(folder, tmp_path / "cohort", P, progress=str)).pairs
    assert pairs.label.tolist() == [0, 1] and pairs.sct_long_dia.tolist() == [10, 14] and pairs.age.tolist() == [63, 58]
