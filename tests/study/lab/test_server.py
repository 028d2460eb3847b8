"""How JupyterLab is called: where it opens, whose code its kernels run, and that its settings exist."""

import json
import os
from pathlib import Path
from urllib.parse import quote

import jupyterlab
import pytest

from namd.ground.paths import REPO
from namd.study.lab import server
from namd.study.runner.plan import Plan

SCHEMAS = Path(jupyterlab.__file__).parents[4] / "share" / "jupyter" / "lab" / "schemas"


def test_the_checkout_is_the_root_and_the_start_page_opens():
    words = server.words(REPO / "outputs" / "my run" / "lab")
    assert f"--ServerApp.root_dir={REPO}" in words
    assert words[-1].endswith(f"/lab/workspaces/namd-my%20run/tree/{quote('outputs/my run/lab/README.md')}")


def test_outputs_elsewhere_have_the_folder_of_the_run_as_root(tmp_path):
    words = server.words(tmp_path / "quick" / "lab")
    assert f"--ServerApp.root_dir={tmp_path / 'quick'}" in words and words[-1].endswith("/tree/lab/README.md")


def test_one_sentence_says_what_a_reader_edited_before_jupyterlab_takes_over(home, monkeypatch, capsys):
    became = []
    monkeypatch.setattr(os, "execve", lambda *told: became.append(told))
    plan = Plan([REPO / "params" / "quick.yaml"])
    server.open_lab(plan)
    assert "edited" not in capsys.readouterr().out
    (home / "outputs" / "quick" / "lab" / "README.md").write_text("my notes")
    server.open_lab(plan)
    assert "Kept as you edited them: README.md; to have one anew" in capsys.readouterr().out
    assert [words[1:3] for _, words, _ in became] == [["-m", "jupyterlab"]] * 2


@pytest.mark.parametrize(("user", "told"), [(0, True), (1000, False)])
def test_root_is_let_in_without_being_asked(user, told, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("--allow-root" in server.words(REPO / "outputs" / "quick" / "lab")) is told


def test_kernels_run_this_checkouts_code_and_a_readers_settings_stay():
    told = server.surroundings({"JUPYTER_CONFIG_PATH": "/mine", "PYTHONPATH": "/other", "HOME": "/home"})
    ours, mine = told["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(ours) / "labconfig" / "default_setting_overrides.json").is_file() and mine == "/mine"
    assert told["PYTHONPATH"].split(os.pathsep) == [str(REPO), "/other"] and told["HOME"] == "/home"


def test_every_setting_is_one_that_jupyterlab_has():
    told = json.loads((server.SETTINGS / "labconfig" / "default_setting_overrides.json").read_text())
    for plugin, settings in told.items():
        package, _, name = plugin.partition(":")
        known = json.loads((SCHEMAS / package / f"{name}.json").read_text())["properties"]
        assert settings.keys() <= known.keys()
