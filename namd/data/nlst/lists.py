"""The public lists of nodules: NLSTx, LUNA25's public table, GM-AE's original coordinates, IDC's Sybil boxes."""

from namd.data.codes import CENTRE_LISTS
from namd.data.nlst.boxes import read_boxes
from namd.data.nlst.centres import ROWS, Listed
from namd.data.nlst.tables import Tables, check_files, read_files, records
from namd.data.refused import Refused

LICENCES = {"nlstx": "MIT", "luna25": None, "gmae": "Apache-2.0", "sybil": "CC BY 4.0"}     # None: not found


def read_lists(folder) -> tuple[list[Listed], list[Refused]]:
    """Every nodule that the lists of a folder place, and every row or report of theirs that cannot be used.

    Args:
        folder: CSV lists directly in it, known by their columns; DICOM reports in folders below, or in it. Other
            tables are passed over; a file that is no table at all is refused.

    Returns:
        Listed nodules in the order of the sources, one a nodule and year, and what was refused (E01 to E09, E17).

    Raises:
        UserError: most rows of a list are refused, so that it must be exported again.

    Source: ours, because the three lists and the boxes together have more subjects than the paper.
    """
    tables = Tables()
    files = [file for file in read_files(folder) if file.kind in CENTRE_LISTS or file.refusal]
    check_files(files, tables)
    tables.boxes, refused = read_boxes(folder)
    found = listed(tables)
    refused = tables.refused + refused
    refused += [Refused(f"{nodule.source}: {nodule.pid} T{nodule.year} lesion {nodule.lesion}", "tables", "E06",
                        "the list gives no series" if nodule.is_placed else "the list gives no whole place",
                        nodule.source, nodule.row)
                for nodule in found if not _is_usable(nodule)]
    return [nodule for nodule in found if _is_usable(nodule)], refused


def _is_usable(nodule: Listed) -> bool:
    """Whether the source names both series and place."""
    return nodule.is_placed and bool(nodule.uid)


def listed(tables: Tables) -> list[Listed]:
    """The nodules of every list of a delivery, also without a place or series, each row once."""
    found = []
    for kind in CENTRE_LISTS:
        found += map(ROWS[kind], records(tables.kept.get(kind)))
    return found + tables.boxes
