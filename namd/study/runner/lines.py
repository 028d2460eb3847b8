"""The lines that a running job prints."""

import time

from namd.ground.order import first_line

CELL_SECONDS = 10       # between two lines that say which cell runs
QUIET_SECONDS = 3       # after which what a cell prints is passed on
LINE = 140              # letters of a line


def say(job, text):
    """One line on standard output that begins with the job's name."""
    line = f"{job.label} · {text}"
    print(line if len(line) <= LINE else line[:LINE - 2] + " …", flush=True)


class Progress:
    """Says now and then which cell of a job runs, and passes on what a long-running cell prints.

    Attributes:
        at: number of the code cell that runs, from 1.
    """

    def __init__(self, job, cells):
        self.job = job
        self.is_code = [cell.cell_type == "code" for cell in cells]
        self.at = 0
        self.began = self.said = time.time()

    def starts(self, cell, cell_index):
        """A cell starts: nbclient's hook on_cell_start."""
        self.began = time.time()
        self.at = sum(self.is_code[: cell_index + 1])
        if cell.cell_type == "code" and self.began - self.said > CELL_SECONDS:
            self.said = self.began
            say(self.job, f"cell {self.at}/{sum(self.is_code)} · {first_line(cell.source)}")

    def write(self, text):
        """A cell prints: papermill's file for standard output."""
        if time.time() - self.began > QUIET_SECONDS:
            for line in filter(str.strip, text.splitlines()):
                say(self.job, line)

    def flush(self):
        """Nothing waits: each line is printed at once."""
