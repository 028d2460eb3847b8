"""What counts as a sound object, and what the record of a folder keeps."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from namd.data.open.bucket import AbsentError, Stored
from namd.data.open.index import Row
from namd.data.open.series import Held, Job, _sound

JOB = Job(Row("1.2", "100001", 1, 4, "bucket", "uuid", "CC BY 4.0"), Path("dicom/100001/1.2"), (2,))
OF_PARTS = "0" * 32 + "-3"
ENCRYPTED = "0" * 32                # looks like an MD5 and is none of the object
MD5 = hashlib.md5(b"good").hexdigest()


def sound(etag, *answers):
    """What is taken of an object of four bytes, and how often it was read."""
    left = list(answers)
    buckets = SimpleNamespace(whole=lambda bucket, one: left.pop(0))
    return _sound(Stored("uuid/a.dcm", 4, etag), JOB, buckets), len(answers) - len(left)


@pytest.mark.parametrize("etag, answers, n_reads", [
    (MD5, [b"good"], 1), (MD5, [b"gold", b"good"], 2), (OF_PARTS, [b"good"], 1), (OF_PARTS, [b"goo", b"good"], 2),
    (ENCRYPTED, [b"good", b"good"], 2), (ENCRYPTED, [b"gold", b"good", b"good"], 3)])
def test_an_object_is_taken_by_its_size_and_its_sum_or_when_it_comes_twice_the_same(etag, answers, n_reads):
    assert sound(etag, *answers) == (b"good", n_reads)


@pytest.mark.parametrize("etag, answers", [
    (MD5, [b"gold", b"bold", b"cold"]), (OF_PARTS, [b"goo"] * 3), (ENCRYPTED, [b"gold", b"bold", b"cold"]),
    (ENCRYPTED, [b"goo"] * 3), (OF_PARTS, [b"good!"] * 3)])
def test_an_object_that_stays_damaged_is_not_taken(etag, answers):
    with pytest.raises(AbsentError, match="uuid/a.dcm arrives damaged, 3 times"):
        sound(etag, *answers)


def test_a_record_keeps_what_was_fetched_for_other_nodules():
    old, new = dict(bytes=1, md5="0" * 32), dict(bytes=2, md5="1" * 32)
    held = Held("uuid", [7], {"b.dcm": old}).with_job(JOB, {"a.dcm": new})
    assert held == Held("uuid", [2, 7], {"a.dcm": new, "b.dcm": old}) and held.answers(JOB)
    assert not Held("uuid", [7], {"b.dcm": old}).answers(JOB) and not Held("uuid", [2], {}).answers(JOB)
