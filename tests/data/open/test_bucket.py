"""Anonymous reads: what is waited for, what is refused, and what a listing may be."""

import pytest
from stand_in import DATA, answering

from namd.data.open import bucket
from namd.data.open.bucket import AbsentError, Buckets, Stored, _listing
from namd.ground.errors import UserError

SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
ITEM = '<Contents><Key>a/1.dcm</Key><Size>12</Size><ETag>"abc"</ETag></Contents>'


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_faults_and_broken_answers_are_tried_again(status):
    with answering((status, b""), (206, b"half"), (200, b"whole")) as (address, calls):
        assert Buckets().get(address, 100) == b"whole"
    assert len(calls) == 3


def test_a_fault_that_stays_is_one_sentence():
    with answering((503, b"")) as (address, calls), pytest.raises(UserError, match="cannot be reached .status 503."):
        Buckets().get(address, 100)
    assert len(calls) == 1 + len(bucket.WAITS)


@pytest.mark.parametrize("status, error, words", [
    (404, AbsentError, "is not there"), (403, UserError, "denies access to"),
    (301, UserError, "answers with status 301")])
def test_what_does_not_pass_is_not_tried_again(status, error, words):
    with answering((status, b"")) as (address, calls), pytest.raises(error, match=words):
        Buckets().get(address + "/x", 100)
    assert len(calls) == 1


@pytest.mark.parametrize("place", ["http://[bad", "ftp://a/", "//\x1b[2J"])
def test_an_answer_that_sends_on_to_no_address_is_one_line(place):
    with answering((302, b"", ("Location", place))) as (address, _), pytest.raises(UserError) as caught:
        Buckets().get(address, 100)
    assert "cannot be reached" in str(caught.value) and str(caught.value).isprintable()


def test_no_more_is_read_than_asked_for(idc):
    with answering((200, b"x" * 10**6)) as (address, _):
        assert Buckets().get(address, 1000) == b"x" * 1000
    idc.put("some/one", bytes(range(200)) * 40)
    stored, = Buckets().objects(DATA, "some/")
    assert (stored.size, stored.name) == (8000, "one")
    assert Buckets().start(DATA, stored, 300) == (bytes(range(200)) * 2)[:300]
    idc.delete("some/one")


def test_a_listing_goes_on_over_its_pages(idc, monkeypatch):
    for i in range(5):
        idc.put(f"many/{i}", b"x")
    get = Buckets.get
    monkeypatch.setattr(Buckets, "get", lambda self, *given, params=None, **asked: get(
        self, *given, params=params | {"max-keys": "2"}, **asked))
    assert [one.name for one in Buckets().objects(DATA, "many/")] == list("01234")
    for i in range(5):
        idc.delete(f"many/{i}")


@pytest.mark.parametrize("text", [
    b"", b"<html>sign in</html>", b"<a><b></a>",
    f"<ListBucketResult {SPACE}><Contents><Key>a/1</Key></Contents></ListBucketResult>".encode(),
    f"<ListBucketResult {SPACE}>{ITEM.replace('12', 'x')}</ListBucketResult>".encode(),
    f"<ListBucketResult {SPACE}>{ITEM.replace('a/1', '../1')}</ListBucketResult>".encode(),
    f'<!DOCTYPE x [<!ENTITY e "eeee">]><ListBucketResult {SPACE}>{ITEM}</ListBucketResult>'.encode()])
def test_what_is_no_listing_is_refused(text):
    with pytest.raises(UserError, match="is no listing of a bucket"):
        _listing(text, "a/")


def test_a_listing_gives_key_size_and_sum():
    page, token = _listing(f"<ListBucketResult {SPACE}>{ITEM}<NextContinuationToken>t</NextContinuationToken>"
                           "</ListBucketResult>".encode(), "a/")
    assert page == [Stored("a/1.dcm", 12, "abc")] and token == "t"


@pytest.mark.parametrize("text", [
    "localhost:9000", "file:///etc", "http://", "http://[::1", "http://a:99999", "http://a:0", "http://a/?b=c", "s3://a"])
def test_an_endpoint_that_is_no_address_is_refused(monkeypatch, text):
    monkeypatch.setenv("NAMD_OPEN_ENDPOINT", text)
    with pytest.raises(UserError, match="NAMD_OPEN_ENDPOINT is .*: write an address such as https://") as caught:
        Buckets()
    assert text.rstrip("/") in str(caught.value)
