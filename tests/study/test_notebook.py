import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from PIL import Image
from small_home import write_cohort

from namd.evaluation.figures import alt
from namd.ground import order
from namd.ground.errors import UserError
from namd.ground.order import Job
from namd.ground.paths import REPO
from namd.ground.provenance import cohort_digest
from namd.ground.surroundings import python
from namd.study import notebook as study
from namd.study import stamp
from namd.study.runner.plan import Plan
from namd.study.stamp import stamp_text

matplotlib.use("Agg")


def scope(**more):
    return dict(run_name="smoke", seed=23, device="cpu", threads=1, **more)


def test_the_stamp_has_five_lines_and_names_the_phantom(home, capsys):
    run = study.start("01_data", scope(data_source="phantom", unrelated=3))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "scipy" in run.stamp["versions"] and "scipy" not in lines[1]         # the line stays short
    assert run.digest in lines[0] and "torch" in lines[1] and "seed 23" in lines[2] and "phantom data" in lines[3]
    assert not hasattr(run.p, "unrelated")
    assert run.arm is None and run.dir == run.root == home / "outputs" / "smoke"


def test_an_arm_has_its_own_folder_below_the_run(home):
    run = study.start("02_vae", scope(arm="no_align"))
    assert run.dir == run.root / "arms" / "no_align" and run.dir.is_dir()


def test_starting_twice_draws_the_same_numbers(home):
    draws = []
    for _ in range(2):
        study.start("01_data", scope())
        draws.append((torch.rand(3).tolist(), np.random.rand(3).tolist()))
    assert draws[0] == draws[1]
    assert torch.are_deterministic_algorithms_enabled() and torch.get_num_threads() == 1


def test_the_precision_is_set_and_stamped_and_the_next_run_has_its_own(home, capsys):
    run = study.start("01_data", scope(precision="tf32"))
    assert torch.backends.cuda.matmul.allow_tf32 and run.stamp["dtype"] == "tf32"
    assert "tf32" in capsys.readouterr().out.splitlines()[2]
    study.start("01_data", scope())
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(("values", "mend"), [
    (dict(run_name="smoke", seed="23", device="cpu", threads=1), "leave the quotes out"),
    (dict(run_name="smoke", device="cpu", threads=1), "lacks seed"),
])
def test_a_wrong_parameters_cell_is_refused(home, values, mend):
    with pytest.raises(UserError, match=mend):
        study.start("01_data", values)


def test_the_data_source_comes_from_the_cohort_once_there_is_one(home):
    run = study.start("05_judge", scope())
    manifest = run.root / "cohort" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps(dict(synthetic=False, sha256={}, feature_availability=dict(diagemph="absent"))))
    assert run.synthetic is False and run.stamp["source"] == "phantom"
    again = study.start("06_variance", scope()).stamp
    assert again["source"] == "NLST, 12 of 13 features" and "data      NLST, 12 of 13" in stamp_text(again)


def stamp_of(run, number, arm=None):
    folder = run.root / "arms" / arm / "runs" if arm else run.root / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.json").write_text(json.dumps(dict(arm=arm, job=number, key=number, parameters={}, data=None)))


@pytest.mark.parametrize("number, arm, path, made_by, there, numbers, layers", [
    ("02_vae", "no_align", "cohort/manifest.json", "01", [], "01", ["no_align"]),
    ("03_prior", "no_align-seed24", "vae", "02", ["01"], "02", ["no_align", "seed24"]),
    ("05_judge", None, "arms/no_align/namd", "04", ["01"], "02 03 04", ["no_align"]),
    ("05_judge", None, "arms/no_align/namd", "04", ["01", "02"], "03 04", ["no_align"]),
    ("05_judge", None, "arms/namd/namd", "04", ["01", "02", "03", "04"], "04", []),
    ("06_variance", None, "metrics/probabilities.parquet", "05", ["01"], "02 03 04 05", []),
    ("04_follow_up", "namd", "llm", "01", ["01"], "01", []),
])
def test_need_names_the_commands_that_unblock(home, number, arm, path, made_by, there, numbers, layers):
    run = study.start(number, scope(**({"arm": arm} if arm else {})))
    for n in there:
        stamp_of(run, n, (arm or ("no_align" if "no_align" in path else "namd")) if n in order.PER_ARM else None)
    with pytest.raises(UserError) as caught:
        run.need(path, made_by=made_by)
    files = " ".join(f"--params params/{name}.yaml" for name in ["smoke", *(f"ablations/{layer}" for layer in layers)])
    call = f"{python()} -m namd run {{}} {files}"
    told = call.format(numbers) if " " not in numbers else f"for n in {numbers}; do {call.format('$n')} || break; done"
    assert str(caught.value).endswith(f"notebook {made_by} makes it: {told}")


