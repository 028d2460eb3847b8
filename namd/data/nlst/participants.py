"""All that the tables of a delivery say of one participant, in one place."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from namd.data.codes import INTERVAL_DAYS, NODULE_CODE, SCREEN_DAYS, YEARS
from namd.data.nlst.centres import Listed
from namd.data.nlst.lists import listed
from namd.data.nlst.rows import UNREADABLE, Fault
from namd.data.nlst.tables import Tables, records
from namd.data.refused import RefusedError


def _a_year() -> dict[int, dict]:
    """Nothing yet for each study year."""
    return {year: {} for year in YEARS}


@dataclass
class Participant:
    """One participant over the years; a row is a dictionary with None for what is missing."""

    pid: int
    person: dict | None = None                      # row of the participant table
    causes: dict[tuple, Fault] = field(default_factory=dict)    # (kind, *key) of a refused row of anybody -> why
    has_cancer: bool = False                        # the cancer table does; refused rows count, so never benign
    diagnosis_day: int | None = None                # of the first cancer
    clashes: set = field(default_factory=set)       # what two differing rows tell: "cancer", or (year, sct_ab_num)
    nodules: dict[int, dict[int, dict]] = field(default_factory=_a_year)    # year -> sct_ab_num -> row
    centres: dict[int, list[Listed]] = field(default_factory=lambda: defaultdict(list))    # year -> centres
    preexist: dict[int, dict[int, int | None]] = field(default_factory=_a_year)     # the same -> its code

    def missing(self, kind: str, *rest, code: str, message: str) -> RefusedError:
        """Why a row of the participant is not there: what it was refused for, else `code` and `message`."""
        cause = self.causes.get((kind, self.pid, *rest))
        return RefusedError(cause.code, cause.message) if cause else RefusedError(code, message)

    def lesions(self, year: int) -> list[Listed]:
        """What the lists name in a year, once each, in the order of the lists."""
        found = {}
        for centre in self.centres[year]:
            found.setdefault((centre.source, centre.lesion), []).append(centre)
        return [_usable(several) for several in found.values()]

    def again(self, centre: Listed) -> Listed | None:
        """The same lesion of the same list a year later."""
        later = [other for other in self.centres[centre.year + 1]
                 if (other.source, other.lesion) == (centre.source, centre.lesion)]
        return _usable(later) if later else None

    def row(self, centre: Listed) -> dict | None:
        """The code-51 row whose number a list names."""
        return self.nodules[centre.year].get(centre.number)

    def said(self, number: int) -> tuple[str, str, str]:
        """Name, source and row in refused.csv of a row of T0: the list that places it, else the table it stands in."""
        name = row_id(self.pid, 0, number)
        lists = [centre for centre in self.centres[0] if centre.number == number]
        if lists:
            return name, *lists[0].said[1:]
        return name, "abnormalities", self.nodules[0][number]["_row"]

    def is_unnamed(self, number: int) -> bool:
        """Whether no list names this row of T0 by its number."""
        return all(centre.number != number for centre in self.centres[0])

    def interval_days(self, year: int) -> int | None:
        """Days from the screen of a year to the next one's; None where one of them is unknown.

        Raises:
            RefusedError: E04 a day that no screen can be on, E12 screens that are not about a year apart.

        Source: ours, with room around a yearly screen; no open table has scr_days and could say how far NLST's reach.
        """
        first, second = (self._screen_day(when) for when in (year, year + 1))
        if first is None or second is None:
            return None
        if second <= first:
            raise RefusedError("E12", f"screened on day {first:.0f} at T{year} and on day {second:.0f} at T{year + 1}")
        low, high = INTERVAL_DAYS
        if not low <= second - first <= high:
            raise RefusedError("E12", f"T{year + 1} is {second - first} days after T{year}, not {low} to {high}")
        return int(second - first)

    def _screen_day(self, year: int) -> int | None:
        """Day of the screen of a year; None where it is unknown."""
        name = f"scr_days{year}"
        day = self.person.get(name)
        unreadable = self.person.get(name + UNREADABLE)
        if unreadable:
            raise RefusedError("E04", f"{unreadable} (participant: {self.person['_row']})")
        low, high = SCREEN_DAYS
        if day is not None and not low <= day <= high:
            raise RefusedError("E04", f"{name} = {day} is not in {low} to {high} days")
        return day

    def name(self, centre: Listed) -> str:
        """Name of a lesion over the years: its number at T0 where a list tells it, else the list's own name."""
        first = [other for other in self.centres[0] if (other.source, other.lesion) == (centre.source, centre.lesion)]
        number = first[0].number if first else None
        if number is not None:
            return str(number)
        return f"{centre.source}-{centre.lesion.removeprefix(f'{self.pid}_').replace(' ', '-')}"


