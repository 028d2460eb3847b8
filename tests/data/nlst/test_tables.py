import re

import pandas as pd
import pytest
from small_delivery import REAL, needs_real, tables
from small_links import luna

from namd.data.codes import CODES, SHAPES
from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import Tables, check_table, read_delivery, recognise
from namd.ground.errors import UserError

# Codes of the CDAS participant file, which is not among the open dictionaries, and the year of GM-AE's list.
NOT_IN_DICTIONARIES = {"study_year", "rndgroup", "diagemph", "famfather", "fammother", "fambrother", "famsister",
                       "famchild"}


def checked(kind, table):
    raw = table.astype(str)
    raw.columns = raw.columns.str.lower()
    result = Tables()
    kept = check_table(kind, raw.assign(_row=[f"line {n + 2}" for n in range(len(raw))]), result)
    return kept, [row.code for row in result.refused], result


def dictionary_codes(path):
    """variable -> {code: words} from the rows of one dictionary in markdown."""
    found = {}
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[0].startswith("**"):
            codes = re.findall(r'(?<![\w.])(\d+)="(.*?)"', re.sub(r"\s+", " ", cells[3]))
            found[cells[0].strip("*")] = {int(code): words.strip() for code, words in codes}
    return found


@needs_real
def test_every_code_is_the_dictionarys():
    compared = set()
    for path in sorted((REAL / "nlst_tables" / "dictionaries").glob("*.md")):
        for name, codes in dictionary_codes(path).items():
            if name in CODES and not (name == "study_yr" and "canc" in path.name):
                assert codes == CODES[name], f"{name} in {path.name}"
                compared.add(name)
    assert compared == set(CODES) - NOT_IN_DICTIONARIES


@needs_real
@pytest.mark.parametrize("pattern, kind, rows, refused", [
    ("*ctabc*.csv", "comparison", 31046, 0), ("*canc*.csv", "cancer", 2150, 0), ("nlstx*.csv", "nlstx", 1232, 3)])
def test_real_tables_are_accepted_and_counted(pattern, kind, rows, refused):
    file, = (REAL / "nlst_tables").glob(pattern)
    raw = pd.read_csv(file, dtype=str, keep_default_na=False)
    raw.columns = raw.columns.str.lower()
    assert recognise(raw.columns) == kind and SHAPES[kind].required <= set(raw.columns)
    kept, codes, result = checked(kind, raw)
    assert result.counts[kind] == dict(rows=rows, kept=rows - refused, refused=refused)
    assert codes == ["E03"] * refused and kept.repeated.sum() == (2 if kind == "nlstx" else 0)


def test_tables_are_recognised_by_columns_of_any_case(tmp_path):
    made = tables()
    for i, table in enumerate(made.values()):
        table.rename(columns=str.upper).to_csv(tmp_path / f"{i}.CSV", index=False)
    found = read_delivery(tmp_path)
    assert set(found.kept) == {"participant", "abnormalities", "comparison", "cancer", "nlstx"}
    assert found.counts["abnormalities"] == dict(rows=10, kept=10, refused=0)


def test_unknown_table_is_refused_and_named(tmp_path):
    made = tables()
    made["other"] = made["abnormalities"].drop(columns="sct_epi_loc")
    for name, table in made.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    row, = read_delivery(tmp_path).refused
    assert row.code == "E01" and "nearest: abnormalities, lacking sct_epi_loc" in row.message
    assert "its first line reads 'pid, study_yr, sct_ab_num, sct_ab_desc, " in row.message


@pytest.mark.parametrize("line", ["sep=,", "# exported 2024", "NLST participants,,,"])
def test_a_line_above_the_header_is_named(tmp_path, line):
    for name, table in tables().items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    people = tmp_path / "people.csv"
    people.write_text(f"{line}\n{people.read_text()}")
    said = line.lower().replace(",", ", ").strip(", ") if line != "sep=," else "sep="
    with pytest.raises(UserError, match=f"lacks the participant table.*its first line reads '{said}"):
        read_delivery(tmp_path)


