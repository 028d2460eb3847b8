"""The executed notebooks that the repository keeps, so that any forge shows the series to who runs nothing."""

import base64

import nbformat

from namd.evaluation.figures.screen import at_screen_size
from namd.ground.errors import UserError
from namd.ground.paths import short
from namd.ground.reading import read_json
from namd.study.results.reading import executed
from namd.study.results.reference.gather import MADE, committed
from namd.study.site.once import Once
from namd.study.site.write import Chapter

FOLDER = "reading"
PAGE = "README.md"
LARGEST = 8_000_000         # bytes of all notebooks together
KEPT = {"tags", "jupyter"}  # of a cell's metadata; the rest says when and where it ran
WIDTH = 1000                # pixels; a forge shows no more


def write_notebooks(plan, root, before, aside) -> list[str]:
    """Write `aside`, the new folder of executed notebooks: this run's, and those before that this run lacks.

    Args:
        root: the finished run; before: the folder as it is now, there or not.

    Returns:
        Names of the notebooks that were kept from before.

    Raises:
        UserError: a notebook holds an error, or they are larger than 8 MB together; then nothing is replaced.

    Source: ours, because a notebook without its figures shows a reader on a forge nothing.
    """
    aside.mkdir()
    for file in executed(plan, root):
        stamp = read_json(file.parents[1] / "runs" / f"{file.name[:2]}.json", file.name[:2], *MADE, "run_name")
        kept = _kept(Chapter.open(file).notebook, short(file))
        kept.metadata["namd"] = dict(run_name=stamp["run_name"], commit=committed(stamp), digest=stamp["digest"])
        nbformat.write(kept, aside / file.name)
    old = [file for file in sorted(before.glob("*.ipynb")) if not (aside / file.name).exists()]
    for file in old:
        (aside / file.name).write_bytes(file.read_bytes())
    files = sorted(aside.glob("*.ipynb"))
    size = sum(file.stat().st_size for file in files)
    if size > LARGEST:
        raise UserError(f"The executed notebooks take {size / 1e6:.1f} MB and may take {LARGEST / 1e6:.0f} in the"
                        " repository: draw fewer or simpler figures in the notebooks.")
    (aside / PAGE).write_text(_page(files), encoding="utf-8")
    return [file.name for file in old]


def _kept(nb, name):
    """The notebook without machine, clock and repetition, its figures at screen size, its solutions folded."""
    nb, _ = Once().preprocess(nb, {})
    cells = []
    for cell in nb.cells:
        tags = cell.metadata.get("tags", [])
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            raise UserError(f"{name} holds a cell that failed, so no notebook was kept: run it again.")
        if "solution" in tags and cell.cell_type == "code":
            cells.append(nbformat.v4.new_markdown_cell(_folded(cell), id=cell.id))
        elif "solution" not in tags:
            cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT}
            _shrink(cell)
            cells.append(cell)
    nb.cells = cells
    nb.metadata = {key: nb.metadata[key] for key in ("kernelspec", "language_info") if key in nb.metadata}
    return nb


def _folded(cell):
    """A solution and what it printed as one fold of Markdown, which every forge keeps closed."""
    printed = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    blocks = [f"```python\n{cell.source}\n```", *(f"```text\n{text.rstrip()}\n```" for text in printed if text)]
    return "\n\n".join(["<details><summary>Solution in code</summary>", *blocks, "</details>"])


def _shrink(cell):
    """The figures of a cell at screen size."""
    for output in cell.get("outputs", []):
        png = output.get("data", {}).get("image/png")
        if png:
            output["data"]["image/png"] = base64.b64encode(at_screen_size(base64.b64decode(png), WIDTH)).decode()


def _page(files):
    """Contents in Markdown: each notebook with its first paragraph and its reading time."""
    lines = ["# The series, executed", "",
             "Written by `python -m namd reference`; nothing has to be run to read it. `make reading` makes an offline"
             " site of it. Phantom data: no number here says anything about patients.", ""]
    for file in files:
        chapter = Chapter.open(file)
        lines.append(f"- [{chapter.title}]({file.name}), {chapter.minutes} min: {chapter.about}")
    return "\n".join(lines) + "\n"
