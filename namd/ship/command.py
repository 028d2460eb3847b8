"""The command: the pipeline of one arm of a finished run, its judge, and what else a prediction needs of the run."""

import os
import re
import shutil
from pathlib import Path

from namd.ground import marks
from namd.ground.errors import UserError
from namd.ground.files import write_json
from namd.ground.paths import located, short
from namd.models.pipeline import NAMDPipeline
from namd.ship.card import facts, told
from namd.ship.finished import RUN, FinishedArm, open_run
from namd.ship.folder import MANIFEST, SHIPPED, write_model

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
LLM = "llm"                                 # of notebook 01, in a run and in what is shipped of it


def ship(run, arm=None, out=None, name="namd-small") -> int:
    """Write the trained pipeline of a finished run, and its judge, to out/name in half precision.

    Args:
        run: folder of a finished run, from the current one or from the checkout; arm: None for the main one.
        out: folder, outputs/reference/models when None; name: of the new folder in it.

    Returns:
        0, the exit status.

    Raises:
        UserError: the run is not finished, its language model is gone, or out/name holds something else.

    Source: ours; a language model that `llm_path` names may be gated, so it is referenced; notebook 01's is copied.
    """
    root = _run_folder(run)
    target = _target(Path(out or SHIPPED), name)
    finished = open_run(root, arm)
    llm = _language_model(finished.pipe, root)
    write_model(target.parent, name, lambda folder: _write(folder, name, finished, llm),
                facts(root, finished, referenced=llm is None),
                told(root, finished, _whereabouts(finished.pipe, llm, target)))
    print(f"The shipped model: {short(target.absolute())}")
    return 0


def _run_folder(run) -> Path:
    root = located(run)
    if not root.is_dir() or (root / MANIFEST).is_file():
        said = "is a shipped model already" if root.is_dir() else "is not there"
        raise UserError(f"{run} {said}: give the folder of a finished run, e.g. outputs/quick.")
    return root


def _target(out: Path, name: str) -> Path:
    """out/name, where there is nothing yet or an earlier shipped pipeline."""
    if not NAME.fullmatch(name):
        raise UserError(f"--name {name} is no name of a model: take letters, digits and dashes; its place is --out.")
    target = out / name
    if os.path.lexists(target) and not (target / RUN).is_file():
        raise UserError(f"{target} is there and is no shipped pipeline, so it is not replaced: choose another --out or"
                        " --name.")
    return target


def _language_model(pipe: NAMDPipeline, root: Path) -> Path | None:
    """The folder of the language model that must be copied, the run's own; None for one that is referenced."""
    if not pipe.config.llm_path:
        return None                         # the arm reads the record as numbers
    path = Path(pipe.config.llm_path)
    if path.is_dir() and path.resolve() == (root / LLM).resolve():
        return path
    if not path.is_dir() and (path.is_absolute() or ".." in path.parts):
        raise UserError(f"The language model of run {root.name} is not at {path} any more: put it back there, for what"
                        " is shipped refers to it.")
    return None


def _whereabouts(pipe: NAMDPipeline, llm: Path | None, target: Path) -> str:
    """Where the language model of the shipped pipeline is."""
    if llm:
        return f"in `{LLM}/`"
    path = pipe.config.llm_path
    if not path:
        return "none, for the record is read as numbers"
    return f"not in it, read from `{os.path.relpath(path, target) if os.path.isdir(path) else path}`"


def _write(folder: Path, name: str, finished: FinishedArm, llm: Path | None) -> None:
    """The model's own files."""
    pipe = finished.pipe
    if llm:
        shutil.copytree(llm, folder / LLM, ignore=shutil.ignore_patterns(marks.LIST))
        pipe.register_to_config(llm_path=str(folder / LLM))
    pipe.save_pretrained(folder)
    finished.judge.save(folder / "judge")
    parameters = {key: value for key, value in vars(finished.p).items() if not key.endswith("_path")}
    write_json(folder / RUN, {"name": name, "about": finished.about, "parameters": parameters,
                              "ranges": finished.ranges, "kernels": finished.kernels})
