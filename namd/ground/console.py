"""Standard streams that cannot stop the work."""

import io
import os
import sys


class _Stream(io.FileIO):
    """A stream whose reader may be gone, or its disk full: what cannot be written is dropped."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError:
            return len(data)


def settle():
    """Let this process print to whatever its streams are: closed, a pipe nobody reads, or of an encoding without "±".

    Source: ours, because `| head -1` or an old terminal should not end a training of days.
    """
    for number in (0, 1, 2):            # else the next file that is opened takes the number, and the prints go there
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _open(1, sys.stdout, "replace")
    sys.stderr = _open(2, sys.stderr, "backslashreplace")


def _open(number, before, errors):
    """Stream `number` in the encoding it had before."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    raw = io.BufferedWriter(_Stream(number, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, line_buffering=True)
