import shutil
from types import SimpleNamespace

import pytest
from small_delivery import tables, write_delivery

from namd.ground import paths
from namd.study import params
from namd.study.preflight import inputs

PAPER = params.load()


def paper(**changes):
    return SimpleNamespace(**PAPER | changes)


def whats(lacking):
    return " | ".join(item.what for item in lacking)


def test_a_phantom_needs_no_delivery():
    assert inputs.data(paper(data_source="phantom")) == []


@pytest.mark.parametrize(("changes", "words"), [
    (dict(phantom_subjects=8), "8 phantom subjects (4 train, 1 val, 3 test) leave no malignant patient in test"),
    (dict(phantom_subjects=30, data_val_share=0.01), "leave no patient in val"),
    (dict(data_test_share=0.01), "0 test) leave no patient in test"),
])
def test_a_phantom_without_patients_in_a_split_is_named(changes, words):
    smoke = params.load([paths.REPO / "params" / "smoke.yaml"])
    assert inputs.data(paper(**smoke)) == []
    (item,) = inputs.data(paper(**smoke | changes))
    assert words in item.what and "phantom_subjects" in item.how and not item.optional


def test_an_empty_folder_lacks_each_table_the_nodule_list_and_the_images(tmp_path):
    lacking = inputs.delivery(paper(data_delivery=str(tmp_path)))
    assert [what.split(":")[0].split(",")[0] for what in whats(lacking).split(" | ")] == [
        "NLST table `participant`", "NLST table `abnormalities`", "NLST table `comparison`", "NLST table `cancer`",
        "list of nodule centres", "CT series (DICOM) of the listed nodules"]
    assert all("http" in item.how for item in lacking[:5]) and "idc download" in lacking[5].how
    assert "folder" in inputs.delivery(paper(data_delivery=str(tmp_path / "absent")))[0].what


def test_what_an_open_delivery_lacks_is_fetched_by_one_command(tmp_path):
    lacking = inputs.delivery(paper(data_source="open", data_delivery="data/absent"))
    assert len(lacking) == 6 and {item.how for item in lacking} == {
        ".venv/bin/python -m namd fetch --params params/open.yaml -p data_delivery=data/absent"}
    folder = write_delivery(tmp_path / "nlst", tables())
    shutil.rmtree(folder / "images" / "100002_1")
    (item,) = inputs.delivery(paper(data_source="open", data_delivery=str(folder), data_workers=1))
    assert item.what == "1 of 10 CT series, e.g. 1.2.100002.1" and item.how.startswith(inputs.FETCH)
    assert item.optional                                                    # a sample, or what IDC lacks
    shutil.rmtree(folder / "images")
    (item,) = inputs.delivery(paper(data_source="open", data_delivery=str(folder), data_workers=1))
    assert item.what.startswith("10 of 10 CT series") and not item.optional


def test_a_whole_delivery_lacks_nothing_and_a_lost_series_is_named(tmp_path):
    folder = write_delivery(tmp_path / "nlst", tables())
    p = paper(data_delivery=str(folder), data_workers=1)
    assert inputs.delivery(p) == []
    for file in (folder / "images" / "100002_1").iterdir():
        file.unlink()
    assert whats(inputs.delivery(p)) == "1 of 10 CT series, e.g. 1.2.100002.1"
    shutil.copytree(folder / "images" / "100003_0", folder / "backup")
    (lost, twice) = inputs.delivery(p)
    assert twice.what == "1 of 10 CT series lie in several folders, e.g. 1.2.100003.0" and twice.unreadable
    assert str(folder / "backup") in twice.how and not twice.optional


def test_open_tables_are_enough_and_what_they_lack_is_optional(tmp_path):
    made = tables()
    made["people"] = made["people"].drop(columns=["diagemph", "famchild"])
    lacking = inputs.delivery(paper(data_delivery=str(write_delivery(tmp_path / "nlst", made)), data_workers=1))
    assert [item.optional for item in lacking] == [True] and "diagemph, famchild" in lacking[0].what


def test_tables_that_cannot_be_used_are_one_line(tmp_path):
    made = tables()
    made["people"] = made["people"].drop(columns=["scr_days1"])
    lacking = inputs.delivery(paper(data_delivery=str(write_delivery(tmp_path / "nlst", made)), data_workers=1))
    assert len(lacking) == 1 and "E02" in lacking[0].what and "scr_days1" in lacking[0].what
    (tmp_path / "nlst" / "file0.csv").write_bytes(b"\xff\xfe\x00")
    assert "`participant`" in whats(inputs.delivery(paper(data_delivery=str(tmp_path / "nlst"))))


def test_disk_and_gpu(monkeypatch):
    assert inputs.disk(1) == [] and "about 1000000000 GB needed" in whats(inputs.disk(10**18))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "GPU" in whats(inputs.gpu(paper(device="cuda"))) and inputs.gpu(paper(device="auto")) == []


def test_a_table_that_is_there_is_unreadable_and_not_missing(tmp_path):
    made = tables()
    made["cancer"] = made["cancer"].assign(note="caf\u00e9")
    folder = write_delivery(tmp_path / "nlst", made)
    made["cancer"].to_csv(folder / "file3.csv", index=False, encoding="latin-1")
    (folder / "notes.csv").write_bytes(b"PK\x03\x04 a workbook")
    needed, passed_over = inputs.delivery(paper(data_delivery=str(folder), data_workers=1))
    assert "the `cancer` table" in needed.what and "not in the encoding UTF-8" in needed.what
    assert needed.unreadable and not needed.optional
    assert passed_over.what.startswith("notes.csv") and "Excel" in passed_over.what and passed_over.optional
    (folder / "file3.csv").write_bytes(b"PK\x03\x04 a workbook")                # which table it is cannot be told
    assert "NLST table `cancer`: confirmed lung cancers (if it is not file3.csv or notes.csv)" in whats(
        inputs.delivery(paper(data_delivery=str(folder), data_workers=1)))
