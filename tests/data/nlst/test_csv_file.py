"""Text of tables as programs and people write it: read as it was meant, or one sentence; never a traceback."""

import pandas as pd
import pytest
from small_delivery import PARAMS, tables, write_delivery

from namd.data.codes import EMPTY
from namd.data.cohort import Cohort
from namd.data.nlst.build import build_cohort
from namd.data.nlst.csv_file import RAGGED, read_table
from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import read_delivery
from namd.data.refused import RefusedError
from namd.ground.errors import UserError

TABLE = "PID,Age\n100001,60\n100002,61\n"


@pytest.fixture
def folder(tmp_path):
    """Tables of five participants, without images."""
    for name, table in tables().items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def rewrite(folder, name, change):
    """Change the text of one table; the checked tables that then are read."""
    file = folder / f"{name}.csv"
    file.write_bytes(change(file.read_text(encoding="utf-8")))
    return read_delivery(folder)


@pytest.mark.parametrize("content", [
    TABLE.encode(), TABLE.encode("utf-8-sig"), TABLE.replace("\n", "\r\n").encode(), TABLE.replace("\n", "\r").encode(),
    b"\n  \n" + TABLE.replace("\n", "\n\n").encode(), TABLE.replace("\n", ",\n").encode(),
    TABLE.replace("60", '"60"').replace("PID", '" PID "').encode(), TABLE.replace("61\n", "61").encode(),
    b",PID,Age\n1,100001,60\n2,100002,61\n", TABLE.replace("60", " '60' ").replace("Age", "\tAGE").encode(),
    b"PID,Age,Age\n100001,60,60\n100002,61,61\n"])
def test_harmless_habits_change_nothing(tmp_path, content):
    (tmp_path / "x.csv").write_bytes(content)
    table = read_table(tmp_path / "x.csv")
    assert table.drop(columns=RAGGED).to_dict("list") == {"pid": ["100001", "100002"], "age": ["60", "61"]}
    assert (table[RAGGED] == "").all() and table.index[0].startswith("x.csv line ")


@pytest.mark.parametrize("content, words", [
    (TABLE.replace("60", "caf\u00e9").encode("latin-1"), "not in the encoding UTF-8 .byte 0xe9 in line 2.*save it as"),
    (TABLE.replace("61", "\u201cx\u201d").encode("cp1252"), "not in the encoding UTF-8 .byte 0x93 in line 3"),
    (TABLE.encode("utf-16"), "UTF-16 text"), (TABLE.encode("utf-32"), "UTF-32 text"),
    (b"\0\0\xfe\xff" + TABLE.encode("utf-32-be"), "UTF-32 text"), (TABLE.encode("utf-16-le"), "a zero byte in line 1"),
    (TABLE.encode() + b"10000\0", "a zero byte in line 4"), (b"PK\3\4" + b"x" * 50, "an Excel workbook"),
    (b"\xd0\xcf\x11\xe0" + b"x" * 50, "an old Excel workbook"), (b"\x1f\x8b\x08", "compressed"),
    (b"<!DOCTYPE html><html>Log in", "a web page"), (b"", "is empty"), (b" \n\r\n", "is empty"),
    (TABLE.replace(",", ";").encode(), "separated by semicolons"), (TABLE.replace(",", "\t").encode(), "by tabs"),
    (TABLE.replace("60", '"60').encode(), "breaks off in line"),
    (b"PID,Age,AGE\n100001,60,61\n", "two differing columns age")])
def test_what_is_no_table_is_one_sentence(tmp_path, content, words):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(RefusedError, match="^E0[12].*x.csv.*" + words) as caught:
        read_table(tmp_path / "x.csv")
    assert "\n" not in str(caught.value)


def test_a_matrix_of_measurements_is_no_table_and_takes_no_time(tmp_path):
    (tmp_path / "genes.csv").write_text(",".join(map(str, range(200_000))) + "\n" + "1," * 199_999 + "1\n")
    with pytest.raises(RefusedError, match="E01 .*: genes.csv has 200000 columns, and no table that is read here"):
        read_table(tmp_path / "genes.csv")


@pytest.mark.parametrize("word", [*EMPTY, "na", "NaN", "nan", "None", "null", " NA "])
def test_the_empty_cells_of_other_programs_are_missing(folder, word):
    found = rewrite(folder, "people", lambda text: text.replace(".M", word).replace(",375,", f",{word},").encode())
    people = found.kept["participant"]
    assert people.scr_days1.isna().all() and people.famchild.isna().tolist() == [True, False, False, False, False]
    assert len(link_nodules(found, 2555)[0]) == 5
    assert found.counts["participant"] == dict(rows=5, kept=5, refused=0)


@pytest.mark.parametrize("said", ["", ".M", "NA"])
def test_a_comparison_that_does_not_say_new_refuses_no_nodule_of_a_list(folder, said):
    found = rewrite(folder, "comparison", lambda text: text.replace("1,1,2", f"1,1,{said}").encode())
    assert found.kept["comparison"].sct_ab_preexist.isna().all() and len(link_nodules(found, 2555)[0]) == 5


