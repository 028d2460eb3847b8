"""A small series of notebooks in a folder of its own."""

import json

import pytest

from namd.study import series

CELL = 'run_name: str = "smoke"\nseed: int = 23\ndevice: str = "auto"\nthreads: int = 1\n'
ARM = CELL + 'arm: str = "namd"\nimage_size: int = 64\n'


def write_notebook(folder, name, parameters, *code):
    """A notebook of a parameters cell and code cells; a single line that starts with # becomes markdown."""
    cells = [dict(cell_type="code", metadata={"tags": ["parameters"]}, source=parameters)]
    cells += [dict(cell_type="markdown" if text.startswith("#") and "\n" not in text else "code", metadata={},
                   source=text) for text in code]
    for number, cell in enumerate(cells):
        cell |= dict(id=f"c{number}")
        cell |= dict(outputs=[], execution_count=None) if cell["cell_type"] == "code" else {}
    spec = dict(kernelspec=dict(name="python3", display_name="Python 3", language="python"))
    (folder / f"{name}.ipynb").write_text(json.dumps(dict(cells=cells, metadata=spec, nbformat=4, nbformat_minor=5)))
    forget()


def forget():
    """Drop what series remembers of the notebooks it has read."""
    series.notebook.cache_clear()
    series.declared.cache_clear()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Outputs and eight small notebooks below `home`; `home.write` rewrites one."""
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(series, "NOTEBOOKS", tmp_path)
    write_notebook(tmp_path, "01_data", CELL + 'data_source: str = "phantom"\nimage_size: int = 64\n')
    write_notebook(tmp_path, "02_vae", ARM + "lambda_align: float = 0.05\nlambda_pred: float = 0.02\n")
    write_notebook(tmp_path, "03_prior", ARM)
    write_notebook(tmp_path, "04_follow_up", ARM)
    for name in ("05_judge", "06_variance", "07_ablations", "08_others"):
        write_notebook(tmp_path, name, CELL)
    yield tmp_path
    forget()


@pytest.fixture
def write(home):
    """(name, *code cells, parameters=) -> rewrites a notebook of `home`."""
    def rewrite(name, *code, parameters=CELL):
        write_notebook(home, name, parameters, *code)
    return rewrite
