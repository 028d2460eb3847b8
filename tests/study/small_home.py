"""Notebooks of a few cells, and what names a cohort."""

import json

from namd.ground import order

CELL = 'run_name: str = "smoke"\nseed: int = 23\ndevice: str = "auto"\nthreads: int = 1\n'
ARM = CELL + 'arm: str = "namd"\nimage_size: int = 64\n'


def write_notebook(folder, name, parameters, *code, tags=None):
    """A notebook of a parameters cell and code cells; a single line that starts with # becomes markdown.

    Args:
        tags: {number of a cell, from 0 for the parameters: its tags}.
    """
    cells = [dict(cell_type="code", metadata={"tags": ["parameters"]}, source=parameters)]
    cells += [dict(cell_type="markdown" if text.startswith("#") and "\n" not in text else "code", metadata={},
                   source=text) for text in code]
    for number, cell in enumerate(cells):
        cell |= dict(id=f"c{number}")
        cell["metadata"] |= {"tags": tags[number]} if number in (tags or {}) else {}
        cell |= dict(outputs=[], execution_count=None) if cell["cell_type"] == "code" else {}
    spec = dict(kernelspec=dict(name="python3", display_name="Python 3", language="python"))
    (folder / f"{name}.ipynb").write_text(json.dumps(dict(cells=cells, metadata=spec, nbformat=4, nbformat_minor=5)))
    forget()


def forget():
    """Drop what series remembers of the notebooks it has read."""
    order.notebook.cache_clear()
    order.declared.cache_clear()


def write_cohort(root, crops="c", pairs="p", refused="r", **more):
    """The manifest of a cohort whose files have these sums; returns `root`."""
    (root / "cohort").mkdir(parents=True, exist_ok=True)
    sums = {"crops.npy": crops, "pairs.parquet": pairs, "refused.csv": refused}
    (root / "cohort" / "manifest.json").write_text(json.dumps(dict(synthetic=True, sha256=sums, **more)))
    return root
