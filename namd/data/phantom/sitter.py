"""One phantom subject before the scanner, as often as one likes: the same body, whatever nodule is put into it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from namd.data.dicom.pixels import resample_crop
from namd.data.phantom.anatomy import draw_anatomy
from namd.data.phantom.delivery import first_scan, nodule_at
from namd.data.phantom.growth import draw_follow_up
from namd.data.phantom.law import draw_subjects
from namd.data.phantom.scanner import acquire, slice_offsets
from namd.data.phantom.visit import TrueNodule
from namd.data.report import EHR
from namd.ground.seeding import numpy_rng

WIDEST_MM = 28.         # thick vessels keep this far away, so that any nodule fits in


@dataclass(frozen=True)
class Sitter:
    """A phantom subject of the law, by its seed and number.

    Source: ours, because a picture of one subject should not need a delivery of thousands.
    """

    seed: int
    subject: int

    @cached_property
    def row(self) -> dict:
        """What the law drew: the record, the true nodule at T0 and T1 (`t1_...`), risk and label."""
        rows = draw_subjects(1, self.seed, first=self.subject)
        return rows.join(draw_follow_up(rows, self.seed)).reset_index().to_dict("records")[0]

    @cached_property
    def body(self):
        """The anatomy around the nodule, with room for the largest one."""
        return draw_anatomy(self.row | {"longest_mm": WIDEST_MM}, self.seed, self.subject)

    def nodule(self, year=0, **other) -> TrueNodule:
        """The nodule at T0 or T1; `other`: longest, attenuation or margin that it should have instead.

        With another longest diameter (mm) the ratio of the two diameters stays.
        """
        own = nodule_at(self.row, year)
        longest = other.pop("longest", own.longest)
        return replace(own, longest=longest, perpendicular=own.perpendicular * longest / own.longest, **other)

    def record(self, **other) -> pd.DataFrame:
        """The record at T0 as a table of one line, diameters in whole mm as readers write them; `other`: changed."""
        own = {name: self.row.get(name) for name in EHR}
        longest = other.get("sct_long_dia", self.row["longest_mm"])
        ratio = self.row["perpendicular_mm"] / self.row["longest_mm"]
        own |= {"sct_long_dia": float(round(longest)), "sct_perp_dia": float(round(longest * ratio))}
        return pd.DataFrame([own | other], index=[f"sitter {self.seed} {self.subject}"])

    def crop(self, nodule: TrueNodule, year=0) -> np.ndarray:
        """The slice through `nodule`, (128, 128) int16 HU on 0.6 mm, as notebook 01 would cut it."""
        protocol, place = first_scan(self.row, self.seed)
        rng = numpy_rng(self.seed, "scan", self.subject, year)
        seen = acquire(self.body, nodule, year, protocol, place, slice_offsets(protocol), rng)
        return resample_crop(seen.hu[len(seen.hu) // 2], protocol.spacing, seen.centre_px)
