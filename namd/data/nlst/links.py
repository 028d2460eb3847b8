"""The same nodule at T0 and T1: centre lists, code-51 rows, tiers A and B."""

from collections import defaultdict

from namd.data.dicom.series import Centre
from namd.data.nlst.codes import BOX
from namd.data.nlst.labels import label_nodule, merged_lobe
from namd.data.nlst.tables import Tables
from namd.data.refused import RefusedError

NODULE_CODE = 51                        # non-calcified nodule or mass of at least 4 mm


def _records(table) -> list[dict]:
    """Rows as dictionaries with None for missing; none of an absent table."""
    return [] if table is None else table.astype(object).where(table.notna(), None).to_dict("records")


class Book:
    """Look-ups of one delivery: participants, code-51 rows and centres by participant and year."""

    def __init__(self, tables: Tables):
        rows = tables.kept["abnormalities"]
        rows = rows[(rows.sct_ab_desc == NODULE_CODE).fillna(False) & rows.study_yr.isin([0, 1])]
        self.nodules = defaultdict(dict)            # (pid, year) -> {sct_ab_num: row}
        for row in _records(rows):
            self.nodules[row["pid"], row["study_yr"]][row["sct_ab_num"]] = row
        people = tables.kept["participant"]
        self.people = {row["pid"]: row for row in _records(people[people.pid.isin(rows.pid)])}
        self.named_people = tables.named["participant"]
        comparison = tables.kept["comparison"]
        comparison = comparison[comparison.study_yr == 1]
        self.preexist = {(row["pid"], row["sct_ab_num"]): row["sct_ab_preexist"] for row in _records(comparison)}
        cancer = tables.kept["cancer"]
        first = cancer[cancer.first_lc == 1]
        self.diagnosis_day = {row["pid"]: row["candx_days"] for row in _records(first)}
        self.cancer = tables.named["cancer"]        # refused rows count too: such a patient is never benign
        self.centres = defaultdict(list)            # (pid, year) -> centres
        self._read_nlstx(tables)
        self._read_luna25(tables)

    def _read_nlstx(self, tables: Tables) -> None:
        """NLSTx names one nodule of a participant, in every year; its box is in stored pixels."""
        for row in _records(tables.kept.get("nlstx")):
            x, y, width, height = (row[name] for name in BOX)
            whole = None not in (x, y, width, height)
            self.centres[row["pid"], row["study_yr"]].append(Centre(
                "nlstx", 0, row["abnormality uid"], row["seriesinstanceuids"].strip(),
                {"M": True, "B": False}.get(row["malignancy"].strip().upper()), row["repeated"],
                row["slice number"] if whole else None,
                (x + (width - 1) / 2, y + (height - 1) / 2) if whole else None))

    def _read_luna25(self, tables: Tables) -> None:
        """LUNA25 names lesions by an identity kept over the years, with a point in mm and no sct_ab_num."""
        rows = _records(tables.kept.get("luna25"))
        lesions = defaultdict(set)
        for row in rows:
            lesions[row["patientid"], row["studydate"] // 10000 - 1999].add(row["lesionid"])
        for row in rows:
            key = row["patientid"], row["studydate"] // 10000 - 1999
            numbers = list(self.nodules.get(key, {}))
            alone = len(numbers) == 1 and len(lesions[key]) == 1
            point = row["coordx"], row["coordy"], row["coordz"]
            self.centres[key].append(Centre(
                "luna25", row["lesionid"], numbers[0] if alone else None, row["seriesinstanceuid"].strip(),
                {1: True, 0: False}.get(row["label"]), row["repeated"],
                point=None if None in point else point))


def link_nodules(tables: Tables, label_days: int) -> tuple[list[dict], list[dict]]:
    """Every nodule at T0 either linked to T1 and labelled, or refused.

    Args:
        tables: checked tables of a delivery.
        label_days: longest time, in days, from the baseline screen to a diagnosis that still counts.

    Returns:
        Linked nodules, and refused ones (source_id, stage, code, message). A nodule at T0 is a code-51 row, or a
        row of a centre list that names no such row.

    Source: ours; NLST numbers abnormalities anew each year, so sct_ab_num never links years.
    """
    book, linked, refused = Book(tables), [], []
    inputs = [(pid, number) for (pid, year), rows in book.nodules.items() if year == 0 for number in rows]
    for pid, number in sorted(inputs):
        try:
            linked.append(_link(book, pid, number, label_days))
        except RefusedError as error:
            refused.append(dict(source_id=f"{pid} T0 nodule {number}", stage="link", code=error.code,
                                message=error.message))
    for (pid, year), centres in sorted(book.centres.items()):
        for centre in centres:
            if year == 0 and centre.number not in book.nodules.get((pid, 0), {}):
                refused.append(dict(
                    source_id=f"{pid} T0 {centre.source} lesion {centre.lesion}", stage="link", code="E11",
                    message=f"the list names abnormality {centre.number}, which is no single code-51 row at T0"))
    return linked, refused


def _link(book: Book, pid: int, number: int, label_days: int) -> dict:
    """One nodule through all rules, in the order of the reasons."""
    person, before = book.people.get(pid), book.nodules[pid, 0][number]
    if person is None:
        raise RefusedError("E08", f"participant {pid} is not in the participant table" + (
            ", for its row was refused" if pid in book.named_people else ""))
    if person.get("rndgroup") == 2:
        raise RefusedError("E08", f"participant {pid} is in the X-ray arm (rndgroup 2)")
    start, end, after, tier = _follow_up(book, pid, before)
    if before["repeated"] or after["repeated"] or person["repeated"] or start.repeated or end.repeated:
        raise RefusedError("E03", f"two differing rows name {pid} nodule {number}; only one of them can be right")
    if book.preexist.get((pid, after["sct_ab_num"])) == 1:
        raise RefusedError("E10", f"the comparison read calls nodule {after['sct_ab_num']} at T1 new (preexist = 1)")
    days = [person[f"scr_days{year}"] for year in (0, 1)]
    known = None not in days
    if known and days[1] <= days[0]:
        raise RefusedError("E12", f"screened on day {days[0]:.0f} at T0 and on day {days[1]:.0f} at T1")
    marks = {centre.malignant for centre in (start, end)} - {None}
    return dict(pid=pid, number=number, person=person, before=before, after=after, start=start, end=end, tier=tier,
                interval=int(days[1] - days[0]) if known else None,
                label=label_nodule(book, pid, before, marks, label_days))


def _centres(book: Book, pid: int, year: int, number: int) -> list[Centre]:
    """The centres the lists give this code-51 row; at least one."""
    found = [item for item in book.centres.get((pid, year), []) if item.number == number]
    if not found:
        raise RefusedError("E06", f"no centre list places abnormality {number} at T{year}, and NLST recorded no x, y")
    whole = [item for item in found if item.point is not None or item.instance is not None]
    if not whole:
        raise RefusedError("E06", f"the slice number or box of abnormality {number} at T{year} is blank or 999")
    if not whole[0].uid:
        raise RefusedError("E06", f"the centre list names no series for abnormality {number} at T{year}")
    return whole


def _follow_up(book: Book, pid: int, before: dict) -> tuple[Centre, Centre, dict, str]:
    """Centres at T0 and T1, the row at T1, and the tier: A by a list's identity, B by one row a year and lobe."""
    starts, rows = _centres(book, pid, 0, before["sct_ab_num"]), book.nodules.get((pid, 1), {})
    for start in starts:
        for item in book.centres.get((pid, 1), []):
            if (item.source, item.lesion) == (start.source, start.lesion):
                if item.number not in rows:
                    raise RefusedError("E11", f"the list names abnormality {item.number} at T1, no code-51 row")
                return start, _centres(book, pid, 1, item.number)[0], rows[item.number], "A"
    if len(rows) != 1 or len(book.nodules[pid, 0]) != 1:
        raise RefusedError("E11", f"{len(book.nodules[pid, 0])} code-51 rows at T0 and {len(rows)} at T1; "
                                  "without a list that links them, one in each year is needed")
    (number, after), = rows.items()
    lobes = [merged_lobe(row["sct_epi_loc"]) for row in (before, after)]
    if lobes[0] != lobes[1] or None in lobes:
        raise RefusedError("E11", f"lobe {before['sct_epi_loc']} at T0 and {after['sct_epi_loc']} at T1")
    if book.preexist.get((pid, number)) not in (1, 2):
        raise RefusedError("E11", f"the comparison read does not call abnormality {number} at T1 pre-existing")
    return starts[0], _centres(book, pid, 1, number)[0], after, "B"
