"""All that the tables of a delivery say of one participant, in one place."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from namd.data.codes import NODULE_CODE
from namd.data.nlst.centres import Listed
from namd.data.nlst.lists import listed
from namd.data.nlst.tables import Tables, records


@dataclass
class Participant:
    """One participant over the years; a row is a dictionary with None for what is missing."""

    pid: int
    person: dict | None = None                      # row of the participant table
    has_person: bool = False                        # that table names the participant, if only in a refused row
    has_cancer: bool = False                        # the cancer table does; refused rows count, so never benign
    diagnosis_day: int | None = None                # of the first cancer
    nodules: dict[int, dict[int, dict]] = field(default_factory=lambda: {0: {}, 1: {}})    # year -> sct_ab_num -> row
    centres: dict[int, list[Listed]] = field(default_factory=lambda: defaultdict(list))    # year -> centres
    preexist: dict[int, int | None] = field(default_factory=dict)    # sct_ab_num at T1 -> the comparison's code


def participants(tables: Tables) -> dict[int, Participant]:
    """Everybody whom a code-51 row or a centre list names, by pid in ascending order."""
    everybody: dict[int, Participant] = {}

    def of(pid):
        return everybody.setdefault(pid, Participant(pid))

    rows = tables.kept["abnormalities"]
    is_nodule = (rows.sct_ab_desc == NODULE_CODE).fillna(False)
    for row in records(rows[is_nodule & rows.study_yr.isin([0, 1])]):
        of(row["pid"]).nodules[row["study_yr"]][row["sct_ab_num"]] = row
    alone = Counter((centre.pid, centre.year, centre.source) for centre in set(listed(tables)))
    for centre in listed(tables):
        numbers = list(of(centre.pid).nodules.get(centre.year, {}))
        if centre.source != "nlstx" and len(numbers) == 1 and alone[centre.pid, centre.year, centre.source] == 1:
            centre = replace(centre, number=numbers[0])
        of(centre.pid).centres[centre.year].append(centre)
    _add_the_rest(everybody, tables)
    return dict(sorted(everybody.items()))


def _add_the_rest(everybody: dict[int, Participant], tables: Tables) -> None:
    """What the other tables say of those in `everybody`."""
    for row in _known(tables.kept["participant"], everybody):
        everybody[row["pid"]].person = row
    comparison = tables.kept["comparison"]
    for row in _known(comparison[comparison.study_yr == 1], everybody):
        everybody[row["pid"]].preexist[row["sct_ab_num"]] = row["sct_ab_preexist"]
    cancer = tables.kept["cancer"]
    for row in _known(cancer[(cancer.first_lc == 1).fillna(False)], everybody):
        everybody[row["pid"]].diagnosis_day = row["candx_days"]
    for pid, participant in everybody.items():
        participant.has_person = pid in tables.named["participant"]
        participant.has_cancer = pid in tables.named["cancer"]


def _known(table, everybody) -> list[dict]:
    """Rows of those in `everybody`."""
    return records(table[table.pid.isin(list(everybody))])
