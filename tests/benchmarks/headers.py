"""`python -m namd benchmark headers`: the headers of a series, ordered and checked, against a plain loop of pydicom."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import torch

from namd.data.dicom.header import Header
from namd.data.dicom.series import read_series
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import draw_cohort, first_scan, nodule_at
from namd.data.phantom.dicom_writer import screen, write_series
from namd.data.phantom.scanner import acquire
from namd.ground.seeding import numpy_rng
from namd.study.benchmark import Pair

N_SLICES = 150
USED = ("SOPInstanceUID", "SeriesInstanceUID", "Modality", "InstanceNumber", "ImagePositionPatient",
        "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
ROOM = tempfile.TemporaryDirectory(prefix="namd-headers-")     # gone with the process


def pairs(device, size=""):
    """A series of NLST's size written by the phantom; both ways give the positions of its slices from the feet up."""
    if device.type != "cpu":
        return
    folder = Path(ROOM.name) / "series"
    if not folder.is_dir():
        _write(folder)
    files = sorted(folder.iterdir())

    def plain(_):
        return torch.tensor(sorted(_position(pydicom.dcmread(file, stop_before_pixels=True)) for file in files))

    def read_only(_):
        for file in files:
            pydicom.dcmread(file, stop_before_pixels=True)
        return torch.zeros(1)

    def headers(_):
        for file in files:
            Header(file)
        return torch.zeros(1)

    yield Pair(f"{N_SLICES} headers, read", read_only, headers)
    yield Pair(f"{N_SLICES} headers, used", plain,
               lambda _: torch.tensor([item.along for item in read_series(folder).slices]))


def _position(ds) -> float:
    """Where a slice lies, mm; every attribute of USED is converted, as whoever orders and checks a series must."""
    for name in USED:
        ds.get(name)
    return float(ds.ImagePositionPatient[2])


def _write(folder) -> None:
    """A series of N_SLICES slices of one phantom participant."""
    row = draw_cohort(1, 1, .45, .8, "none").reset_index().to_dict("records")[0]
    protocol, place = first_scan(row, 1)
    z = (np.arange(N_SLICES) - N_SLICES // 2) * 2.0
    one = acquire(draw_anatomy(row, 1, row["subject"]), nodule_at(row, 0), 0, protocol, place, z[:1], numpy_rng("h"))
    scan = replace(one, hu=np.repeat(one.hu, N_SLICES, axis=0), z=z)
    write_series(folder, scan, protocol, row["patient_id"], screen(protocol, 0), keys=(1, "headers"))
