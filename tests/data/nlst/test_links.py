"""The links of a hand-made delivery: who is linked, who is refused, and for which reason."""

from collections import Counter

import pandas as pd
import pytest
from small_delivery import REAL, needs_real, tables
from small_links import at, change, first, linked, luna, second

from namd.data.nlst.links import rows_left
from namd.data.nlst.participants import row_id


def test_plain_delivery_links_everyone_by_annotation():
    links, refused = linked(tables())
    assert refused == [] and [link.tier for link in links] == ["A"] * 5
    assert [link.label for link in links] == [0, 1, 0, 1, 0]
    assert all(link.interval_days == 365 for link in links)
    assert links[0].start.pixel == (60.0, 58.0)              # 53 + (15 - 1) / 2, 53 + (11 - 1) / 2


CASES = {
    "X-ray arm": ("people", first, dict(rndgroup=2), "E08"),
    "no such participant": ("people", first, dict(pid=100009), "E08"),
    "slice 999": ("centres", at(0), {"Slice number": 999.0}, "E06"),
    "blank box at T1": ("centres", at(1), {"Bounding box x (pixels)": None}, "E06"),
    "new at T1": ("comparison", first, dict(sct_ab_preexist=1), "E10"),
    "list names no nodule at T1": ("centres", at(1), {"Abnormality UID": 3.0}, "E11"),
    "micronodule at T1": ("abnormalities", at(1), dict(sct_ab_desc=52), "E11"),
    "same day": ("people", first, dict(scr_days1=10), "E12"),
    "T0 in the far future": ("people", first, dict(scr_days0=900000000), "E04"),
    "T1 in the far future": ("people", first, dict(scr_days1=900000000), "E04"),
    "T0 long ago": ("people", first, dict(scr_days0=-99999), "E04"),
    "T0 far off, T1 unknown": ("people", first, dict(scr_days0=-99999, scr_days1=".N"), "E04"),
    "T1 the day after": ("people", first, dict(scr_days1=11), "E12"),
    "T1 four years later": ("people", first, dict(scr_days1=10 + 1096), "E12"),
    "lists disagree": ("centres", at(1), dict(malignancy="M"), "E14"),
    "annotated malignant, no cancer": ("centres", first, dict(malignancy="M"), "E14"),
    "cancer first": ("cancer", second, dict(candx_days=10), "E13"),
    "cancer too late": ("cancer", second, dict(candx_days=2566), "E14"),
    "no day of diagnosis": ("cancer", second, dict(candx_days=".N"), "E14"),
    "cancer elsewhere": ("people", second, dict(locrup=0), "E14"),
    "lobe unknown": ("abnormalities", second, dict(sct_epi_loc=8), "E14"),
    "annotated benign in the cancer's lobe": ("centres", second, dict(malignancy="B"), "E14"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_fault_refuses_one_nodule(case):
    name, where, values, code = CASES[case]
    links, refused = linked(change(tables(), name, where, **values))
    assert len(links) == 4 and [row.code for row in refused] == [code]
    assert len(refused[0].message) > 20 and refused[0].source_id.startswith("10000")


@pytest.mark.parametrize(("name", "values", "n_left"), [
    ("cancer", {}, 5), ("cancer", dict(candx_days=100), 4), ("cancer", dict(candx_days=100, lc_order=2), 4),
    ("cancer", dict(candx_days=600, lc_order=2, first_lc=0), 5), ("comparison", {}, 5),
    ("comparison", dict(sct_ab_preexist=1), 4)])
def test_two_rows_that_differ_decide_nothing_and_a_copy_changes_nothing(name, values, n_left):
    made = tables()
    made[name] = pd.concat([made[name], made[name].iloc[[0]].assign(**values)], ignore_index=True)
    links, refused = linked(made)
    assert len(links) == n_left and [row.code for row in refused] == ["E03"] * (5 - n_left)
    assert all(f"two differing rows of the {name} table" in row.message for row in refused)


def test_last_day_that_counts():
    assert not linked(change(tables(), "cancer", second, candx_days=2565))[1]


def test_refused_cancer_row_never_makes_its_patient_benign():
    made = change(tables(), "cancer", second, first_lc=7)
    made["centres"]["malignancy"] = ""                              # no list contradicts either
    links, refused = linked(made)
    assert [row.code for row in refused] == ["E14"] and {link.pid for link in links}.isdisjoint({100002})


def test_lists_row_without_a_nodule_is_accounted_for():
    made = change(tables(), "centres", at(0), **{"Abnormality UID": 3.0})
    links, refused = linked(made)
    assert [row.code for row in refused] == ["E06", "E11"]       # the nodule nobody places, the place of no nodule
    assert len(links) == 4


def test_repeated_rows_refuse_their_nodule():
    made = tables()
    made["centres"] = pd.concat([made["centres"], made["centres"].iloc[[0]].assign(**{"Slice number": 9.0})])
    links, refused = linked(made)
    assert [row.code for row in refused] == ["E03"] and len(links) == 4


def test_other_nodules_of_a_cancer_patient_are_dropped():
    made = tables()
    extra = made["abnormalities"].iloc[[2, 3]].assign(sct_ab_num=2, sct_long_dia=30)
    made["abnormalities"] = pd.concat([made["abnormalities"], extra])
    made["centres"]["malignancy"] = ""
    links, refused = linked(made)
    assert [(row.code, row.source_id) for row in refused] == [
        ("E14", "100002 T0 nodule 1"), ("E06", "100002 T0 nodule 2")]
    assert "not the largest" in refused[0].message


def test_luna25_list_links_by_its_lesion():
    links, refused = linked(luna(tables()))
    assert [link.tier for link in links] == ["C"] * 5 and refused == []
    assert [link.label for link in links] == [0, 1, 0, 1, 0] and {link.before for link in links} == {None}
    assert links[0].nodule_id == "100001-luna25-7" and links[0].source_id == "100001 T0 luna25 lesion 7"
    made = luna(tables())
    extra = made["abnormalities"].iloc[[0]].assign(sct_ab_num=2)
    made["abnormalities"] = pd.concat([made["abnormalities"], extra])
    links, refused = linked(made)
    assert len(links) == 5 and refused == []                    # which row it is, the images must tell
    found = {row_id(100001, 0, 2), *(row_id(pid, 0, 1) for pid in range(100002, 100006))}
    assert [row.source_id for row in rows_left(links, found)] == ["100001 T0 nodule 1"]


@pytest.mark.parametrize("case, values, code", [
    ("pre-existing", {}, None), ("lingula is left upper", dict(lobes=(4, 5)), None),
    ("other lobe", dict(lobes=(1, 3)), "E11"), ("not compared", dict(preexist=9), "E11"),
    ("new", dict(preexist=1), "E10"), ("two at T1", dict(extra=True), "E11")])
def test_tier_b_needs_one_nodule_a_year_in_one_lobe(case, values, code):
    made = luna(tables(n=1), lesions=(7, 8))                    # the list does not link the years
    made["abnormalities"]["sct_epi_loc"] = values.get("lobes", (1, 1))
    made["comparison"]["sct_ab_preexist"] = values.get("preexist", 2)
    if values.get("extra"):
        made["abnormalities"] = pd.concat([made["abnormalities"], made["abnormalities"].iloc[[1]].assign(sct_ab_num=2)])
    links, refused = linked(made)
    assert [link.tier for link in links] == ([] if code else ["B"])
    assert [row.code for row in refused] == ([code] if code else [])


EMPTY_CELLS = {
    "day of the T0 screen": ("people", "scr_days0", second, ["E14"]),      # the cancer's time cannot be told
    "day of the T1 screen": ("people", "scr_days1", second, []), "arm": ("people", "rndgroup", second, []),
    "cancer's day": ("cancer", "candx_days", second, ["E14"]), "first or not": ("cancer", "first_lc", second, ["E14"]),
    "cancer's lobe": ("people", "locrup", second, ["E14"]), "nodule's lobe": ("abnormalities", "sct_epi_loc", second,
                                                                              ["E14"]),
    "longest diameter": ("abnormalities", "sct_long_dia", second, []),     # the list calls it malignant
    "kind of finding": ("abnormalities", "sct_ab_desc", at(1, second), ["E11"]),
    "compared or not": ("comparison", "sct_ab_preexist", second, []),
    "list's mark": ("centres", "malignancy", second, []), "list's series": ("centres", "seriesinstanceuids", at(1),
                                                                           ["E06"]),
    "list's number": ("centres", "Abnormality UID", at(0), []),            # the list's own identity is enough
    "list's number at T1": ("centres", "Abnormality UID", at(1), []),
    "list's box": ("centres", "Bounding box width (pixels)", at(0), ["E06"]),
}


@pytest.mark.parametrize("case", EMPTY_CELLS)
@pytest.mark.parametrize("empty", ["", ".M", "NA"])
def test_an_empty_cell_is_no_value_of_its_column(case, empty):
    name, column, where, codes = EMPTY_CELLS[case]
    links, refused = linked(change(tables(), name, where, **{column: empty}))
    assert [row.code for row in refused] == codes and len(links) == (4 if codes else 5)


def test_a_luna25_row_without_a_value_costs_its_nodule_at_most():
    for column, codes in (("CoordZ", ["E06"] * 2), ("SeriesInstanceUID", ["E06"] * 2), ("label", [])):
        made = luna(tables())
        made["centres"] = made["centres"].astype(object)
        made["centres"].loc[0, column] = ""
        assert [row.code for row in linked(made)[1]] == codes


def real_tables(*lists):
    """Real lists, comparison and cancer tables, with code-51 rows and participants made to match NLSTx."""
    made = {name: pd.read_csv(next((REAL / "nlst_tables").glob(name)), dtype=str, keep_default_na=False)
            for name in (*lists, "*ctabc*.csv", "*canc*.csv")}
    rows = pd.read_csv(REAL / "nlst_tables/nlstx_dataset.csv").rename(
        columns={"PID": "pid", "Abnormality UID": "sct_ab_num"})
    keys = rows[["pid", "study_yr", "sct_ab_num"]].drop_duplicates()
    made["abnormalities"] = keys.assign(sct_ab_desc=51, sct_epi_loc=1, sct_pre_att=1, sct_margins=2, sct_long_dia=9,
                                        sct_perp_dia=8, sct_slice_num=1)
    pids = {*keys.pid.astype(str), *(pid for name in lists for pid in made[name].iloc[:, :2].stack() if len(pid) == 6)}
    made["people"] = pd.DataFrame(dict(pid=sorted(pids), age=60, gender=1, scr_days0=1, scr_days1=366, scr_days2=731,
                                       locrup=1))
    return made, keys


@needs_real
def test_real_nodule_list_is_accounted_for_to_the_last_row():
    made, keys = real_tables("nlstx*.csv")
    links, refused = linked(made)
    at_t0 = keys[keys.study_yr == 0]
    assert len(at_t0) == len(links) + len(refused)
    assert len(links) == 390 and sum(row.code in ("E03", "E10") for row in refused) == 8            # of 398 pairs
    assert all(link.tier == "A" for link in links)
    more, _ = linked(made, second_year=True)
    assert sum(link.year for link in more) == 367 and len(more) == 390 + 367                        # of 372 pairs


@needs_real
def test_a_real_list_without_numbers_keeps_every_pair_that_it_names():
    made, _ = real_tables("gmae*.csv")
    made["abnormalities"] = made["abnormalities"].iloc[:1]
    links, refused = linked(made, second_year=True)
    years = Counter((link.tier, link.year) for link in links)
    assert years == {("C", 0): 1258, ("C", 1): 1155}
    assert Counter(row.code for row in refused if " T0 gmae " in row.source_id) == {"E11": 25}      # not at T1
    pending = [link for link in links if link.label is None]
    assert len({link.pid for link in links if link.year == 0}) == 1009 and {link.participant.has_cancer
                                                                          for link in pending} == {True}