@pytest.mark.parametrize("old, new, words", [
    ("100003,60", "100003,60,extra", "14 cells under 13 columns"), ("100003,60", "100003 60", "12 cells under 13"),
    ("100003,60", "1.0E+05,60", "pid = '1.0E+05' is not a number; a spreadsheet rounded it"),
    ("100003,60", "years,mm", "pid = 'years' is not a number"), ("100003,60", "pid,age", "pid = 'pid'"),
    ("100003,60", "100003,63.5", "age = '63.5' is not a whole number"), ("100003,60", "100003,inf", "age = 'inf'"),
    ("100003,60", "100003,1e300", "age = '1e300'"), ("100003,60", "100003,600", "age = 600 is not in 0 to 120"),
    ("100003,60", "100003,6\u20280", "age = '6 0' is not a number"),
    ("100003,60", "100003," + "6x" * 5000, "age = '" + "6x" * 30 + "...' is not a number"),
    ("100003,60", '100003,"6,0"', "decimal point and no thousands separator")])
def test_a_row_that_is_wrong_costs_its_participant(folder, old, new, words):
    found = rewrite(folder, "people", lambda text: text.replace(old, new).encode())
    refused, = found.refused
    assert words in refused.message and refused.source_id == "participant: people.csv line 4"
    linked, lost = link_nodules(found, 2555)
    cause = f"its row ({refused.source_id}) was refused: {refused.message}"
    absent = "participant 100003 is not in the participant table"
    told = (refused.code, cause) if new.startswith("100003,") else ("E08", absent)
    assert len(linked) == 4 and (lost[0].code, lost[0].message) == told


@pytest.mark.parametrize("old, new", [("100003,60", "100003.0,6.0e1"), ("100003,60", "1.00003E+05,60.000")])
def test_numbers_may_be_written_as_floats_that_lose_nothing(folder, old, new):
    assert rewrite(folder, "people", lambda text: text.replace(old, new).encode()).kept["participant"].pid[2] == 100003


@pytest.mark.parametrize("name, change, words", [
    ("people", lambda text: text.splitlines()[0].encode(), "participant table has a header and no row"),
    ("people", lambda text: text.replace(",60,", ",sixty,").encode(), "5 of 5 rows of the participant table.*E04"),
    ("people", lambda text: text.replace(",375,", ",2000-01-11,").encode(), "5 of 5 rows.*scr_days1 = '2000-01-11'"),
    ("abnormalities", lambda text: text.replace(",10,", ",'10,5',").replace(",8,", ',"8,5",').encode(),
     "10 of 10 rows of the abnormalities table"),
    ("cancer", lambda text: text.replace("10000", "1e5,").encode(), "2 of 2 rows of the cancer table"),
    ("cancer", lambda text: text.replace(",", ";").encode(), "separated by semicolons.*the cancer table"),
    ("cancer", lambda text: (text + "\u00e9").encode("latin-1"), "not in the encoding UTF-8.*the cancer table"),
    ("cancer", lambda text: b"PK\3\4", "lacks the cancer table.*cancer.csv is an Excel workbook"),
    ("centres", lambda text: text.encode("utf-16"), "UTF-16 text.*the nlstx table")])
def test_a_fault_of_a_whole_table_stops_with_its_cause(folder, name, change, words):
    with pytest.raises(UserError, match=words) as caught:
        rewrite(folder, name, change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["caf\u00e9".encode("latin-1"), b"PK\3\4", b"", b"a;b\n1;2\n", b"a,b\n1,2\n"])
def test_a_file_nobody_needs_is_passed_over_by_name(tmp_path, content):
    folder, lines = write_delivery(tmp_path / "nlst", tables()), []
    (folder / "notes.csv").write_bytes(content)
    cohort = Cohort.open(build_cohort(folder, tmp_path / "cohort", PARAMS, progress=lines.append))
    assert len(cohort.pairs) == 5 and any("notes.csv: passed over, E01" in line for line in lines)
    assert pd.read_csv(cohort.path / "refused.csv").source_id.tolist() == ["notes.csv"]


def test_a_table_twice_counts_once_and_an_overlap_adds(folder):
    people = pd.read_csv(folder / "people.csv", dtype=str)
    people.to_csv(folder / "again.csv", index=False)
    pd.concat([people.tail(2), people.head(1).assign(pid="100006")]).to_csv(folder / "overlap.csv", index=False)
    found = read_delivery(folder)
    assert found.counts["participant"] == dict(rows=13, kept=6, refused=7) and len(link_nodules(found, 2555)[0]) == 5


def test_a_cancer_that_the_cancer_table_lacks_is_never_benign(folder):
    people = pd.read_csv(folder / "people.csv", dtype=str).assign(candx_days=["", "500", ".N", "500", ""])
    people.to_csv(folder / "people.csv", index=False)
    pd.read_csv(folder / "centres.csv").assign(malignancy="").to_csv(folder / "centres.csv", index=False)
    linked, refused = link_nodules(rewrite(folder, "cancer", lambda text: text.splitlines()[0].encode()), 2555)
    assert [x.label for x in linked] == [0, 0, 0] and [row.code for row in refused] == ["E14", "E14"]
