"""What the repository keeps of a run: its tables and figures, what each notebook cost, and who made which file."""

import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from namd.ground.errors import UserError
from namd.ground.order import LATER
from namd.ground.reading import read_json, read_table, reading
from namd.study.results.reference.costs import write_costs
from namd.study.results.reference.tables import FROM_BEFORE, SOURCES
from namd.study.runner.done import DoneFiles

COHORT_ROWS = "cohort_rows.csv"
WANTED = (*(f"metrics/{name}.csv" for name in (
    "ablation_order", "autorad*", "best_system", "calibration", "claims*", "comparator*", "differences", "doses",
    "effects", "floors", "gaps", "growth", "image_quality", "judges", "record_controls", "record_missing", "regimes",
    "table1", "two_judges*", "unsure_by_variance")),
    *(f"figures/{name}.png" for name in (
        "autorad_confusion", "autorad_forest", "autorad_moves", "autorad_tokens", "boundary", "comparator_*",
        "cost_against_auroc", "decision_curves", "doses", "effects_auroc", "fig2_latent_space", "fig3_*", "fig5_*",
        "referral", "table1_auroc", "test_grid", "unsure_by_variance")))
LATENT = "metrics/latent_space.csv"         # of an arm, by notebook 02
NEIGHBOURS = ("cohorts", "dial")            # commands that read other runs, each a table and a figure
MADE = ("notebook", "digest", "commit", "uncommitted_changes", "made")


@dataclass(frozen=True)
class Source:
    """A file of the run: where it lies, which notebook or command made it, of which commit, under which digest."""

    path: Path
    notebook: str
    commit: str
    digest: str

    @property
    def number(self):
        """The notebook to run when the file is damaged; what a command makes rests on 05."""
        return self.notebook[:2] if self.notebook[:2].isdigit() else "05"


def refuse_unfinished(plan, root):
    """Refuse a run of which a notebook of `make study`, or its page, is still to be made.

    Raises:
        UserError: the sentence names the first one.
    """
    marks = DoneFiles(plan, root)
    jobs = [job for job in plan.jobs() if job.number not in LATER]
    absent = [job.label for job in jobs if not marks.file(job).is_file()]
    if not absent and not (root / "metrics" / "claims.csv").is_file():
        absent = ["its page, which settles the claims,"]
    if absent:
        raise UserError(f"Run {root.name} is not finished, {absent[0]} is still to be made, so nothing of it was kept:"
                        f" `make study PROFILE={root.name}` finishes it.")


def found(plan, root) -> dict[str, Source]:
    """{name: Source} of every file that is kept of the run at `root`; only of notebooks that have finished.

    Raises:
        DamagedError: a stamp cannot be read.
    """
    marks = DoneFiles(plan, root)
    jobs = [job for job in plan.jobs() if marks.file(job).is_file()]
    files = {}
    for job in jobs:
        stamp = read_json(root / job.folder / "runs" / f"{job.number}.json", job.number, *MADE)
        for made in stamp["made"]:
            name = _kept_name(made, job)
            if name:
                files[name] = Source(root / made, stamp["notebook"], committed(stamp), stamp["digest"])
    of_page = read_json(root / "runs" / "05.json", "05", *MADE)
    files["claims.csv"] = Source(root / "metrics" / "claims.csv", "page", committed(of_page), of_page["digest"])
    return files | _of_neighbours(root)


def _kept_name(made, job):
    """The name under which `made`, a path below the run, is kept; empty for what is not kept."""
    path = Path(made)
    if job.arm:
        return f"latent_space_{job.arm}.csv" if made == (job.folder / LATENT).as_posix() else ""
    return path.name if any(fnmatch(made, wanted) for wanted in WANTED) else ""


def committed(stamp):
    """The commit of a stamp, and whether files differed from it."""
    return stamp["commit"] + (" with uncommitted changes" if stamp["uncommitted_changes"] else "")


def _of_neighbours(root):
    """Table and figure of `cohorts` and `dial`, each with the commits and digests of all runs it read."""
    files = {}
    for name in NEIGHBOURS:
        table = root / "metrics" / f"{name}.csv"
        if not table.is_file():
            continue
        read = read_table(table, "05", "run_name", "digest").drop_duplicates("run_name")
        stamps = [_stamp_of(root.with_name(line.run_name), line.digest) for line in read.itertuples()]
        commits = " ".join(dict.fromkeys(committed(stamp) if stamp else "unknown" for stamp in stamps))
        for path in (table, root / "figures" / f"{name}.png"):
            if path.is_file():
                files[path.name] = Source(path, name, commits, " ".join(dict.fromkeys(read["digest"])))
    return files


def _stamp_of(root, digest):
    """The stamp of notebook 05 of the run at `root`, None where it is gone or of another digest."""
    record = root / "runs" / "05.json"
    stamp = read_json(record, "05", *MADE) if record.is_file() else None
    return stamp if stamp and stamp["digest"] == digest else None


def write_kept(plan, root, before, aside):
    """Write `aside`, the new folder of what is kept of a run: this run's files, and those before that it lacks.

    Args:
        root: the finished run; before: the folder as it is now, there or not.

    Returns:
        DataFrame of SOURCES: file, notebook, commit, digest, kept (FROM_BEFORE or empty).

    Raises:
        DamagedError: a file of the run is not as it was written.
    """
    aside.mkdir()
    rows = []
    files = found(plan, root)
    for name, source in files.items():
        with reading(source.path, source.number):
            shutil.copyfile(source.path, aside / name)
        rows.append(dict(file=name, notebook=source.notebook, commit=source.commit, digest=source.digest, kept=""))
    for table in (_cohort_rows(root, aside), write_costs(root, before, aside)):
        rows += [dict(file=name, notebook="reference", commit="", digest="", kept="") for name in table]
    rows += _from_before(before, aside)
    sources = pd.DataFrame(rows).sort_values("file", ignore_index=True)
    sources.to_csv(aside / SOURCES, index=False)
    return sources


def _from_before(before, aside):
    """Copy the files that only `before` has; their lines of SOURCES, as far as they are known."""
    told = pd.read_csv(before / SOURCES, keep_default_na=False) if (before / SOURCES).is_file() else pd.DataFrame()
    known = told.set_index("file").to_dict("index") if len(told) else {}
    rows = []
    for file in sorted([*before.glob("*.csv"), *before.glob("*.png")]):
        if (aside / file.name).exists() or file.name == SOURCES:
            continue
        shutil.copyfile(file, aside / file.name)
        line = known.get(file.name, dict(notebook="", commit="unknown", digest=""))
        rows.append(dict(file=file.name, **line) | dict(kept=FROM_BEFORE))
    return rows


def _cohort_rows(root, aside):
    """Write COHORT_ROWS: Table 1 of this run and of each cohort beside it, with the seed that drew its patients."""
    cohorts = aside / "cohorts.csv"
    names = [root.name]
    if cohorts.is_file():
        names += list(pd.read_csv(cohorts)["run_name"].unique())
    parts = []
    for name in names:
        folder = root.with_name(name)
        table = folder / "metrics" / "table1.csv"
        if table.is_file():
            seed = read_json(folder / "runs" / "01.json", "01", "parameters")["parameters"].get("phantom_seed")
            columns = ["row", "auroc_mean", "auroc_sd", "n", "malignant", "k", "run_name", "digest"]
            parts.append(read_table(table, "05", "row")[columns].assign(phantom_seed=seed))
    pd.concat(parts).to_csv(aside / COHORT_ROWS, index=False)
    return [COHORT_ROWS]


