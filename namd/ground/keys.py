"""Keys: what names a result, and artefacts that carry theirs.

A key is made of declared values, the parsed code that makes the result and all that it imports, the versions of the
libraries that decide numbers, and the digests of the data and artefacts that it reads. No other scheme answers "is
it current?".
"""

import glob
import hashlib
import json
import os
from pathlib import Path

from namd.ground import files, marks, provenance
from namd.ground.sources import HOW as HOW
from namd.ground.sources import code as code
from namd.ground.sources import deciding as deciding

PREVIOUS = ".previous"


def key(values, code, reads, *given):
    """Names a result.

    Args:
        values: {parameter: value} of those that decide it; those of HOW do not count.
        code: {module, or "cells": digest}, as `code` gives it.
        reads: {what it reads: digest of its content}; given: what else decides it, anything JSON can write.
    """
    counted = {name: value for name, value in values.items() if name not in HOW}
    return sha(counted, provenance.weights(values), code, reads, given, provenance.versions())


def sha(*parts):
    """sha256 of anything JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Keyed:
    """A file or folder, and beside it the key of the work that made it: <path>.key.

    One result of another key is kept below .previous/ until a newer one is finished, and comes back when its key is
    asked for again. Whoever makes the artefact asks `current`, then calls `set_aside`, makes it and calls `sign`.

    Source: ours, because an edit that is taken back should find what it had made.
    """

    def __init__(self, path, key):
        self.path = Path(path)
        self.key = key
        self.mark = Path(f"{path}.key")

    def current(self):
        """Whether the artefact is there under this key; one that was set aside is put back."""
        if self._there() == self.key:
            return True
        kept = self._aside(self.key)
        if not kept.exists():
            return False
        self._put_away()
        self.sign()                         # first: a mark without its artefact says nothing
        _move(kept, self.path)
        return True

    def set_aside(self):
        """Clear the way for a new artefact: a finished one is kept, an unfinished one stays where it is.

        Raises:
            UserError: the finished one is not as this program wrote it.
        """
        put_away = self._put_away()
        if put_away is not None:
            for older in self._asides():
                if older != put_away:
                    files.discard(older)

    def sign(self):
        """Say that the artefact is finished."""
        with files.replacing(self.mark) as aside:
            aside.write_text(self.key)

    def _there(self):
        """The key under which the artefact was finished; None when a part of it is not there, or it is not finished."""
        if not (self.path.exists() and self.mark.is_file()) or marks.missing(self.path):
            return None
        return self.mark.read_text(errors="replace")

    def _put_away(self):
        """Move a finished artefact below .previous/ and return its place; in any case there is no mark then."""
        key = self._there()
        kept = None
        if key is not None:
            kept = self._aside(key)
            marks.only_ours(self.path)
            files.discard(kept)
            _move(self.path, kept)
        self.mark.unlink(missing_ok=True)
        return kept

    def _aside(self, key):
        return self.path.parent / PREVIOUS / f"{sha(key)[:12]}-{self.path.name}"

    def _asides(self):
        return self._aside("").parent.glob(f"{'[0-9a-f]' * 12}-{glob.escape(self.path.name)}")


def _move(source, target):
    """Rename an artefact of ours, which stays ours by the list of its new folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        marks.sign_file(target, source)
    os.replace(source, target)
