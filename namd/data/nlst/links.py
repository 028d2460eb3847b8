"""The same nodule at T0 and T1: tier A by a centre list, tier B by one row a year; each refusal with its reason."""

from dataclasses import dataclass

from namd.data.nlst.centres import Listed
from namd.data.nlst.labels import label_nodule, merged_lobe
from namd.data.nlst.participants import Participant, participants
from namd.data.nlst.tables import Tables
from namd.data.refused import Refused, RefusedError

XRAY_ARM = 2                            # rndgroup
NEW = 1                                 # sct_ab_preexist
PREEXISTING = (1, 2)


@dataclass(frozen=True)
class Link:
    """One nodule of T0, found again at T1 and labelled; a row is a dictionary with None for what is missing."""

    pid: int
    number: int                         # sct_ab_num at T0; NLST numbers anew each year
    person: dict                        # row of the participant table
    before: dict                        # row of the abnormality table at T0
    after: dict                         # and at T1
    start: Listed                       # where a list puts the nodule at T0
    end: Listed                         # and at T1
    tier: str                           # A or B
    interval_days: int | None           # from T0 to T1
    label: int                          # 1 for malignant

    @property
    def nodule_id(self) -> str:
        """Name of the nodule in the cohort."""
        return f"{self.pid:06d}-{self.number}"


def link_nodules(tables: Tables, label_days: int) -> tuple[list[Link], list[Refused]]:
    """Every nodule at T0 either linked to T1 and labelled, or refused.

    Args:
        tables: checked tables of a delivery.
        label_days: longest time, in days, from the baseline screen to a diagnosis that still counts.

    Returns:
        Linked nodules, and refused ones. A nodule at T0 is a code-51 row, or a row of a centre list that names no
        such row.

    Source: ours; NLST numbers abnormalities anew each year, so sct_ab_num never links years.
    """
    everybody = participants(tables)
    linked = []
    refused = []
    for pid, participant in everybody.items():
        for number in sorted(participant.nodules[0]):
            try:
                linked.append(_link(participant, number, label_days))
            except RefusedError as error:
                refused.append(Refused(f"{pid} T0 nodule {number}", "link", error.code, error.message))
    for pid, participant in everybody.items():
        for centre in participant.centres[0]:
            if centre.number not in participant.nodules[0]:
                refused.append(Refused(
                    f"{pid} T0 {centre.source} lesion {centre.lesion}", "link", "E11",
                    f"the list names abnormality {centre.number}, which is no single code-51 row at T0"))
    return linked, refused


def _link(participant: Participant, number: int, label_days: int) -> Link:
    """One nodule through all rules, in the order of the reasons."""
    pid = participant.pid
    person = participant.person
    if person is None:
        why = ", for its row was refused" if participant.has_person else ""
        raise RefusedError("E08", f"participant {pid} is not in the participant table{why}")
    if person.get("rndgroup") == XRAY_ARM:
        raise RefusedError("E08", f"participant {pid} is in the X-ray arm (rndgroup 2)")
    before = participant.nodules[0][number]
    start, end, after, tier = _follow_up(participant, before)
    if before["repeated"] or after["repeated"] or person["repeated"] or start.repeated or end.repeated:
        raise RefusedError("E03", f"two differing rows name {pid} nodule {number}; only one of them can be right")
    if participant.preexist.get(after["sct_ab_num"]) == NEW:
        raise RefusedError("E10", f"the comparison read calls nodule {after['sct_ab_num']} at T1 new (preexist = 1)")
    interval_days = _interval_days(person)
    marks = {centre.malignant for centre in (start, end) if centre.malignant is not None}
    return Link(pid=pid, number=number, person=person, before=before, after=after, start=start, end=end, tier=tier,
                interval_days=interval_days, label=label_nodule(participant, before, marks, label_days))


def _interval_days(person: dict) -> int | None:
    """Days from the screen at T0 to that at T1; None where one of them is unknown."""
    first = person["scr_days0"]
    second = person["scr_days1"]
    if first is None or second is None:
        return None
    if second <= first:
        raise RefusedError("E12", f"screened on day {first:.0f} at T0 and on day {second:.0f} at T1")
    return int(second - first)


def _centres(participant: Participant, year: int, number: int) -> list[Listed]:
    """The centres the lists give this code-51 row; at least one."""
    found = [centre for centre in participant.centres[year] if centre.number == number]
    if not found:
        raise RefusedError("E06", f"no centre list places abnormality {number} at T{year}, and NLST recorded no x, y")
    placed = [centre for centre in found if centre.is_placed]
    if not placed:
        raise RefusedError("E06", f"the slice number or box of abnormality {number} at T{year} is blank or 999")
    if not placed[0].uid:
        raise RefusedError("E06", f"the centre list names no series for abnormality {number} at T{year}")
    return placed


def _follow_up(participant: Participant, before: dict) -> tuple[Listed, Listed, dict, str]:
    """Centres at T0 and T1, the row at T1, and the tier: A by a list's identity, B by one row a year and lobe."""
    starts = _centres(participant, 0, before["sct_ab_num"])
    rows = participant.nodules[1]
    found = _same_lesion(participant, starts)
    if found is not None:
        start, number = found
        if number not in rows:
            raise RefusedError("E11", f"the list names abnormality {number} at T1, no code-51 row")
        return start, _centres(participant, 1, number)[0], rows[number], "A"
    n_before = len(participant.nodules[0])
    if len(rows) != 1 or n_before != 1:
        raise RefusedError("E11", f"{n_before} code-51 rows at T0 and {len(rows)} at T1; "
                                  "without a list that links them, one in each year is needed")
    (number, after), = rows.items()
    lobe = merged_lobe(before["sct_epi_loc"])
    if lobe is None or lobe != merged_lobe(after["sct_epi_loc"]):
        raise RefusedError("E11", f"lobe {before['sct_epi_loc']} at T0 and {after['sct_epi_loc']} at T1")
    if participant.preexist.get(number) not in PREEXISTING:
        raise RefusedError("E11", f"the comparison read does not call abnormality {number} at T1 pre-existing")
    return starts[0], _centres(participant, 1, number)[0], after, "B"


def _same_lesion(participant: Participant, starts: list[Listed]) -> tuple[Listed, int | None] | None:
    """The first of `starts` that its list names at T1 too, and the abnormality number it has there."""
    for start in starts:
        for end in participant.centres[1]:
            if end.source == start.source and end.lesion == start.lesion:
                return start, end.number
    return None
