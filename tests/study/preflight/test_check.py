import re

import pytest
from small_delivery import tables, write_delivery

from namd.__main__ import main
from namd.ground import paths
from namd.study.preflight.check import _count, _flop, _time

PARAMS = paths.REPO / "params"


def check(*words, profile="smoke"):
    return main(["check", "--params", str(PARAMS / f"{profile}.yaml"), *words])


def test_the_papers_run_is_counted_without_weights_and_lacks_its_inputs(capsys):
    assert check(profile="paper") == 2
    out, err = capsys.readouterr()
    for counted in (r"U-Net, both surgeries +904\.3 M", r"VAE +83\.7 M", r"language model, text part +3\.88 B",
                    r"image encoder +309\.2 M", r"contrastive encoder +304\.0 M", r"text tower +63\.7 M",
                    r"guided prompts, MetaNet +213\.0 k",
                    r"04 conditional +1\d\.\d TFLOP +35,738", r"04 conditional +3\.4 +14\.5 ",
                    r"09 embedding +2\.6 TFLOP", r"09 prompts +2\d\d\.\d GFLOP +297,800", r"09 embedding +0\.0 +1\.1 ",
                    "counted for 1,391 nodules in 5 folds", "NLST table `cancer`", "vgg16",
                    "hf download google/medgemma-1.5-4b-it", r"optional: image encoder \(09\) apple/aimv2-large"):
        assert re.search(counted, out), counted
    all_of_it = re.search(r"all, 02-04 for 2 arms +(\S+) PFLOP", out)
    of_each = {name: float(flop) for name, flop in re.findall(r"^  (0[2-5]\b.*?) {2,}.* (\S+) PFLOP ", out, re.M)}
    arms = sum(flop for name, flop in of_each.items() if name < "05")
    assert float(all_of_it[1]) == pytest.approx(sum(of_each.values()) + arms, abs=0.5)     # 09 is not among them
    assert re.search(r"✗ Inception weights data/.*\n +curl -L --create-dirs -o data/\S+ \\\n +https://\S+\.pth\n", out)
    assert not err and max(len(line) for line in out.splitlines() if "https" not in line) <= 100


def test_of_the_authors_models_nothing_is_trained_and_what_is_missing_has_its_command(tmp_path, capsys):
    words = ["-p", f"data_delivery={tmp_path}", "-p", "data_workers=1", "-p", "lidc_source=phantom"]
    assert check(*words, profile="authors") == 2
    out, err = capsys.readouterr()
    for counted in ("nothing is trained: 01, 05 and 09 with the models of data/authors", "Not ready: 11 missing.",
                    r"U-Net, both surgeries +904\.3 M +elsewhere +data/authors\n", r"judge +75\.7 M +elsewhere +data/",
                    r"\n  all .*\n  09 ", r"✗ models of pipeline_path, data/authors: no vae/ and unet/ and soft_pro",
                    r"✗ judge of judge_path, data/authors/judge: .*\n +.venv/bin/python -m namd import --authors DIR\n",
                    "hf download google/medgemma-1.5-4b-it", "alexnet"):
        assert re.search(counted, out), counted
    for absent in ("02 VAE", "05 judge", "stable-diffusion", "vgg16", "FLUX"):
        assert absent not in out, absent
    assert not err and not re.search(r"^  0[2346-8] +\d", out, re.M)       # no such jobs


def test_an_empty_delivery_is_not_ready_and_a_whole_one_is(tmp_path, capsys):
    data = ["-p", "data_source=delivery", "-p", "data_workers=1", "-p"]
    assert check(*data, f"data_delivery={tmp_path}") == 2
    assert "Not ready: 6 missing." in capsys.readouterr().out
    made = tables()
    made["people"] = made["people"].drop(columns="diagemph")                     # the run goes without it
    assert check(*data, f"data_delivery={write_delivery(tmp_path / 'nlst', made)}", "--card", "RTX 4090") == 0
    out, err = capsys.readouterr()
    assert "Ready: nothing is missing." in out and "- optional: diagemph" in out and "on one RTX 4090" in out
    assert not err and "✗" not in out


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_a_delivery_of_lidc_that_is_named_and_not_there_is_not_ready(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    assert check("-p", "lidc_source=delivery", "-p", f"lidc_delivery={tmp_path / name}") == 2
    out = capsys.readouterr().out
    assert "Not ready: 2 missing." in out and "✗ LIDC-IDRI (09; CC BY 3.0, 128 GB): no CT series (DICOM) below " \
        "lidc_delivery" in out and f"c.download_from_selection('{tmp_path / name}', seriesInstanceUID=s)" in out


def test_a_folder_without_config_json_is_said_and_not_to_be_downloaded(tmp_path, capsys):
    assert check("-p", f"autorad_encoder={tmp_path}") == 1
    said = capsys.readouterr().err
    assert "the folder holds no config.json" in said and "hf download" not in said and said.count("\n") == 1


def test_a_share_that_leaves_nobody_to_test_is_said_and_costs_no_traceback(capsys):
    assert check("-p", "data_test_share=0.01", "-p", "data_val_share=0.01") == 2
    assert "no patient in test" in capsys.readouterr().out


def test_a_wrong_card_is_one_sentence(capsys):
    assert check("--card", "a400") == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "use one of a40, a100" in err


def test_a_model_of_unknown_architecture_is_one_sentence(capsys):
    assert check("-p", "vae_path=nobody/nothing") == 1
    assert capsys.readouterr().err.startswith("The architecture of 'nobody/nothing' is not known")


def test_numbers_are_short():
    assert (_count(3880263168), _count(904260804), _count(40960)) == ("3.88 B", "904.3 M", "41.0 k")
    assert (_flop(5.18e16), _flop(1.16e12), _flop(2e6)) == ("51.8 PFLOP", "1.2 TFLOP", "2.0 MFLOP")
    assert [_time(*ends) for ends in ((2, 3), (0.2, 0.5), (0.02, 0.021), (0, 0.001))] == [
        "2.0-3.0 h", "12-30 min", "1 min", "< 1 min"]
