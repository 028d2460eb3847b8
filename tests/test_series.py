"""The whole series on params/smoke.yaml through Snakemake and papermill, as `make study` runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from namd.ground import order, paths
from namd.ground.paper import PAPER
from namd.study.runner import plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
PLAN = plan.Plan([SMOKE])
FLAGS = ["--quiet", "all", "--nolock", "--rerun-incomplete", "--rerun-triggers", "mtime"]


def snakemake(outputs, *more, files=(SMOKE,), flags=FLAGS):
    """Run the Snakefile below `outputs`; returns its standard output."""
    words = [sys.executable, "-m", "snakemake", "--cores", "2", *flags, "--config",
             "params=" + ",".join(map(str, files)), *more]
    done = subprocess.run(words, cwd=paths.REPO, env={**os.environ, "NAMD_OUTPUTS": str(outputs)},
                          capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    snakemake(folder, flags=["all", "run_08", *FLAGS])
    snakemake(folder, flags=["run_09", *FLAGS])              # it reads what 08 has drawn
    snakemake(folder, flags=["page", "--forcerun", "page", *FLAGS])
    return folder


@pytest.mark.parametrize("job", PLAN.jobs(), ids=lambda job: job.label)
def test_every_notebook_leaves_its_record_html_and_done_file(outputs, job):
    folder, name = outputs / "smoke" / job.folder, order.notebook(job.number).stem
    assert (outputs / "smoke" / job.mark).is_file()
    assert (folder / "runs" / f"{job.number}.json").is_file()
    assert (folder / "notebooks" / f"{name}.ipynb").is_file()
    assert "<html" in (folder / "notebooks" / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [
    "cohort/manifest.json", "cohort/pairs.parquet", "params.yaml", "index.html",
    "arms/namd/vae/config.json", "arms/namd/latents/train.safetensors", "arms/namd/unet_uncond/config.json",
    "arms/namd/namd/unet/config.json", "arms/no_align_no_pred/namd/unet/config.json", "samples/namd.npy",
    "samples/no_align_no_pred.npy", "metrics/table1.csv", "metrics/panel_07.csv", "metrics/claims.csv",
    "metrics/autorad.csv", "metrics/autorad_effects.csv", "metrics/autorad_seeds.csv", "metrics/two_judges.csv",
    "lidc/crops_mask.npy",
])
def test_the_artefacts_lie_where_the_layout_says(outputs, path):
    assert (outputs / "smoke" / path).is_file()


def test_both_judges_read_the_rows_of_05_and_of_08(outputs):
    judged = pd.read_csv(outputs / "smoke" / "metrics" / "two_judges.csv").set_index("row")
    wanted = {"real baseline", "real follow-up", "oracle", "namd", "no_align_no_pred", "mcwgan", "flux"}
    assert wanted <= set(judged.index)
    assert judged[["first", "second"]].notna().all().all()


def test_table_1_has_a_row_per_arm_and_finite_numbers(outputs):
    table = pd.read_csv(outputs / "smoke" / "metrics" / "table1.csv", dtype={"digest": str}).set_index("row")
    assert {"real baseline", "real follow-up", "namd", "no_align_no_pred", "oracle"} <= set(table.index)
    assert table.loc["namd", ["auroc_mean", "auprc_mean", "lpips_mean", "fid_mean"]].notna().all()
    assert (table["digest"].str.len() == 8).all()


def test_every_system_of_table_1_has_its_rows_and_stands_on_the_page(outputs):
    rows = pd.read_csv(outputs / "smoke" / "metrics" / "comparators.csv").set_index("row")
    page = (outputs / "smoke" / "index.html").read_text(encoding="utf-8")
    assert rows[["auroc_mean", "auprc_mean", "lpips_mean", "fid_mean"]].notna().all().all()
    for paper in PAPER["table1"]:
        assert paper in {"Real baseline LDCT", "Real follow-up LDCT", "NAMD", "NAMD (w/o L_align)", *rows.paper_row}
        assert re.search(rf'<th scope="row">{re.escape(paper)}<br>(?!.*?not run here).*?</tr>', page)
    assert {"brlp", "delta_lfm", "sd15_report"} <= set(rows.index)


def test_a_second_run_finds_nothing_to_do(outputs):
    before = {f: f.stat().st_mtime_ns for f in outputs.rglob("*.json")}
    assert "11 of 11 notebooks" in snakemake(outputs)
    assert {f: f.stat().st_mtime_ns for f in outputs.rglob("*.json")} == before


def test_the_same_seed_gives_the_same_bytes_on_one_core_as_on_two(outputs, tmp_path):
    snakemake(tmp_path, "--cores", "1", flags=["arms/namd/done/02.json", *FLAGS])      # tests/test_kill.py: the others
    files = [Path("smoke", "cohort", name) for name in ("pairs.parquet", "crops.npy", "refused.csv")]
    files += [file.relative_to(tmp_path) for file in tmp_path.glob("smoke/arms/namd/*/**/*.safetensors")
              if "checkpoints" not in file.parts]
    assert len(files) > 5
    differ = [str(file) for file in files if (outputs / file).read_bytes() != (tmp_path / file).read_bytes()]
    assert not differ


def test_a_vae_parameter_would_rerun_the_vae_and_what_follows_but_not_the_data(outputs, tmp_path):
    changed = tmp_path / "smoke.yaml"
    changed.write_text(SMOKE.read_text().replace("vae_lr: 2.0e-3", "vae_lr: 1.0e-3"))
    plan = snakemake(outputs, "--dry-run", files=(changed,), flags=FLAGS[2:])
    assert "wildcards: arm=namd" in plan and "wildcards: arm=no_align_no_pred" in plan
    assert "rule run_02:" in plan and "rule run_03:" in plan and "rule run_07:" in plan
    assert "rule run_01" not in plan


def test_an_unknown_profile_ends_in_one_sentence(tmp_path):
    words = [sys.executable, "-m", "snakemake", "--cores", "1", *FLAGS, "--config", "params=params/quik.yaml"]
    done = subprocess.run(words, cwd=paths.REPO, env={**os.environ, "NAMD_OUTPUTS": str(tmp_path)},
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        line for line in done.stderr.strip().splitlines() if line.startswith("There is no parameter file")]
