"""What must run again after which change: the notebooks of the series, on a copy of the code; and what must train."""

import ast
import json
import re
import shutil

import pytest
from small_home import ARM, forget, write_cohort

from namd.__main__ import main
from namd.data.nlst.fingerprint import fingerprint, record
from namd.ground import order, paths, provenance
from namd.ground.contents import Contents
from namd.ground.order import Job
from namd.study import notebook as study
from namd.study.runner.done import DoneFiles
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
FIRST = Job("01", None)
ALL = ["00", "01", "02", "02", "03", "03", "04", "04", "05", "06", "07", "08", "09"]
MADE = {"00": "metrics/found.csv", "01": "cohort/pairs.parquet", "02": "vae/config.json",
        "03": "unet_uncond/config.json", "04": "namd/model_index.json", "05": "metrics/table1.csv",
        "06": "figures/boundary.png", "07": "metrics/effects.csv", "08": "metrics/comparators.csv",
        "09": "metrics/autorad.csv"}


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Folder of a copy of the code, the notebooks and the parameters, and a finished run of them."""
    for name in ("namd", "notebooks", "params"):
        shutil.copytree(paths.REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(paths, "REPO", tmp_path)
    monkeypatch.setattr(order, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
    forget()
    finish(tmp_path / "outputs" / "smoke")
    yield tmp_path
    forget()


def finish(root):
    """What the notebooks of a run leave: one file each, made of those of the notebook before."""
    (root / "delivery").mkdir(parents=True)
    write_cohort(root)
    record(root / "cohort", fingerprint(root / "delivery"))
    marks = DoneFiles(Plan([SMOKE]), root)
    for job in marks.plan.jobs():
        made = job.folder / MADE[job.number]
        (root / made).parent.mkdir(parents=True, exist_ok=True)
        (root / made).write_text(job.label)
        before = [each.folder / MADE[each.number] for each in marks.plan.parents(job)]
        reads = ["cohort", *map(str, before)] if job.number > FIRST.number else []
        stamp = root / job.folder / "runs" / f"{job.number}.json"
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(json.dumps(dict(
            numbers={}, made=[str(made)], reads={path: Contents().digest(root / path) for path in reads})))
        marks.write(job, 1.0)


def stale(copy, *pairs):
    """Numbers of the notebooks that must run again, one for each arm."""
    marks = DoneFiles(Plan([SMOKE], pairs), copy / "outputs" / "smoke")
    return [job.number for job in marks.plan.jobs() if not marks.current(job)]


def why(copy, number, *pairs):
    plan = Plan([SMOKE], pairs)
    return DoneFiles(plan, copy / "outputs" / "smoke").why(plan.asked(number))


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def edit_cell(copy, number, old, new):
    """Change the source of a notebook's code."""
    forget()
    file = next((copy / "notebooks").glob(f"{number}_*.ipynb"))
    told = json.loads(file.read_text())
    sources = ["".join(cell["source"]) for cell in told["cells"]]
    assert any(old in source for source in sources)
    for cell, source in zip(told["cells"], sources, strict=True):
        cell["source"] = source.replace(old, new)
    file.write_text(json.dumps(told))


def training_keys(copy):
    """Keys of what notebooks 02 to 04 train."""
    forget()
    plan = Plan([SMOKE])
    found = {}
    for number in order.PER_ARM:
        values = plan.parameters(plan.asked(number))
        run = study.Run.__new__(study.Run)
        run.number, run.declared, run.reads, run.contents = number, values, {}, Contents()
        run.root = copy / "outputs" / "smoke"
        run.dir = run.root / "arms" / "namd"
        found[number] = run.training_key()
    return found


def test_a_finished_run_is_current(copy):
    assert stale(copy) == []


DOCSTRING = ("namd/evaluation/figures/plots.py", '"""', '"""Other words. ')
COMMENT = ("namd/ground/errors.py", '"""', '# why\n"""')


@pytest.mark.parametrize("file, old, new", [DOCSTRING, COMMENT], ids=["a docstring", "a comment"])
def test_words_in_a_module_rerun_nothing(copy, file, old, new):
    text = (copy / file).read_text()
    (copy / file).write_text(text.replace(old, new, 1))
    assert stale(copy) == []