def row_id(pid: int, year: int, number: int | None) -> str:
    """Name in refused.csv of a row of the abnormality table."""
    return f"{pid} T{year} nodule {number}"


def _usable(several: list[Listed]) -> Listed:
    """The first with a place and a series, of one or more that one list gives of a lesion in a year."""
    return next((centre for centre in several if centre.is_placed and centre.uid), several[0])


def participants(tables: Tables) -> dict[int, Participant]:
    """Everybody whom a code-51 row or a centre list names, by pid in ascending order."""
    everybody: dict[int, Participant] = {}

    def of(pid):
        return everybody.setdefault(pid, Participant(pid))

    rows = tables.kept["abnormalities"]
    is_nodule = (rows.sct_ab_desc == NODULE_CODE).fillna(False)
    for row in records(rows[is_nodule]):
        of(row["pid"]).nodules[row["study_yr"]][row["sct_ab_num"]] = row
    for centre in listed(tables):
        of(centre.pid).centres[centre.year].append(centre)
    for participant in everybody.values():
        _number_the_lonely(participant)
    _add_the_rest(everybody, tables)
    return dict(sorted(everybody.items()))


def _number_the_lonely(participant: Participant) -> None:
    """Give the only row of a year to the only lesion that a list names there, where it names it in no other year."""
    years = Counter()
    for centres in participant.centres.values():
        years.update((centre.source, centre.lesion) for centre in centres)
    for year in (0, 1):
        centres = participant.centres[year]
        lesions = Counter(centre.source for centre in centres)
        for i, centre in enumerate(centres):
            is_alone = len(participant.nodules[year]) == lesions[centre.source] == 1
            if is_alone and centre.source != "nlstx" and years[centre.source, centre.lesion] == 1:
                number, = participant.nodules[year]
                centres[i] = replace(centre, number=number)


def _add_the_rest(everybody: dict[int, Participant], tables: Tables) -> None:
    """What the other tables say of those in `everybody`."""
    for row in _known(tables.kept["participant"], everybody):
        everybody[row["pid"]].person = row
    comparison = tables.kept["comparison"]
    for row in _known(comparison, everybody):
        everybody[row["pid"]].preexist[row["study_yr"]][row["sct_ab_num"]] = row["sct_ab_preexist"]
        if row["repeated"]:
            everybody[row["pid"]].clashes.add((row["study_yr"], row["sct_ab_num"]))
    cancer = tables.kept["cancer"]
    for row in _known(cancer[(cancer.first_lc == 1).fillna(False)], everybody):
        participant = everybody[row["pid"]]
        if row["repeated"] or participant.diagnosis_day not in (None, row["candx_days"]):
            participant.clashes.add("cancer")
        participant.diagnosis_day = row["candx_days"]
    for pid, participant in everybody.items():
        participant.causes = tables.causes
        participant.has_cancer = pid in tables.named["cancer"]


def _known(table, everybody) -> list[dict]:
    """Rows of those in `everybody`."""
    return records(table[table.pid.isin(list(everybody))])
