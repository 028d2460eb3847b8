"""What the readers say of the series of two participants, 100001 and 100002, below one folder."""

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from small_delivery import CENTRE, POINT

from namd.data.dicom.nodule import read_nodule_at
from namd.data.dicom.series import index_series
from namd.data.nlst.centres import Listed
from namd.data.nlst.crops import Scan
from namd.data.nlst.pieces import read_both
from namd.ground.errors import UserError


def read(root):
    """What the reader says of both participants: None for a pair, else the refusal."""
    index = index_series(root, 1)
    return [read_both(scan(root, pid, 0, index), scan(root, pid, 1, index)).refusal for pid in (100001, 100002)]


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


def rewrite(folder, **stored):
    """Replace elements of every file of a folder by bytes that nobody checked; None deletes one."""
    for file in folder.iterdir():
        ds = pydicom.dcmread(file)
        for name, value in stored.items():
            tag = Tag(name)
            if value is None:
                del ds[tag]
            else:
                ds[tag] = raw_element(tag, value)
        ds.save_as(file)


def raw_element(tag, value):
    """An element that pydicom has not looked at yet."""
    return RawDataElement(tag, dictionary_VR(tag).split(" ")[0], len(value), value, 0, False, True)
