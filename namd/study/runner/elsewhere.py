"""Jobs that other machines run for Snakemake: what this one says of them, and the plugin that hands them over."""

import importlib.util
import logging
from pathlib import Path

from namd.ground.errors import UserError
from namd.ground.surroundings import python

HERE = ("local", "dryrun", "touch")     # executors that start no job elsewhere


def executor(arguments) -> str:
    """The executor that `arguments` of Snakemake name; "" for one that runs its jobs here.

    Raises:
        UserError: Snakemake has no plugin of that name here, or one whose jobs see no common folder.
    """
    name = dict(zip(arguments, arguments[1:], strict=False)).get("--executor", HERE[0])
    if name in HERE:
        return ""
    plugin = f"snakemake_executor_plugin_{name.replace('-', '_')}"
    if importlib.util.find_spec(plugin) is None:
        raise UserError(f"EXECUTOR={name} needs Snakemake's plugin of that name: {python()} -m pip install"
                        f" snakemake-executor-plugin-{name}.")
    if importlib.import_module(plugin).common_settings.implies_no_shared_fs:
        raise UserError(f"EXECUTOR={name} gives its jobs no folder in common, and the notebooks hand on whole folders:"
                        " run a Slurm on such machines, and EXECUTOR=slurm (params/README.md, Where it runs).")
    return name


class Herald(logging.Filter):
    """Prints a line when a job is handed over, when it has ended and when it has failed: their own lines stay there."""

    def __init__(self):
        super().__init__()
        self.logs = {}          # {Snakemake's number of a job: the file that its lines go to}

    def filter(self, record):
        event = str(getattr(record, "event", "")).lower()
        if event.endswith("job_info") and record.log and not record.local:
            self.logs[record.jobid] = Path(record.log[0])
            print(f"{self.logs[record.jobid].stem} · handed over", flush=True)
        elif event.endswith("job_finished") and record.job_id in self.logs:
            print(_last_line(self.logs[record.job_id]) or f"{self.logs[record.job_id].stem} · done", flush=True)
        elif event.endswith("job_error") and record.jobid in self.logs:
            log = self.logs[record.jobid]
            said = [_last_line(log), " ".join(str(record.rule_msg or "").split()).partition(". ")[0]]
            print(f"{log.stem} · failed: {' / '.join(filter(None, said)) or 'it left no word'}", flush=True)
        return True


def _last_line(log) -> str:
    """What a job said last; the file may not have reached this machine yet."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")
