"""The counts of a cohort: which pairs a header makes doubtful, and how many nodules are lost to their images."""

from types import SimpleNamespace

import pandas as pd
import pytest

from namd.data.nlst.outcome import counts_of, lost
from namd.data.refused import Refused

WHOLE = dict(patient_id="100001", split="train", label=0, t0_lossy=False, t1_lossy=False, t0_body_part="CHEST",
             t1_body_part="", t0_padding=pd.NA, t1_padding=pd.NA)


def counted(refused=(), **changed):
    """Counts of one sound pair and one that differs in `changed`."""
    return counts_of(SimpleNamespace(counts={}), pd.DataFrame([WHOLE, WHOLE | changed]), list(refused))


@pytest.mark.parametrize("time", ["t0", "t1"])
@pytest.mark.parametrize(("column", "value", "flag"), [
    ("lossy", True, "lossy"), ("padding", -2000, "padding"), ("body_part", "BRAIN", "other_body_part")])
def test_either_scan_makes_a_pair_doubtful(time, column, value, flag):
    doubtful = counted(**{f"{time}_{column}": value})["doubtful"]
    assert doubtful == dict(lossy=0, other_body_part=0, padding=0) | {flag: 1}
    assert not any(counted()["doubtful"].values())


def test_a_series_that_was_never_fetched_is_not_lost_to_its_image():
    refused = [Refused("a", "fetch", "E15", "not there"), Refused("b", "series", "E15", "no CT"),
               Refused("c", "link", "E10", "new")]
    counts = counted(refused)
    assert counts["refused_for_images"] == 1 and counts["nodules_refused"] == 3


@pytest.mark.parametrize(("n", "largest", "is_lost"), [(0, 0, False), (1, 0, True), (1, .5, False), (2, .5, True)])
def test_a_share_as_large_as_allowed_is_no_loss(n, largest, is_lost):
    said = lost(dict(refused_for_images=n, pairs=1), largest)
    assert bool(said) is is_lost and (not is_lost or f"{n} of {n + 1} nodules" in said)
