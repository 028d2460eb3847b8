"""papermill with our progress lines; every way to fail becomes a UserError."""

import logging
import subprocess
import tempfile
from contextlib import contextmanager

from namd.ground import files
from namd.ground.errors import UserError
from namd.ground.order import first_line
from namd.study.runner.lines import Progress

NOISE = ("Kernel is running over TCP", "frozen modules", "Debugger warning", "PYDEVD")
ENGINE = "namd"
# what imports make stays; looking for cycles among it took a fifth of their time (5.8 s, now 4.8)
RARELY = "--IPKernelApp.exec_lines=__import__('gc').set_threshold(100_000, 20, 20)"


def execute(source, output, values, job):
    """Execute the notebook `source` with the parameters `values` into the file `output`.

    Raises:
        UserError: a cell failed, or the kernel was killed; `output` then holds what was executed.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    with tempfile.TemporaryFile("w+") as noise, _quiet(logging.getLogger("papermill")):
        progress = []
        papermill_engines.register(ENGINE, _engine(job, output, noise, progress))
        try:
            papermill.execute_notebook(source, output, parameters=values, engine_name=ENGINE,
                                       kernel_name="python3", progress_bar=False, cwd=source.parent,
                                       request_save_on_cell_execute=False)      # twice a cell, with all figures
        except PapermillExecutionError as error:
            raise UserError(_failure(job, error)) from None
        except DeadKernelError:
            raise UserError(f"{job.label} lost its kernel in cell {progress[0].at}: most often too little memory;"
                            f" try a smaller batch.{_last_lines(noise)}") from None


def _engine(job, output, noise, progress):
    """papermill's own engine for this job, with nbclient's hooks; it appends its Progress to `progress`."""
    from nbclient.exceptions import DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine
    from papermill.iorw import write_ipynb

    class Engine(NBClientEngine):
        """A class because papermill asks for one; what it knows is this call's alone."""

        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
            heard = Progress(job, nb_man.nb.cells)
            progress.append(heard)
            client = PapermillNotebookClient(nb_man, kernel_name=kernel_name, timeout=None, startup_timeout=120,
                                             on_cell_start=heard.starts, stdout_file=heard, extra_arguments=[RARELY])
            try:
                return client.execute(stdout=subprocess.DEVNULL, stderr=noise)      # prints come as messages
            except DeadKernelError:
                write_ipynb(nb_man.nb, str(output))
                raise

    return Engine


@contextmanager
def _quiet(logger):
    """Errors only meanwhile: papermill calls a parameter that it cannot parse unknown."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _failure(job, error):
    """One sentence: a UserError's own, or where and what."""
    if error.ename == "UserError":
        return error.evalue
    if error.ename in ("OSError", "SafetensorError") and files.says_full(error.evalue):
        return (f"{job.label} stopped in cell {error.exec_count}: the disk is full or over its quota; free some space"
                " and start again, the run goes on from where it was.")
    said = (error.evalue.splitlines() or ["no message"])[0]
    return f"{job.label} stopped in cell {error.exec_count} (`{first_line(error.source)}`): {error.ename}: {said}"


def _is_noise(line):
    return any(word in line for word in NOISE)


def _last_lines(noise):
    """What the kernel itself wrote before it died, without ipykernel's routine lines."""
    noise.seek(0)
    lines = [line for line in noise.read().splitlines() if line and not _is_noise(line)]
    return " Its last words: " + " / ".join(lines[-3:]) if lines else ""
