"""A small series of notebooks in a folder of its own."""

import pytest
from small_home import ARM, CELL, forget, write_notebook

from namd.ground import order


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Outputs and ten small notebooks below `home`; `home.write` rewrites one."""
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr(order, "NOTEBOOKS", tmp_path)
    write_notebook(tmp_path, "00_start", CELL)
    write_notebook(tmp_path, "01_data", CELL + 'data_source: str = "phantom"\nimage_size: int = 64\n')
    write_notebook(tmp_path, "02_vae", ARM + "lambda_align: float = 0.05\nlambda_pred: float = 0.02\n")
    write_notebook(tmp_path, "03_prior", ARM)
    write_notebook(tmp_path, "04_follow_up", ARM)
    for name in ("05_judge", "06_variance", "07_ablations", "08_others", "09_autorad"):
        write_notebook(tmp_path, name, CELL)
    yield tmp_path
    forget()


@pytest.fixture
def write(home):
    """(name, *code cells, parameters=, tags=) -> rewrites a notebook of `home`."""
    def rewrite(name, *code, parameters=CELL, tags=None):
        write_notebook(home, name, parameters, *code, tags=tags)
    return rewrite
