"""Printing cannot stop the work: no encoding, closed stream or closed pipe."""

import os
import subprocess
import sys

import pytest

WORK = """
import sys
from namd.ground import console
console.settle()
for i in range(2000):
    print("NAMD \\u00b7 0.75 \\u00b1 0.01 \\u2192", i, flush=True)
    print("\\u2717", file=sys.stderr)
open(sys.argv[1], "w").write("done")
sys.exit(3)
"""


def work(tmp_path, **options):
    surroundings = {**os.environ, **options.pop("env", {})}
    return subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path / "done")], env=surroundings, **options)


def ended_well(process, tmp_path):
    return process.wait() == 3 and (tmp_path / "done").read_text() == "done"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "ascii:strict", "utf-16", "utf-8"])
def test_any_encoding(encoding, tmp_path):
    process = work(tmp_path, env={"PYTHONIOENCODING": encoding}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate()
    assert ended_well(process, tmp_path) and b"Traceback" not in err
    assert len(out.decode(encoding.partition(":")[0]).splitlines()) == 2000


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_any_locale(locale, tmp_path):
    process = work(tmp_path, env={"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.communicate()
    assert ended_well(process, tmp_path)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_any_more(stream, tmp_path):
    process = work(tmp_path, **{stream: subprocess.PIPE})
    getattr(process, stream).readline()
    getattr(process, stream).close()
    assert ended_well(process, tmp_path)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "> /dev/full", "> /dev/full 2>&1"])
def test_streams_that_are_closed_or_full(closed, tmp_path):
    words = ["sh", "-c", f'"$0" -c "$1" "$2" {closed}', sys.executable, WORK, str(tmp_path / "done")]
    assert ended_well(subprocess.Popen(words), tmp_path)     # and the file that was opened holds nothing of the prints
