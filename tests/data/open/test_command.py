"""The command line of `namd fetch`."""

import pytest
from stand_in import begin, tree

from namd.__main__ import main
from namd.ground.paths import REPO

OPEN = ["--params", str(REPO / "params" / "open.yaml")]


@pytest.fixture
def words(whole, tmp_path):
    return [*OPEN, "-p", f"data_delivery={begin(tmp_path / 'open', whole)}", "-p", "open_lists=[]"]


def test_a_fetch_says_what_it_will_do_and_what_it_has_done(words, tmp_path, idc, capsys):
    assert main(["fetch", *words, "--subjects", "1", "--at-once", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("1 listed series are not in IDC v25")
    assert said[-1].startswith("2 of 2 series are in ") and "5 slices around each nodule" in said[-7]
    assert len(tree(tmp_path)) == 10
    assert (tmp_path / "open" / "LICENCES.txt").read_text().startswith(
        "CT images and clinical tables: NLST at IDC, v25, CC BY 4.0, doi:10.7937/TCIA.HMQ8-J677\nlist nlstx: MIT; ")


@pytest.mark.parametrize("more, sentence", [
    (["--subjects", "0"], "'0' is no whole number from 1 on"), (["--at-once", "many"], "'many' is no whole number"),
    (["-p", "open_lists=[luna25]"], "open_lists")])
def test_a_mistake_is_one_sentence(words, more, sentence, capsys):
    assert main(["fetch", *words, *more]) == 1
    assert sentence in capsys.readouterr().err


def test_a_file_is_no_delivery(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["fetch", *OPEN, "-p", f"data_delivery={tmp_path / 'file'}"]) == 1
    assert "which is a file: name a folder" in capsys.readouterr().err and (tmp_path / "file").read_text() == "mine"


def test_other_data_are_not_fetched(capsys):
    assert main(["fetch", "--params", str(REPO / "params" / "quick.yaml")]) == 1
    assert capsys.readouterr().err.startswith("data_source is phantom: fetch is for `data_source: open`")
