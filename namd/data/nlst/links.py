"""The same nodule a year apart: tier A by a list that names its rows, B by one row a year, C by a list alone."""

from dataclasses import dataclass, replace

from namd.data.nlst.centres import Listed
from namd.data.nlst.labels import early_label, label_nodule, merged_lobe
from namd.data.nlst.participants import Participant, participants, row_id
from namd.data.nlst.tables import Tables
from namd.data.refused import Refused, RefusedError

XRAY_ARM = 2                            # rndgroup
NEW = 1                                 # sct_ab_preexist
PREEXISTING = (1, 2)


@dataclass(frozen=True)
class Link:
    """One nodule, found again a year later and labelled; a row is a dictionary with None for what is missing.

    In tier C the rows are not known before the images are read, nor is the label where it hangs on them
    (`settle.settle` fills both in).
    """

    participant: Participant
    year: int                           # of the first scan: 0 for a pair of T0 and T1, 1 for T1 and T2
    start: Listed                       # where a list puts the nodule in that year
    end: Listed                         # and in the next
    tier: str                           # A, B or C
    interval_days: int | None           # between the scans
    marks: frozenset[bool]              # what the lists say of it (True for malignant)
    label: int | None                   # 1 for malignant
    name: str                           # of the nodule, within its participant
    source_id: str = ""                 # its name in refused.csv
    before: dict | None = None          # row of the abnormality table in the first year
    after: dict | None = None           # and in the next

    @property
    def pid(self) -> int:
        """Whose nodule it is."""
        return self.participant.pid

    @property
    def person(self) -> dict:
        """Row of the participant table."""
        return self.participant.person

    @property
    def number(self) -> int | None:
        """sct_ab_num in the first year; NLST numbers anew each year."""
        return None if self.before is None else self.before["sct_ab_num"]

    @property
    def nodule_id(self) -> str:
        """Name of the nodule in the cohort."""
        return f"{self.pid:06d}-{self.name}"


def link_nodules(tables: Tables, label_days: int, second_year: bool = False) -> tuple[list[Link], list[Refused]]:
    """Every nodule at T0 either linked to T1 and labelled, or refused.

    Args:
        tables: checked tables of a delivery.
        label_days: longest time, in days, from the first screen of a pair to a diagnosis that still counts.
        second_year: link T1 to T2 too, where a list names a nodule in both.

    Returns:
        Linked nodules by participant and year, and refused ones. A nodule at T0 is a code-51 row, or what a list
        names there beside these rows. Which row a tier C link has is not known before its images are read, so the rows
        of its participant that no list names are in neither (`rows_left`).

    Source: ours; NLST numbers abnormalities anew each year, so sct_ab_num never links years.
    """
    found = []
    for participant in participants(tables).values():
        found += _link_all(participant, label_days, second_year)
    return [one for one in found if isinstance(one, Link)], [one for one in found if isinstance(one, Refused)]


def _link_all(participant: Participant, label_days: int, second_year: bool) -> list[Link | Refused]:
    """Every nodule of a participant, rows of T0 first."""
    rows = participant.nodules[0]
    first = [_attempt(centre.said, _link_lesion, participant, centre, label_days)
             for centre in participant.lesions(0) if centre.number not in rows]
    second = [_attempt(centre.said, _link_lesion, participant, centre, label_days)
              for centre in participant.lesions(1) if second_year and participant.again(centre)]
    is_open = any(isinstance(one, Link) for one in first)
    numbers = [number for number in sorted(rows) if not (is_open and participant.is_unnamed(number))]
    return [_attempt(participant.said(number), _link_row, participant, number, label_days)
            for number in numbers] + first + second


def _attempt(said, link, participant: Participant, what, label_days: int) -> Link | Refused:
    """What `link` makes of a row number or a centre; `said`: its name, source and row in refused.csv."""
    source_id, source, row = said
    try:
        return replace(link(participant, what, label_days), source_id=source_id)
    except RefusedError as error:
        return Refused(source_id, "link", error.code, error.message, source, row)


def rows_left(linked: list[Link], found: set[str]) -> list[Refused]:
    """The rows of T0 that `link_nodules` left open for tier C and that no image turned out to show.

    Args:
        linked: of `link_nodules`; found: `row_id`s of the rows that links have once their images are read.
    """
    open_ones = {link.pid: link.participant for link in linked if link.tier == "C" and link.year == 0}
    left = []
    for pid, participant in open_ones.items():
        left += [Refused(row_id(pid, 0, number), "link", "E06", f"no list places abnormality {number} at T0",
                         *participant.said(number)[1:])
                 for number in participant.nodules[0]
                 if participant.is_unnamed(number) and row_id(pid, 0, number) not in found]
    return left


def _link_row(participant: Participant, number: int, label_days: int) -> Link:
    """A code-51 row at T0 through all rules, in the order of the reasons."""
    _check_person(participant)
    before = participant.nodules[0][number]
    start, end, after, tier = _follow_up(participant, before)
    return _labelled(participant, start, end, before, after, tier, label_days)


