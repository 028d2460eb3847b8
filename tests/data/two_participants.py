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

    def scan(pid, year):
        uid = f"1.2.{pid}.{year}"
        return Scan(index.get(uid, []), pid, year, Listed(pid, year, uid, "nlstx", "0", instance=20, pixel=CENTRE))

    return [read_pair(scan(pid, 0), scan(pid, 1)).refusal for pid in (100001, 100002)]


def sentence(folder):
    """What `predict` says of a series; empty where it reads."""
    try:
        read_nodule_at(folder, POINT)
    except UserError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""
