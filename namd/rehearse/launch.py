"""python launch.py FILE WORD ... : runs a command, and writes to FILE what it took, as JSON.

A program of its own that imports next to nothing: getrusage(2) counts for a process what the one that began it held.
The command ends with the process that began this one, which holds the other end of standard input.
"""

import json
import os
import signal
import sys
from threading import Thread

INTERRUPTED = 128       # a shell adds it to the number of the signal that ended a command


def main(file, *words) -> int:
    """Exit status of the command; FILE gets held (of the largest process), written and cpu, in getrusage's units."""
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    process = os.posix_spawn(words[0], words, os.environ, file_actions=[no_input])
    Thread(target=_end_when_let_go, args=(process,), daemon=True).start()
    _, status, usage = os.wait4(process, 0)
    took = {"held": usage.ru_maxrss, "written": usage.ru_oublock, "cpu": usage.ru_utime + usage.ru_stime}
    with open(file, "w", encoding="utf-8") as out:
        json.dump(took, out)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else INTERRUPTED - code


def _end_when_let_go(process):
    """Wait until nobody holds the other end of standard input, and kill the command."""
    os.read(0, 1)
    os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