def _link_lesion(participant: Participant, centre: Listed, label_days: int) -> Link:
    """What a list names, with the list's own identity over the years; rows only where it names their numbers."""
    _check_person(participant)
    year = centre.year
    if centre.number is not None and centre.number not in participant.nodules[year]:
        raise participant.missing(
            "abnormalities", year, centre.number, code="E11",
            message=f"the list names abnormality {centre.number}, which is no single code-51 row at T{year}")
    end = participant.again(centre)
    if end is None:
        raise RefusedError("E11", f"the list does not name this lesion at T{year + 1}")
    for place in (centre, end):
        _check_place(place, f"lesion {place.lesion} at T{place.year}")
    if centre.number is None or end.number is None:
        return _labelled(participant, centre, end, participant.row(centre), participant.row(end), "C", label_days)
    after = participant.nodules[year + 1].get(end.number)
    if after is None:
        raise participant.missing("abnormalities", year + 1, end.number, code="E11",
                                  message=f"the list names abnormality {end.number} at T{year + 1}, no code-51 row")
    return _labelled(participant, centre, end, participant.nodules[year][centre.number], after, "A", label_days)


def _labelled(participant, start, end, before, after, tier, label_days) -> Link:
    """A link that passes the rules which hold for every tier."""
    what = [one for one in (start, end) if one.repeated]
    what += [row for row in (before, after, participant.person) if row is not None and row["repeated"]]
    year = start.year
    name = participant.name(start)
    if what:
        raise RefusedError("E03", f"two differing rows name {participant.pid} nodule {name}; only one of them can be "
                                  "right")
    check_preexisting(participant, year + 1, after)
    interval_days = participant.interval_days(year)
    marks = frozenset(centre.malignant for centre in (start, end) if centre.malignant is not None)
    decide = early_label if tier == "C" else label_nodule
    return Link(participant=participant, year=year, start=start, end=end, tier=tier, interval_days=interval_days,
                marks=marks, name=name, before=before, after=after,
                label=decide(participant, before, marks, label_days, year))


def _check_person(participant: Participant) -> None:
    """Refuse who is not in the CT arm, or not in the participant table."""
    person = participant.person
    if person is None:
        raise participant.missing("participant", code="E08",
                                  message=f"participant {participant.pid} is not in the participant table")
    if person.get("rndgroup") == XRAY_ARM:
        raise RefusedError("E08", f"participant {participant.pid} is in the X-ray arm (rndgroup 2)")


def check_preexisting(participant: Participant, year: int, row: dict | None) -> None:
    """Refuse a follow-up that the comparison with the year before calls new, or of which it says two things."""
    if row is not None and (year, row["sct_ab_num"]) in participant.clashes:
        raise RefusedError("E03", "two differing rows of the comparison table name nodule "
                                  f"{row['sct_ab_num']} at T{year}; only one of them can be right")
    if row is not None and participant.preexist[year].get(row["sct_ab_num"]) == NEW:
        raise RefusedError("E10", f"the comparison read calls nodule {row['sct_ab_num']} at T{year} new (preexist = 1)")


def _check_place(centre: Listed, what: str) -> None:
    """Refuse what a list names without saying where it lies."""
    if not centre.is_placed:
        raise RefusedError("E06", f"the slice number, box or point of {what} is blank or 999")
    if not centre.uid:
        raise RefusedError("E06", f"the centre list names no series for {what}")


def _centres(participant: Participant, year: int, number: int) -> list[Listed]:
    """The centres the lists give this code-51 row; at least one."""
    found = [centre for centre in participant.centres[year] if centre.number == number]
    if not found:
        raise participant.missing(
            "nlstx", year, code="E06",
            message=f"no centre list places abnormality {number} at T{year}, and NLST recorded no x, y")
    placed = [centre for centre in found if centre.is_placed] or found
    _check_place(placed[0], f"abnormality {number} at T{year}")
    return placed


def _follow_up(participant: Participant, before: dict) -> tuple[Listed, Listed, dict, str]:
    """Centres at T0 and T1, the row at T1, and the tier: A by a list's identity, B by one row a year and lobe."""
    starts = _centres(participant, 0, before["sct_ab_num"])
    rows = participant.nodules[1]
    found = next(((start, end) for start in starts if (end := participant.again(start))), None)
    if found is not None:
        start, end = found
        if end.number is None:
            _check_place(end, f"lesion {end.lesion} at T1")
            return start, end, None, "C"
        if end.number not in rows:
            raise participant.missing("abnormalities", 1, end.number, code="E11",
                                      message=f"the list names abnormality {end.number} at T1, no code-51 row")
        return start, _centres(participant, 1, end.number)[0], rows[end.number], "A"
    n_before = len(participant.nodules[0])
    if len(rows) != 1 or n_before != 1:
        raise RefusedError("E11", f"{n_before} code-51 rows at T0 and {len(rows)} at T1; "
                                  "without a list that links them, one in each year is needed")
    (number, after), = rows.items()
    lobe = merged_lobe(before["sct_epi_loc"])
    if lobe is None or lobe != merged_lobe(after["sct_epi_loc"]):
        raise RefusedError("E11", f"lobe {before['sct_epi_loc']} at T0 and {after['sct_epi_loc']} at T1")
    if participant.preexist[1].get(number) not in PREEXISTING:
        raise RefusedError("E11", f"the comparison read does not call abnormality {number} at T1 pre-existing")
    return starts[0], _centres(participant, 1, number)[0], after, "B"