def test_need_gives_what_is_there_and_the_interpreter_is_one_that_can_be_called(home):
    run = study.start("02_vae", scope(arm="no_align"))
    (run.root / "x").write_text("")
    assert run.need("x") == run.root / "x"
    asked = subprocess.run(f"{python()} -c 'import sys; print(sys.executable)'", cwd=REPO, shell=True,
                           capture_output=True, text=True)
    assert asked.stdout.strip() == sys.executable


def test_a_notebook_by_hand_leaves_out_the_arms_that_are_not_trained_and_says_so(home, capsys):
    run = study.start("05_judge", scope(arm="namd", compare_arms=["namd", "no_align", "no_text"]))
    stamp_of(run, "04", "no_align")
    assert run.trained_arms() == ["namd", "no_align"]
    said = capsys.readouterr().out.splitlines()[5:]
    assert len(said) == 1 and "arm no_text is not trained" in said[0] and "ablations/no_text.yaml" in said[0]
    run.p = run.p.model_copy(update=dict(compare_arms=["no_text", "namd"]))
    assert run.trained_arms() == ["namd"]               # the main one is never left out, wherever it stands


def test_finish_hands_the_key_to_the_next_notebook_and_moves_with_the_parameters(home):
    keys = []
    for size in (64, 32):
        first = study.start("01_data", scope(image_size=size))
        first.finish(subjects=np.int64(40), share=np.float32(0.5))
        second = study.start("02_vae", scope(arm="namd", image_size=size))
        assert second.stamp["upstream"] == {"01_data": first.key}
        keys.append(second.key)
    assert keys[0] != keys[1]
    record = json.loads((first.root / "runs" / "01.json").read_text())
    assert record["numbers"] == {"subjects": 40, "share": 0.5}
    assert record["synthetic"] is True and record["seconds"] >= 0 and record["memory_gib"] > 0


def test_the_key_of_a_part_moves_with_what_decides_it_alone(home):
    def key(modules=("namd.data.images",), reads=("cohort",), given="oracle", **values):
        run = study.start("05_judge", scope(image_size=64, n_boot=50) | values)
        return run.part_key(modules, reads, given)

    key()
    write_cohort(home / "outputs" / "smoke")
    assert key() == key(n_boot=60) and key() != key(threads=2)
    before = {key(), key(given="namd"), key(modules=("namd.data.report",)), key(reads=())}
    write_cohort(home / "outputs" / "smoke", "other")
    assert len({*before, key()}) == 5


def test_a_notebook_refuses_files_made_with_other_parameters(home):
    study.start("01_data", scope(image_size=64)).finish()
    with pytest.raises(UserError, match="has image_size: 32, but 01_data of run smoke was made with 64"):
        study.start("02_vae", scope(arm="namd", image_size=32))


def test_a_seed_arm_may_have_another_seed_than_the_data_and_no_other_arm_may(home):
    study.start("01_data", scope()).finish()
    study.start("02_vae", scope(arm="no_align-seed24") | dict(seed=24)).finish()
    with pytest.raises(UserError, match="has seed: 25, but 02_vae"):
        study.start("03_prior", scope(arm="no_align-seed24") | dict(seed=25))
    with pytest.raises(UserError, match="has seed: 24, but 01_data"):
        study.start("02_vae", scope(arm="no_align") | dict(seed=24))


def test_an_arm_may_begin_with_weights_of_its_own_and_no_other_weights_after_that(home):
    study.start("01_data", scope(vae_path="small")).finish()
    study.start("02_vae", scope(arm="scratch", vae_path="")).finish()
    with pytest.raises(UserError, match="has vae_path: other, but 02_vae"):
        study.start("03_prior", scope(arm="scratch", vae_path="other"))


@pytest.mark.parametrize("layer", ["ablations", "seeds", "alignment"])
def test_no_arm_that_make_trains_is_refused_for_what_01_was_made_with(tmp_path, layer):
    plan = Plan([REPO / "params" / "quick.yaml", REPO / "params" / f"{layer}.yaml"])
    data = dict(arm=None, notebook="01_data_preparation", parameters=plan.parameters(Job("01", None)))
    for job in plan.jobs():
        if job.arm:
            run = SimpleNamespace(name=job.label, arm=job.arm, root=tmp_path, declared=plan.parameters(job),
                                  p=SimpleNamespace(run_name="quick"))
            stamp._same_values(run, data)


def test_the_key_of_01_names_the_cohort_it_built_and_so_does_every_key_after_it(home):
    keys = []
    for crops in ("one", "two", "one"):
        first = study.start("01_data", scope())
        write_cohort(first.root, crops)
        first.finish()
        second = study.start("02_vae", scope(arm="namd"))
        part = second.part_key(("namd.ground.errors",), ["cohort"])
        keys.append((second.upstream["01_data"], second.key, part))
        assert second.stamp["data"] == cohort_digest(first.root)
    assert keys[0] == keys[2] and all(a != b for a, b in zip(keys[0], keys[1], strict=True))


