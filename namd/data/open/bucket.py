"""Anonymous reads of public buckets by HTTPS: list a prefix, the start of an object, a whole one."""

import os
import threading
from dataclasses import dataclass
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import requests

from namd.data.refused import one_line
from namd.ground.errors import UserError

AMAZON = "https://s3.amazonaws.com"
ENDPOINT = "NAMD_OPEN_ENDPOINT"         # environment variable: another server of the same kind
WAITS = (0.5, 1, 2, 4, 8)               # seconds between tries
TIMEOUT = (10, 60)                      # seconds to connect, and of silence
PASSING = {408, 429, 500, 502, 503, 504}
LONGEST_LIST = 16 << 20                 # bytes of one page of a listing
CHUNK = 1 << 18


class AbsentError(UserError):
    """An object, a series or a table that is not there or not as it should be; the others can be had all the same."""


class StoppedError(Exception):
    """Another thread has met what ends the work."""


@dataclass(frozen=True)
class Stored:
    """One object of a bucket: its key, its size in bytes, and its ETag, which is its MD5 where it came in one part."""

    key: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


class Buckets:
    """The public buckets behind one endpoint, for several threads.

    Args:
        stop: once set, waits and reads end with StoppedError.
        read: called with the number of bytes as they arrive.

    Source: ours; the S3 REST interface (ListObjectsV2, GetObject) without a signature.
    """

    def __init__(self, stop: threading.Event | None = None, read=lambda n_bytes: None):
        self.endpoint = (os.environ.get(ENDPOINT) or AMAZON).rstrip("/")
        if not _is_address(self.endpoint):
            raise UserError(f"{ENDPOINT} is {one_line(self.endpoint)}: write an address such as {AMAZON}.")
        self.stop = stop or threading.Event()
        self._read = read
        self._own = threading.local()

    def objects(self, bucket: str, prefix: str) -> list[Stored]:
        """All objects whose key begins with `prefix`, in the order of keys.

        Raises:
            UserError: the server is out of reach, refuses, or answers what is no listing.
        """
        found = []
        token = None
        while True:
            asked = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
            page, token = _listing(self.get(f"{self.endpoint}/{bucket}", LONGEST_LIST, params=asked), prefix)
            found += page
            if not (token and page):
                return found

    def start(self, bucket: str, stored: Stored, n_bytes: int) -> bytes:
        """The first `n_bytes` of an object, or all of a shorter one."""
        if n_bytes >= stored.size:
            return self.whole(bucket, stored)
        return self.get(self._address(bucket, stored.key), n_bytes, headers={"Range": f"bytes=0-{n_bytes - 1}"})

    def whole(self, bucket: str, stored: Stored) -> bytes:
        """An object; one byte more than its size where the server sends more."""
        return self.get(self._address(bucket, stored.key), stored.size + 1)

    def get(self, address: str, at_most: int, **asked) -> bytes:
        """What is at an address, up to `at_most` bytes; a passing fault is waited for.

        Raises:
            AbsentError: nothing is there.
            UserError: the server is out of reach, or refuses.
        """
        why = ""
        for wait in (0, *WAITS):
            if self.stop.wait(wait):
                raise StoppedError
            try:
                return self._once(address, at_most, asked)
            except (requests.RequestException, ValueError) as error:      # of an address to which it was sent on, too
                why = _reason(error)
        raise UserError(f"{urlsplit(address).netloc} cannot be reached ({why}): see that the network is there and start"
                        " again; what is fetched stays.")

    def _once(self, address, at_most, asked) -> bytes:
        headers = {"Accept-Encoding": "identity"} | asked.get("headers", {})
        with self._session().get(address, params=asked.get("params"), headers=headers, stream=True,
                                 timeout=TIMEOUT) as answer:
            self._judge(answer, address)
            parts = []
            for part in answer.iter_content(CHUNK):
                if self.stop.is_set():
                    raise StoppedError
                parts.append(part[:at_most])
                at_most -= len(parts[-1])
                self._read(len(parts[-1]))
                if not at_most:
                    break
        return b"".join(parts)

    def _judge(self, answer, address) -> None:
        """Raise what a status other than success means."""
        code = answer.status_code
        if code in (200, 206):
            return
        if code in PASSING:
            raise requests.HTTPError(f"status {code}")
        if code == 404:
            raise AbsentError(f"{address} is not there")
        word = "denies access to" if code in (401, 403) else f"answers with status {code} to"
        raise UserError(f"{urlsplit(address).netloc} {word} {urlsplit(address).path}: the bucket is public, so see "
                        f"whether a proxy stands between, or whether {ENDPOINT} is what you mean, and start again.")

    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
        return self._own.session

    def _address(self, bucket, key) -> str:
        return f"{self.endpoint}/{bucket}/{quote(key)}"


def _is_address(text: str) -> bool:
    """Whether a text is the address of a server, with a port that there can be."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        return False


def _listing(text: bytes, prefix: str) -> tuple[list[Stored], str | None]:
    """Objects of one page of a listing, and the token of the next page.

    Source: ours, because a document type can make a small text a huge one; a listing has none.
    """
    try:
        if b"<!" in text:
            raise ElementTree.ParseError("a document type")
        root = ElementTree.fromstring(text)
        if not root.tag.endswith("ListBucketResult"):
            raise ValueError(f"it begins with {one_line(root.tag)[:60]}")
        space = root.tag.removesuffix("ListBucketResult")
        page = [Stored(item.findtext(f"{space}Key"), int(item.findtext(f"{space}Size")),
                       item.findtext(f"{space}ETag").strip('"')) for item in root.iter(f"{space}Contents")]
        if not all(stored.key.startswith(prefix) and stored.size >= 0 for stored in page):
            raise ValueError("a key of another prefix")
    except (ElementTree.ParseError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"The server's list of {prefix} is no listing of a bucket ({error}): see what {ENDPOINT} names,"
                        " or whether a proxy stands between.") from error
    return page, root.findtext(f"{space}NextContinuationToken")


def _reason(error) -> str:
    """The innermost cause of a network fault, in its own words."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return one_line(error)[:120] or type(error).__name__
