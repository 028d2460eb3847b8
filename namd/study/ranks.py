"""Several processes train the stage of one notebook: `launch` starts them, `execute` is what each of them does."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO

import torch
import torch.distributed as dist
from accelerate import PartialState

from namd.ground import console, order
from namd.ground.errors import UserError
from namd.ground.surroundings import of_a_job
from namd.training import loop, parallel

ALONE = dict(compute_environment="LOCAL_MACHINE", distributed_type="MULTI_GPU", mixed_precision="no", use_cpu=False,
             num_machines=1, machine_rank=0, gpu_ids="all", debug=False)      # not the user's own `accelerate config`
REFUSED = "refused: "       # begins the line of stderr that carries a UserError
WAIT = timedelta(minutes=30)   # for rank 0, which validates and writes checkpoints while the others wait


def launch(run) -> None:
    """Train the stage of `run` in `run.p.processes` processes until its last checkpoint is written.

    Nothing happens when that checkpoint is there. The processes end with the one that launched them.

    Raises:
        UserError: there are fewer GPUs than processes, or one of them failed or was killed.

    Source: ours: `accelerate launch` as a subprocess, because forks fail once the notebook has touched CUDA.
    """
    if any(loop.finished(folder, run.training_key()) for folder in (run.dir / "checkpoints").glob("*/")):
        return
    n = run.p.processes
    if run.device.type == "cuda" and n > torch.cuda.device_count():
        raise UserError(f"processes: {n}, but torch sees {torch.cuda.device_count()} GPU(s) here; "
                        "write that number, or device: cpu.")
    print(f"{n} processes train together", flush=True)
    with (tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as noise,
          tempfile.NamedTemporaryFile("w", suffix=".json") as config):
        json.dump(ALONE | {"num_processes": n}, config)
        config.flush()
        words = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", config.name, "--multi_gpu",
                 "--main_process_port", "0", "--dynamo_backend", "no",
                 "-m", "namd.study.ranks", run.number, json.dumps(vars(run.p))]
        with subprocess.Popen(words, env=_surroundings(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=noise, encoding="utf-8", errors="replace") as launcher:
            for line in launcher.stdout:
                print(line, end="", flush=True)
        noise.seek(0)
        if launcher.returncode:
            raise UserError(_failure(run, noise.read()))


def _surroundings() -> dict:
    """The environment of the launched processes, without what the user has told `accelerate`."""
    kept = {name: value for name, value in of_a_job(os.environ).items() if not name.startswith("ACCELERATE_")}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "Agg", "NCCL_DEBUG": "ERROR"}


def _failure(run, noise):
    """One sentence from what the processes wrote to stderr."""
    refused = re.search(f"^{REFUSED}(.+)$", noise, re.M)
    if refused:
        return refused[1]
    again = "the same command goes on from the last checkpoint"
    if "SIGKILL" in noise:
        return (f"{run.name}: one of its {run.p.processes} processes was killed, most often for too little memory; "
                f"{again}, and a smaller batch or fewer processes need less.")
    error = re.search(r"^(?:\[rank\d+\]: ?)?([\w.]*(?:Error|Exception|Interrupt)\b.*)$", noise, re.M)
    said = error[1] if error else "it left no message"
    return f"{run.name}: one of its {run.p.processes} processes stopped ({said}); mend that, and {again}."


def execute(number: str, declared: dict) -> dict:
    """Run a notebook's code cells as one script up to the one tagged `training`; returns their names.

    Args:
        number: of the notebook, e.g. "04".
        declared: {parameter: value}, in the place of the parameters cell.

    Only the training cell of rank 0 prints.
    """
    names = {**declared, "__name__": "__main__"}
    code_cells = [cell for cell in order.cells(number) if cell[0] == "code"]
    for place, (_, tags, source) in enumerate(code_cells, start=1):
        if "parameters" in tags:
            continue
        plain = re.sub("^[%!].*$", "", source, flags=re.M)      # IPython's magics
        code = compile(plain, f"notebook {number}, code cell {place}", "exec")
        shown = sys.stdout if "training" in tags and parallel.rank() == 0 else StringIO()
        with redirect_stdout(shown):
            exec(code, names)
        if "training" in tags:
            return names
    raise UserError(f"Notebook {number} has no cell tagged `training`: tag the one that calls loop.fit.")


def main(number: str, declared: str) -> int:
    """One process among several: exit status 0, or 1 after one line on stderr."""
    threading.Thread(target=_end_with_the_notebook, daemon=True).start()
    values = json.loads(declared)
    PartialState(cpu=values["device"] == "cpu" or not torch.cuda.is_available(), timeout=WAIT)
    try:
        execute(number, values)
    except UserError as error:
        print(REFUSED + " ".join(str(error).split()), file=sys.stderr, flush=True)
        return 1
    dist.destroy_process_group()
    return 0


def _end_with_the_notebook():
    """Wait until the launching process closes our standard input, which it does by ending; then end too."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    console.settle()
    sys.exit(main(*sys.argv[1:]))
