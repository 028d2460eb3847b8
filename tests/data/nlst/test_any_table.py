"""Any bytes of a table are read or one sentence; any cell costs what hangs on it: no nodule is lost without a word."""

import csv

import pandas as pd
import pytest
from fuzzing import EXAMPLES, fuzz
from hypothesis import given
from hypothesis import strategies as st
from small_delivery import tables

from namd.data.codes import EMPTY, SHAPES
from namd.data.nlst.links import link_nodules
from namd.data.nlst.tables import Tables, check_table, read_delivery, read_files
from namd.data.refused import REASONS

PEOPLE = 100
CELLS = 40                                      # that one reading tries, each in a row of its own
NAMES = list(tables())
ODD = ["nan", "inf", "-inf", "1e400", "-1", "0", "1.5", "999", "1e5", "1.0E+05", "1,5", "0x10", "1_0", "\u0661", "²",
       "+1", "True", "NaT", ".N", " 1 ", "'1'", "51", "2", "300000", "2005-01-31", "9" * 40, "\u00a0", "\u2028", "\r\n",
       '"', "=1+1", ";", "1 2"]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
CELL = st.one_of(st.sampled_from(ODD), st.sampled_from(EMPTY), TEXT, st.floats().map(str), st.integers().map(str))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of tables, and what they are when nothing is wrong with them."""
    folder = tmp_path_factory.mktemp("whole")
    for name, table in tables(PEOPLE).items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder, read_delivery(folder)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("part") / "part.csv"


@fuzz()
@given(name=st.sampled_from(NAMES), start=st.integers(0, 600), n_bytes=st.integers(0, 40),
       what=st.one_of(st.binary(max_size=6), CELL.map(str.encode)))
def test_any_bytes_of_a_table_are_read_or_one_sentence(file, name, start, n_bytes, what):
    raw = SMALL[name]
    start %= len(raw) + 1
    file.write_bytes(raw[:start] + what + raw[start + n_bytes:])
    found, = read_files(file.parent)
    assert (found.text is None) == (found.refusal is not None)
    assert found.refusal is None or found.refusal.code in ("E01", "E02") and "\n" not in str(found.refusal)
    assert found.kind is None or found.kind in SHAPES


SMALL = {name: table.to_csv(index=False).encode() for name, table in tables(3).items()}


@fuzz(-(-EXAMPLES // CELLS))
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_any_cell_costs_its_own_row_and_no_nodule_is_lost(whole, file, data, name):
    folder, rest = whole
    table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    some = data.draw(st.lists(st.integers(0, len(table) - 1), min_size=CELLS // 2, max_size=int(.45 * len(table)) or 1,
                              unique=True).map(lambda rows: rows[:CELLS]))
    touched = set()
    for row in some:
        touched.add(table.iloc[row, list(table.columns.str.lower()).index("pid")])
        column = data.draw(st.integers(0, len(table.columns) - 1))
        table.iloc[row, column] = data.draw(CELL)
        touched.add(table.iloc[row, column].strip())                        # it may name somebody else
    table.to_csv(file, index=False, quoting=csv.QUOTE_MINIMAL)
    found, = read_files(file.parent)
    assert found.refusal is None
    checked = Tables(kept=dict(rest.kept), named=dict(rest.named))
    checked.kept[found.kind] = check_table(found.kind, found.text.rename_axis("_row").reset_index(), checked)
    linked, refused = link_nodules(checked, 2555)
    assert all(row.code in REASONS and row.message and "\n" not in row.message for row in refused + checked.refused)
    once = [str(link.pid) for link in linked]
    told = {row.source_id[:6] for row in refused}
    everybody = {str(100001 + i) for i in range(PEOPLE)}
    assert len(once) == len(set(once)) and everybody <= {*once, *told}
    assert everybody - touched <= {*once}