def test_missing_column_and_missing_table_stop_with_one_sentence(tmp_path):
    made = tables()
    made["abnormalities"].drop(columns="sct_slice_num").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(UserError, match="E02.*a.csv.*abnormalities table but lacks sct_slice_num"):
        read_delivery(tmp_path)
    made["abnormalities"].to_csv(tmp_path / "a.csv", index=False)
    for name in ("cancer.txt", "people.parquet", "notes.md"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=r"lacks the participant, comparison, cancer table; add its CSV \(no CSV, so "
                                        r"not read: cancer.txt, people.parquet\)$"):
        read_delivery(tmp_path)
    for name in ("people", "comparison", "cancer"):
        made[name].to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(UserError, match="no list of nodule centres"):
        read_delivery(tmp_path)


@pytest.mark.parametrize("column, value, code, words", [
    ("sct_pre_att", "5", "E04", "sct_pre_att = 5 is not one of 1 2 3 4 6 7 9"),
    ("sct_epi_loc", "7", "E04", "sct_epi_loc = 7 is not one of"),
    ("sct_margins", "Spiculated", "E05", "'Spiculated' is not a number"),
    ("sct_perp_dia", "0", "E07", "sct_perp_dia = 0.0 is not in (0, 200] mm"),
    ("sct_long_dia", "0", "E07", "sct_long_dia = 0.0 is not in (0, 200] mm"),
    ("sct_long_dia", "201", "E07", "is not in (0, 200] mm"),
    ("sct_long_dia", "1e400", "E04", "sct_long_dia = '1e400' is not a number"),
    ("sct_perp_dia", "11", "E07", "perpendicular above longest"),
    ("sct_long_dia", "about 9", "E04", "is not a number"),
    ("sct_margins", "1.5", "E04", "'1.5' is not a whole number"),
    ("pid", "12345", "E09", "is not six digits"),
    ("pid", "A00001", "E09", "is not a number"),
    ("sct_ab_num", "", "E04", "missing in a key"),
])
def test_bad_rows_are_refused_with_their_code(column, value, code, words):
    table = tables()["abnormalities"].astype(str)
    table.loc[2, column] = value
    kept, codes, result = checked("abnormalities", table)
    assert codes == [code] and words in result.refused[0].message
    assert "line 4" in result.refused[0].source_id and len(kept) == 9


@pytest.mark.parametrize("label, codes", [("0", []), ("1.0", []), ("", []), ("2", ["E04"]), ("-1", ["E04"])])
def test_a_label_of_luna25_is_0_1_or_unknown(label, codes):
    table = luna(tables())["centres"].astype(str)
    table.loc[2, "label"] = label
    assert checked("luna25", table)[1] == codes


@pytest.mark.parametrize("side, value", [("x", -1), ("y", 2049), ("width", -5), ("height", 0)])
def test_a_box_that_is_none_is_refused(side, value):
    table = tables()["centres"]
    table.loc[2, f"Bounding box {side} (pixels)"] = value
    kept, codes, result = checked("nlstx", table)
    assert codes == ["E06"] and f"bounding box {side} (pixels) = {float(value)} is not in" in result.refused[0].message


@pytest.mark.parametrize("table, column, value, code", [
    ("abnormalities", "sct_pre_att", "5", "E04"), ("abnormalities", "sct_long_dia", "0", "E07"),
    ("centres", "Slice number", "20.5", "E04"), ("people", "gender", "7", "E04")])
