"""What the readers say of the series of two participants, 100001 and 100002, below one folder."""

from small_delivery import CENTRE, SPACING

from namd.data.dicom.nodule import read_nodule_at
from namd.data.dicom.series import index_series
from namd.data.nlst.centres import Listed
from namd.data.nlst.crops import Scan, read_pair
from namd.ground.errors import UserError

POINT = (-40 + CENTRE[0] * SPACING, -30 + CENTRE[1] * SPACING, 0.0)


def read(root):
    """What `read_pair` says of both participants: None for a pair, else the refusal."""
    index = index_series(root, 1)
    return [read_pair(scan(root, pid, 0, index), scan(root, pid, 1, index)).refusal for pid in (100001, 100002)]


def scan(root, pid, year, index=None):
    """The scan of a participant's year below `root`, by the index of its series."""
    uid = f"1.2.{pid}.{year}"
    folders = (index_series(root, 1) if index is None else index).get(uid, [])
    return Scan(folders, pid, year, Listed(pid, year, uid, "nlstx", "0", instance=20, pixel=CENTRE))


def sentence(folder):
    """What `predict` says of a series; empty where it reads."""
    try:
        read_nodule_at(folder, POINT)
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""