def test_a_cohort_that_is_gone_is_not_called_another_one(home):
    first = study.start("01_data", scope())
    write_cohort(first.root, "one")
    first.finish()
    shutil.rmtree(first.root / "cohort")
    with pytest.raises(UserError, match="01_data of run smoke was made on a cohort that is no longer in .* run 01 "):
        study.start("02_vae", scope(arm="no_align"))


def test_a_notebook_refuses_what_was_made_on_another_cohort(home):
    first = study.start("01_data", scope())
    write_cohort(first.root, "one")
    first.finish()
    study.start("02_vae", scope(arm="no_align")).finish()
    write_cohort(first.root, "two")
    with pytest.raises(UserError, match="01_data of run smoke was made on another cohort than the one in.* 01 "):
        study.start("02_vae", scope(arm="no_align"))
    study.start("01_data", scope()).finish()
    with pytest.raises(UserError, match="02_vae · no_align of run smoke .* run 02 .*ablations/no_align.yaml"):
        study.start("03_prior", scope(arm="no_align"))
    study.start("02_vae", scope(arm="namd")).finish()           # the other arm is none of its business
    study.start("03_prior", scope(arm="namd"))


def test_figures_and_tables_carry_run_and_digest(home):
    run = study.start("01_data", scope())
    fig = Figure()
    fig.subplots().plot([0, 1])
    run.figure(fig, "fig0_line")
    with Image.open(run.dir / "figures" / "fig0_line.png") as image:
        assert run.digest in image.info["Source"] and "smoke" in image.info["Source"]
    df = pd.DataFrame({"auroc": [0.5]}, index=pd.Index(["NAMD"], name="row"))
    assert run.table(df, "t") is df
    written = pd.read_csv(run.dir / "metrics" / "t.csv")
    assert written.to_dict("list") == {"row": ["NAMD"], "auroc": [0.5], "run_name": ["smoke"], "digest": [run.digest]}


def test_a_figure_is_shown_once_with_words_for_what_it_shows(home, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    run = study.start("01_data", scope())
    shell = InteractiveShell.instance()
    select_figure_formats(shell, {"png"})
    fig, axes = plt.subplots(1, 2)
    axes[0].set(title="P", xlabel="nodule i", ylabel="nodule j")
    fig.suptitle("Neighbours, n = 3")
    with capture_output() as seen:
        run.figure(fig, "fig0_rows")
    InteractiveShell.clear_instance()
    text = "fig0 rows: Neighbours, n = 3; P; nodule j against nodule i"
    assert [shown.metadata["image/png"]["alt"] for shown in seen.outputs] == [text]
    with Image.open(run.dir / "figures" / "fig0_rows.png") as image:
        assert image.text["Description"] == text
    assert not plt.get_fignums()
    axes[0].set_title("long " * 99)
    assert len(alt.describe(fig, "fig0_rows")) <= alt.LONGEST


def test_a_phantom_run_never_calls_itself_comparable(home):
    run = study.start("01_data", scope(data_source="phantom"))
    run.panel([dict(quantity="AUROC", paper="0.805", here="0.74", n=9, k=3, comparable=True)])
    panel = pd.read_csv(run.dir / "metrics" / "panel_01.csv")
    assert panel["comparable?"].tolist() == ["not comparable: phantom data"]


def test_a_real_run_may_be_comparable(home):
    run = study.start("01_data", scope(data_source="delivery"))
    run.panel([dict(quantity="AUROC", paper="0.805", here="0.80", n=450, k=20, comparable=True)])
    assert pd.read_csv(run.dir / "metrics" / "panel_01.csv")["comparable?"].tolist() == ["yes"]


def test_a_panel_row_with_a_misspelt_key_is_refused(home):
    with pytest.raises(ValueError, match="quantity"):
        study.start("01_data", scope()).panel([dict(quantity="AUROC", papr="0.8", here="0.7")])


def test_check_prints_a_tick_or_raises_with_the_value(capsys):
    study.check("rows sum to 1", torch.tensor(True), got=1.0)
    assert capsys.readouterr().out == "✓ rows sum to 1 (got 1.0)\n"
    with pytest.raises(AssertionError, match=r"rows sum to 1 \(got 0.9\)"):
        study.check("rows sum to 1", np.False_, got=0.9)


def test_show_prints_the_source_with_its_docstring(capsys):
    study.show(study.check)
    out = capsys.readouterr().out
    assert out.startswith("def check(what, holds") and "AssertionError" in out


def test_planning_needs_no_torch():
    code = "import sys, namd.__main__, namd.study.runner.execute; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