@pytest.mark.parametrize("row", [0, 1])
def test_a_refused_row_is_the_cause_that_its_nodule_tells(table, column, value, code, row):
    made = {name: one.astype(str) for name, one in tables().items()}
    made[table].loc[row, column] = value
    result = Tables()
    for name, kind in (("people", "participant"), ("abnormalities", "abnormalities"), ("comparison", "comparison"),
                       ("cancer", "cancer"), ("centres", "nlstx")):
        raw = made[name].rename(columns=str.lower)
        raw = raw.assign(_row=[f"{name}.csv line {n + 2}" for n in range(len(raw))])
        result.kept[kind] = check_table(kind, raw, result)
    linked, (lost,) = link_nodules(result, 2555)
    first, = result.refused
    assert len(linked) == 4 and lost.code == first.code == code
    assert lost.message == f"its row ({first.source_id}) was refused: {first.message}"


def test_all_bad_rows_of_a_table_are_found_at_once():
    table = tables()["abnormalities"]
    table.loc[[0, 3, 7], "sct_pre_att"] = 5
    assert checked("abnormalities", table)[1] == ["E04"] * 3


@pytest.mark.parametrize("text, why", [(".N", ".N"), (".M", ".M"), (".S", ".S"), (".E", ".E"), (".W", ".W"),
                                       (".R", ".R"), (".F", ".F"), ("", "empty"), (" ", "empty"), ("10", ""),
                                       ("Unknown", "UNKNOWN"), ("(null)", "(NULL)"), ("n.a.", "N.A."),
                                       ("\u2014", "\u2014")])
def test_missing_codes_keep_their_reason(text, why):
    table = tables()["abnormalities"].astype(str)
    table.loc[2, ["sct_long_dia", "sct_margins"]] = [text, text.replace("10", "2")]
    row = checked("abnormalities", table)[0].loc[2]
    assert row["sct_long_dia__why"] == row["sct_margins__why"] == why
    assert pd.isna(row["sct_long_dia"]) == pd.isna(row["sct_margins"]) == bool(why)


def test_slice_999_is_missing_but_a_stage_of_999_days_is_a_number():
    table = tables()["abnormalities"]
    table.loc[1, "sct_slice_num"] = 999
    row = checked("abnormalities", table)[0].loc[1]
    assert pd.isna(row["sct_slice_num"]) and row["sct_slice_num__why"] == "999"
    people = tables()["people"]
    people.loc[1, "scr_days1"] = 999
    assert checked("participant", people)[0].loc[1, "scr_days1"] == 999


@pytest.mark.parametrize("text, what", [("abc", "a number"), ("1e300", "a number"), ("12.5", "a whole number"),
                                        ("True", "a number"), ("0x3C", "a number")])
def test_a_slice_number_that_is_no_number_is_refused_not_called_blank(text, what):
    table = tables()["centres"].astype(str)
    table.loc[1, "Slice number"] = text
    table.loc[2, "Slice number"] = ".M"
    kept, codes, result = checked("nlstx", table.rename(columns=str.lower))
    assert codes == ["E04"] and f"slice number = '{text}' is not {what}" in result.refused[0].message
    assert kept.loc[1, "slice number__why"] == ".M" and len(kept) == len(table) - 1


@pytest.mark.parametrize("mark, codes", [("maybe", ["E04"]), (" m ", []), ("", []), ("NA", []), ("0", ["E04"])])
def test_a_mark_outside_the_lists_two_is_said(mark, codes):
    table = tables()["centres"].rename(columns=str.lower)
    table.loc[1, "malignancy"] = mark
    _, found, result = checked("nlstx", table)
    assert found == codes and all(f"malignancy = {mark} is not one of M B" in row.message for row in result.refused)


def test_a_differing_repeat_marks_its_key_and_an_equal_one_does_not():
    table = tables()["abnormalities"]
    other = table.loc[[4]].assign(sct_long_dia=15)
    kept, codes, _ = checked("abnormalities", pd.concat([table, table.loc[[0]], other], ignore_index=True))
    assert codes == ["E03", "E03"] and len(kept) == 10
    assert kept.repeated.tolist() == [i == 4 for i in range(10)]