def test_an_exercise_or_a_sentence_reruns_nothing(copy):
    edit_cell(copy, "02", "# your turn", "x = 1")
    edit_cell(copy, "02", "## What you will learn", "## What you learn")
    assert stale(copy) == []


def test_a_comment_in_a_cell_reruns_nothing(copy):
    edit_cell(copy, "02", "# papermill_description=train the VAE", "# train")
    assert stale(copy) == []


def test_a_plot_helper_reruns_what_imports_it_and_trains_nothing(copy):
    before = training_keys(copy)
    (copy / "namd/evaluation/figures/plots.py").open("a").write("\nNEW = 1\n")
    assert stale(copy) == ALL
    assert why(copy, "02") == ["module namd.evaluation.figures.plots changed"]
    assert training_keys(copy) == before


def test_a_plot_cell_reruns_its_notebook_and_trains_nothing(copy):
    before = training_keys(copy)
    edit_cell(copy, "02", '["val_loss", "rec", "align", "pred"]', '["val_loss"]')
    assert stale(copy) == ["02", "02"] and training_keys(copy) == before
    (line,) = why(copy, "02")
    assert line.startswith("cell ") and "(`weights = dict(rec=1" in line and line.endswith("changed")


def test_a_cell_of_the_objective_trains_again(copy):
    before = training_keys(copy)
    edit_cell(copy, "02", "z = q.mean + q.std * xi", "z = q.mean")
    now = training_keys(copy)
    assert now["02"] != before["02"] and now["03"] == before["03"]


def test_a_parameter_reruns_the_notebooks_that_declare_it(copy):
    assert stale(copy, "vae_lr=1.0e-3") == ["02", "02"]
    assert why(copy, "02", "vae_lr=1.0e-3") == ["parameter vae_lr: 0.002 -> 0.001"]
    assert stale(copy, "save_every=7") == []


def test_a_training_module_trains_again_what_imports_it(copy):
    before = training_keys(copy)
    (copy / "namd/models/losses.py").open("a").write("\nNEW = 1\n")
    now = training_keys(copy)
    assert "02" in stale(copy) and "01" not in stale(copy)
    assert now["02"] != before["02"]


def test_a_figure_of_the_paper_reruns_what_prints_it_and_trains_nothing(copy):
    before = training_keys(copy)
    edit(copy / "namd/ground/paper.py", ".805", ".905")
    assert {"01", "05", "07", "08"} <= set(stale(copy)) and "02" not in stale(copy)
    assert why(copy, "05") == ["module namd.ground.paper changed"] and training_keys(copy) == before


def test_what_settles_determinism_reruns_and_trains_everything(copy):
    before = training_keys(copy)
    edit(copy / "namd/ground/process.py", "torch.use_deterministic_algorithms(True)", "pass")
    assert stale(copy) == ALL
    assert all(before[number] != key for number, key in training_keys(copy).items())


def test_a_file_added_to_the_delivery_reruns_01(copy):
    (copy / "outputs" / "smoke" / "delivery" / "late.dcm").write_text("")
    assert stale(copy) == ["01"] and "delivery" in why(copy, "01")[0]


def test_a_phantom_delivery_that_is_gone_reruns_01(copy):
    shutil.rmtree(copy / "outputs" / "smoke" / "delivery")
    assert stale(copy) == ["01"] and "delivery" in why(copy, "01")[0]


def test_another_cohort_reruns_and_trains_what_reads_it(copy):
    before = training_keys(copy)
    write_cohort(copy / "outputs" / "smoke", crops="other")
    assert stale(copy) == ALL[2:] and why(copy, "05") == [
        "cohort, which 01_data_preparation made, changed"]
    assert all(before[number] != key for number, key in training_keys(copy).items())


@pytest.mark.parametrize("number", MADE)
def test_a_lost_artefact_is_noticed_by_the_notebook_that_made_it(copy, number):
    plan = Plan([SMOKE])
    path = plan.asked(number).folder / MADE[number]
    (copy / "outputs" / "smoke" / path).unlink()
    assert f"{path}, which it made, is gone" in why(copy, number)


