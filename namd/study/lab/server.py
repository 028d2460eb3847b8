"""`python -m namd lab`: JupyterLab on the working copy of a run."""

import os
import sys
from pathlib import Path
from urllib.parse import quote

from namd.ground.paths import REPO, short
from namd.ground.surroundings import of_a_job
from namd.study.lab.copy import PAGE, write_copy

SETTINGS = Path(__file__).parent        # its labconfig/ has defaults, over which a reader's own settings win


def open_lab(plan) -> None:
    """Renew the working copy and become JupyterLab, which opens its start page.

    Raises:
        UserError: as `write_copy`.

    Source: ours, because a reader who must find out where to begin, begins elsewhere.
    """
    folder, edited = write_copy(plan)
    print(f"Your copy of the notebooks: {short(folder)}")
    if edited:
        print(f"Kept as you edited them: {', '.join(edited)}; to have one anew, rename or delete it and start again.")
    sys.stdout.flush()
    os.execve(sys.executable, words(folder), surroundings(os.environ))


def words(folder) -> list[str]:
    """The command that opens JupyterLab on the working copy in `folder`, as a list of words.

    The checkout is the root of its file browser and of its terminals, so that pages and commands are found from there;
    where the outputs lie elsewhere, the folder of the run is.
    """
    root = REPO if folder.is_relative_to(REPO) else folder.parent
    page = quote((folder / PAGE).relative_to(root).as_posix())
    as_root = ["--allow-root"] if os.geteuid() == 0 else []
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}", *as_root,
            f"--LabApp.default_url=/lab/workspaces/{quote(f'namd-{folder.parent.name}')}/tree/{page}"]


def surroundings(environ) -> dict:
    """`environ` of the server and its kernels: this checkout's code and outputs, our defaults for JupyterLab."""
    path = [str(SETTINGS), *filter(None, [environ.get("JUPYTER_CONFIG_PATH")])]
    return of_a_job(environ) | {"JUPYTER_CONFIG_PATH": os.pathsep.join(path), "JUPYTER_PREFER_ENV_PATH": "1"}
