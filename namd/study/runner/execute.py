"""Run one notebook through papermill: short progress lines, plain errors, a done file written last."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import yaml

from namd.ground import files, marks
from namd.ground.errors import UserError
from namd.ground.order import PER_ARM, notebook
from namd.ground.paths import outputs_root, short
from namd.ground.surroundings import for_a_kernel
from namd.study.need import commands
from namd.study.runner.done import DoneFiles
from namd.study.runner.twins import take_over, written_since

CELL_SECONDS, QUIET_SECONDS = 10, 3
LINE = 140
NOISE = ("Kernel is running over TCP", "frozen modules", "Debugger warning", "PYDEVD")


def run_job(plan, job, expected=None):
    """Execute `job` of `plan`; returns the done file, which is `expected` when Snakemake asks.

    Raises:
        UserError: the notebook failed; the sentence names its cell, the error and the executed notebook. Or the
            sources are no longer those of `expected`.

    Source: ours, because papermill calls a cell that killed its kernel "completed".
    """
    root = outputs_root() / plan.values["run_name"]
    folder, finished = root / job.folder, DoneFiles(plan, root)
    done = finished.file(job)
    if expected not in (None, str(plan.done_file(job))):
        raise UserError(f"{job.label}: a notebook, a module or a parameter changed while the study ran;"
                        " start it again.")
    marks.begin(root)
    _need_arms(plan, job, root)
    for name in ("notebooks", "done", "runs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with _only_one(folder / "runs" / f".{job.number}.lock", job) as waited:
        if waited and finished.holds(job):
            return done
        if expected and finished.restored(job):
            _say(job, "is up to date: the cohort came out the same")
            return done
        finished.withdraw(job)
        _write_parameters(plan, root)
        began = time.time()
        _say(job, "starts")
        with files.or_disk_full(done):
            if take_over(plan, job, finished):
                _say(job, f"takes over the files of {plan.twin(job).label}, which did the same")
            else:
                _execute(plan, job, folder / "notebooks" / notebook(job.number).name)
        seconds = time.time() - began
        os.sync()                       # a done file must not outlive a power cut that its artefacts did not
        finished.write(job, seconds, written_since(folder, began) if job.arm else [])
    n_done, total = finished.finished()
    _say(job, f"done in {seconds:.0f} s ({n_done} of {total} notebooks)")
    return done


def _need_arms(plan, job, root):
    """Refuse to run 05 to 08 while an arm of compare_arms is not trained: a study drops no row of Table 1 by itself."""
    for arm in plan.parameters(job).get("compare_arms", ()):
        if not (root / "arms" / arm / "runs" / f"{PER_ARM[-1]}.json").is_file():
            raise UserError(f"{job.label} compares the arm {arm}, which run {root.name} has not trained:"
                            f" {commands(root, PER_ARM[-1], arm)}")


def _say(job, text):
    line = f"{job.label} · {text}"
    print(line if len(line) <= LINE else line[:LINE - 2] + " …", flush=True)


@contextmanager
def _only_one(path, job):
    """Hold the job's lock; yields True when another process had it first. It dies with its process."""
    with open(path, "w") as handle:
        waited = False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            _say(job, "another process runs it already; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield waited


def _write_parameters(plan, root):
    """params.yaml of the run: the merged values, so that any stage can be repeated by hand."""
    with files.replacing(root / "params.yaml") as aside:
        aside.write_text(yaml.safe_dump(plan.by_arm[plan.main], sort_keys=False), encoding="utf-8")


def _execute(plan, job, target):
    """Execute into a temporary file beside `target`, then rename; a failed run keeps `.failed.ipynb`."""
    values = plan.parameters(job)
    failed, page = target.with_suffix(".failed.ipynb"), target.with_suffix(".html")
    for path in (failed, page):
        marks.only_ours(path)
    with files.replacing(target) as aside, for_a_kernel(values.get("threads", 0)):
        try:
            _papermill(notebook(job.number), aside, values, job)
        except UserError as error:
            if not aside.is_file():
                raise
            with files.replacing(failed) as kept:
                os.replace(aside, kept)
            raise UserError(f"{error}\nThe executed notebook: {short(failed)}") from None
        _write_html(aside, page)
    if not marks.changed(failed):       # else somebody works in it
        failed.unlink(missing_ok=True)


def _papermill(source, output, values, job):
    """papermill with our progress lines; every way to fail becomes a UserError."""
    import logging

    sys.modules.setdefault("rfc3987_syntax", None)      # jsonschema would build its grammar of web addresses: 2 s
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import PapermillExecutionError
    from papermill.iorw import write_ipynb

    logging.getLogger("papermill").setLevel(logging.ERROR)     # it calls a parameter it cannot parse unknown
    with tempfile.TemporaryFile("w+") as noise:
        client = _client_class(job)

        class Engine(NBClientEngine):
            """papermill's own engine with a client that reports progress."""

            @classmethod
            def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
                nb_man.progress = client(nb_man, kernel_name=kernel_name, timeout=None, startup_timeout=120)
                try:
                    return nb_man.progress.execute(stdout=subprocess.DEVNULL, stderr=noise)  # prints come as messages
                except DeadKernelError:
                    write_ipynb(nb_man.nb, str(output))
                    raise

        papermill_engines.register("namd", Engine)
        try:
            papermill.execute_notebook(source, output, parameters=values, engine_name="namd",
                                       kernel_name="python3", progress_bar=False, cwd=source.parent,
                                       request_save_on_cell_execute=False)      # twice a cell, with all figures
        except PapermillExecutionError as error:
            raise UserError(_failure(job, error)) from None
        except DeadKernelError:
            raise UserError(f"{job.label} lost its kernel in cell {client.at}: most often too little memory;"
                            f" try a smaller batch.{_last_lines(noise)}") from None


def _client_class(job):
    from papermill.clientwrap import PapermillNotebookClient

    class Client(PapermillNotebookClient):
        """Says now and then which cell runs, and passes on what a long-running cell prints."""

        at, said, began = 0, time.time(), 0.0

        def execute_cell(self, cell, cell_index, **kwargs):
            Client.began = time.time()
            Client.at, total = (sum(c.cell_type == "code" for c in part)
                                for part in (self.nb.cells[:cell_index + 1], self.nb.cells))
            if cell.cell_type == "code" and Client.began - Client.said > CELL_SECONDS:
                Client.said = Client.began
                _say(job, f"cell {Client.at}/{total} · {first_line(cell.source)}")
            return super().execute_cell(cell, cell_index, **kwargs)

        def output(self, outs, msg, display_id, cell_index):
            content, long = msg["content"], time.time() - Client.began > QUIET_SECONDS
            if long and msg["msg_type"] == "stream" and content["name"] == "stdout":
                for line in filter(str.strip, content["text"].splitlines()):
                    _say(job, line)
            return super().output(outs, msg, display_id, cell_index)

    return Client


def first_line(source):
    """The first line of a cell that is code, or its first line."""
    lines = [line.strip() for line in source.splitlines() if line.strip()] or [""]
    return next((line for line in lines if not line.startswith("#")), lines[0])[:60]


def _failure(job, error):
    """One sentence: a UserError's own, or where and what."""
    if error.ename == "UserError":
        return error.evalue
    if error.ename in ("OSError", "SafetensorError") and files.says_full(error.evalue):
        return (f"{job.label} stopped in cell {error.exec_count}: the disk is full or over its quota; free some space"
                " and start again, the run goes on from where it was.")
    return (f"{job.label} stopped in cell {error.exec_count} (`{first_line(error.source)}`):"
            f" {error.ename}: {(error.evalue.splitlines() or ['no message'])[0]}")


def _last_lines(noise):
    """What the kernel itself wrote before it died, without ipykernel's routine lines."""
    noise.seek(0)
    lines = [line for line in noise.read().splitlines() if line and not any(n in line for n in NOISE)]
    return " Its last words: " + " / ".join(lines[-3:]) if lines else ""


def _write_html(source, target):
    """Self-contained HTML of an executed notebook."""
    from namd.study.results.html import PageExporter

    with open(source, encoding="utf-8") as notebook:
        body, _ = PageExporter().from_file(notebook, resources={"metadata": {"name": target.stem}})
    with files.replacing(target) as aside:
        aside.write_text(body, encoding="utf-8")