def test_content_decides_and_not_time(copy):
    root = copy / "outputs" / "smoke"
    vae = root / "arms/namd/vae/config.json"
    text = vae.read_text()
    vae.write_text("other")
    assert stale(copy) == ["02", "03"]
    assert "arms/namd/vae/config.json, which 02_aligned_vae · namd made, changed" in why(copy, "03")
    vae.write_text(text)
    assert stale(copy) == []


def test_another_version_of_a_library_reruns_and_trains_everything(copy, monkeypatch):
    before = training_keys(copy)
    versions = provenance.versions() | {"torch": "0.1"}
    monkeypatch.setattr(provenance, "versions", lambda: versions)
    assert stale(copy) == ALL
    assert all(before[number] != key for number, key in training_keys(copy).items())


def test_an_edit_that_is_taken_back_is_none(copy):
    file = copy / "namd/models/losses.py"
    text = file.read_text()
    file.write_text(text + "\nNEW = 1\n")
    marks = DoneFiles(Plan([SMOKE]), copy / "outputs" / "smoke")
    marks.settle()
    assert not marks.file(marks.plan.asked("02")).exists()
    file.write_text(text)
    again = DoneFiles(Plan([SMOKE]), copy / "outputs" / "smoke")
    again.settle()
    assert all(map(again.holds, again.plan.jobs()))


@pytest.mark.parametrize("number", order.PER_ARM)
def test_the_training_of_a_notebook_reads_what_order_says(copy, number):
    calls = [node for node in ast.walk(ast.parse(study.slices.sliced(number))) if isinstance(node, ast.Call)]
    needed = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "run.need"]
    said = [path.removeprefix("{arm}/") for path in order.TRAINS_ON[number]]
    assert needed and all(any(path in call or call.startswith("folder /") for path in said) for call in needed)


def test_why_says_it_on_one_screen(copy, capsys):
    assert main(["why", "02", "--params", str(SMOKE)]) == 0
    assert "02_aligned_vae · namd of run smoke is current: finished" in capsys.readouterr().out
    (copy / "outputs/smoke/delivery/late.dcm").write_text("")
    assert main(["why", "02", "--params", str(SMOKE), "-p", "vae_lr=1.0e-3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "02_aligned_vae · namd of run smoke is not current:", "  parameter vae_lr: 0.002 -> 0.001",
        "Not current among those it follows: 01_data_preparation."]


HERE = """from pathlib import Path
from namd.ground import order
order.NOTEBOOKS = Path.cwd()"""           # the kernel is another process
TRAINS = """import torch
from namd.evaluation.figures import plots
from namd.study.notebook import start
from namd.training import loop
run = start("02_vae", globals())
net = torch.nn.Linear(1, 1)
def step(idx, g, step_no):
    with open(run.root / "steps", "a") as log:
        log.write("x")
    return {"loss": net(torch.ones(1, 1)).square().mean()}"""
FIT = """history = loop.fit(step, net, n_steps=3, n_items=4, batch_size=2, lr=lambda s: 0.1, stage="s", seed=1,
                   folder=run.dir / "checkpoints", key=run.training_key(), validate=lambda: 1.0)"""
PLOT = """title = "{}"
with open(run.dir / "weights", "w") as out:
    out.write(str(net.weight.item()))
run.made("weights")
run.finish()"""


def test_an_edited_picture_runs_again_and_finds_the_weights(home, write, capsys):
    log = home / "outputs" / "smoke" / "steps"

    def go(title, first=TRAINS):
        write("02_vae", HERE, first, FIT, PLOT.format(title), parameters=ARM, tags={3: ["training"]})
        assert main(["run", "02", "--params", str(SMOKE)]) == 0
        return len(log.read_text()), (home / "outputs/smoke/arms/namd/weights").read_text()

    taught = go("one")
    steps, weight = go("one", TRAINS.replace(".square()", ".square().mul(2)"))
    assert taught[0] == 3 and steps == 6 and weight != taught[1]
    capsys.readouterr()
    assert go("two") == (6, taught[1])      # another picture, and the edit taken back: its weights are still there
    assert re.search(r"02_vae · namd · starts: .*cell 5 \(`title = \"two\"`\) changed", capsys.readouterr().out)
