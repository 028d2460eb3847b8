"""index.html of a run: what was found, the figures, then claims ledger, Table 1, notebooks and stamp, folded."""

import base64

import pandas as pd

from namd.evaluation.figures import alt
from namd.evaluation.figures.screen import at_screen_size
from namd.evaluation.tables import table1_layout
from namd.evaluation.tables.found import what_we_found
from namd.evaluation.tables.ledger import ledger
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.order import AFTER, Job
from namd.ground.paper import ours
from namd.ground.paths import outputs_root, short
from namd.ground.reading import read_json, read_table
from namd.study.runner.done import DoneFiles
from namd.study.site.exporter import LOOK
from namd.study.site.write import template

FIGURES = (
    ("Generated follow-ups", "*grid*", "Baseline, real follow-up and generated follow-ups of test nodules."),
    ("Figure 2 · Latent space", "fig2_*", "Each dot is a nodule; the colour is its longest diameter."),
    ("Figure 3 · Error and variance", "fig3_[!c]*", "Prediction error against predictive variance."),
    ("Figure 3 · Cases", "fig3_cases*", "Single cases: right and wrong, sure and unsure."),
    ("Figure 5 · Runs needed", "fig5_*", "Running variance of the judge's probability over the runs."),
    ("What a row costs", "cost_against_auroc*", "AUROC against FLOPs of a follow-up, parameters and time of training."),
    ("The dial", "dial*", "AUROC along the phantom's predictability: when a virtual follow-up can help at all."),
    ("Other patients", "cohorts*", "NAMD's and the oracle's gain on cohorts that no setting was chosen on."),
)
STAMP = ("run_name", "digest", "key", "commit", "uncommitted_changes", "versions", "device", "threads", "dtype",
         "synthetic")
GROUPS = {"ours": "Ours beside them", "AutoRad-Lung": "Claims of AutoRad-Lung"}      # by the claim's place
VERDICTS = ("holds", "fails", "undecided", "not comparable", "not run here")
FILLED = ("row", "k", "n", "malignant", "digest")       # columns of a table of rows that no line may lack
OWN = "Systems, controls and ceilings that the paper does not have"


def write_page(plan):
    """Write outputs/<run>/metrics/claims.csv and outputs/<run>/index.html from what the run left behind.

    Raises:
        UserError: notebook 05 has not run, so there is no Table 1; or a file that it left is damaged.

    Source: ours, because a result that needs eight notebooks to be found is not seen.
    """
    root = outputs_root() / plan.values["run_name"]
    page, claims = render(plan, root)
    with replacing(root / "metrics" / "claims.csv") as aside:
        claims.to_csv(aside, index=False)
    with replacing(root / "index.html") as aside:
        aside.write_text(page, encoding="utf-8")
    print(f"The results: {short(root / 'index.html')}")


def render(plan, root, pages=None):
    """(page, claims ledger) of the run at `root`.

    Args:
        pages: {name of a notebook: link to its page}, where they do not lie as in the run.

    Raises:
        as `write_page`.
    """
    table = root / "metrics" / "table1.csv"
    record = root / "runs" / "05.json"
    if not (table.is_file() and record.is_file()):
        raise UserError(f"Run {root.name} has no metrics/table1.csv yet; notebook 05 writes it.")
    stamp = read_json(record, "05", *STAMP)
    rows = _rows(root, plan, table)
    claims = _settle(root, plan, stamp)
    found = what_we_found(root / "metrics", plan.main, stamp["synthetic"])
    page = template("page.html.j2", __package__).render(
        look=LOOK, stamp=stamp, found=found, claims=_claims(claims), notebooks=_notebooks(root, plan, pages),
        **_figures(root, plan), **_table1(rows))
    return page, claims


def _settle(root, plan, stamp):
    """The claims ledger from the tables of every notebook that has followed this 05, or one with the same results."""
    done = DoneFiles(plan, root)
    records = {}
    for file in root.glob("runs/0[679].json"):
        records[file.stem] = read_json(file, file.stem, "notebook", "upstream", "numbers")
    stale = [number for number, record in records.items()
             if stamp["key"] not in record["upstream"].values() and not done.current(Job(number, None))]
    for number in stale:
        print(f"{records[number]['notebook']} was run before this 05: its claims are left out until it is run again.")
    arms = records["07"]["numbers"].get("arms", ()) if "07" in records else ()
    current = [number for number in AFTER if number not in stale]
    return ledger(root, plan.main, arms, current).assign(run_name=root.name, digest=stamp["digest"])


def _claims(frame):
    """The ledger as the page shows it: a count of the verdicts, then the claims of the papers and ours."""
    counts = frame["verdict"].value_counts()
    data = frame["data"].iloc[0]
    named = "phantom data" if data == "phantom" else data
    groups = {}
    for _, row in frame.iterrows():
        title = next((name for start, name in GROUPS.items() if row["place"].startswith(start)), "Claims of the paper")
        groups.setdefault(title, []).append(_claim(row, data))
    return dict(data=named, groups=groups,
                counts=" · ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts))


def _claim(row, data):
    """One line of the ledger: the sentence and its statistic, the number, what it rests on, the verdict, the reason.

    data: what the ledger rests on; a line of other data says so.
    """
    line = dict(row[["claim", "place", "statistic", "verdict", "why"]])
    line |= dict(effect="–", bounds="", unit="", over="", basis="")
    if pd.isna(row["effect"]):
        return line
    if not pd.isna(row["low"]):
        line["bounds"] = f"[{row['low']:.3g}, {row['high']:.3g}]"
    seeds = int(row["training_seeds"])
    line["effect"] = f"{row['effect']:.3g}"
    line["unit"] = row["unit"]
    line["over"] = row["over"]
    line["basis"] = f"n = {int(row['n'])}, K = {int(row['k'])}, {seeds} training seed{'s' * (seeds > 1)}"
    if row["data"] != data:
        line["basis"] += f", {row['data']} data"
    return line


def _rows(root, plan, table):
    """Rows of notebook 05 and, where notebook 08 has finished on the same cohort and judge, the compared systems."""
    frame = read_table(table, "05", *FILLED)
    if DoneFiles(plan, root).holds(Job("08", None)):
        systems = read_table(root / "metrics" / "comparators.csv", "08", *FILLED)
        frame = pd.concat([frame, systems], ignore_index=True)
    return frame.set_index("row")


def _table1(frame):
    """What the page says of Table 1: its lines in their groups, its columns, and whose features its FID has."""
    columns = table1_layout.page_columns(frame)
    lines = table1_layout.lines(frame, lambda row: OWN)
    width = 1 + sum(2 if beside.paper else 1 for beside in columns)
    return dict(columns=columns, groups=table1_layout.by_group(lines), width=width, notes=_notes,
                no_value=table1_layout.Value(), n=int(frame["n"].max()), malignant=int(frame["malignant"].max()),
                other_scale=ours("fid", frame) == "fid")


def _notes(line):
    """Below a method's name: what we call it, its runs, and whether it may be compared."""
    if line.row is None:
        return "not run here"
    known_as = "" if line.row == line.name else line.row
    return " · ".join(filter(None, [known_as, f"K = {line.k}", line.comparable]))


def _figures(root, plan):
    """The figures that are there: those of FIGURES with their images and what they show, then all others by name."""
    found = []
    shown = set()
    folders = (root / "figures", root / "arms" / plan.main / "figures")
    for title, pattern, caption in FIGURES:
        files = next(filter(None, (sorted(folder.glob(f"{pattern}.png")) for folder in folders)), [])
        if files:
            found.append(dict(title=title, caption=caption, images=[_image(file) for file in files]))
        shown |= {file.name for file in files}
    drawn = [file for folder in folders for file in sorted(folder.glob("*.png")) if file.name not in shown]
    return dict(figures=found, others=[_image(file) for file in drawn])


def _image(file):
    """A picture as text inside the page."""
    words = alt.of_file(file)
    small = at_screen_size(file.read_bytes())
    return dict(name=file.stem.replace("_", " "), alt=words, data=base64.b64encode(small).decode())


def _notebooks(root, plan, pages):
    """Every executed notebook with its page, wall time and peak memory; of `pages` alone where they are given."""
    found = []
    for job in plan.jobs():
        record = root / job.folder / "runs" / f"{job.number}.json"
        if not record.is_file() or (pages is not None and job.arm not in (None, plan.main)):
            continue
        told = read_json(record, job.number, "notebook", "seconds", "memory_gib", "digest")
        own = f"{(job.folder / 'notebooks' / told['notebook']).as_posix()}.html"
        found.append(told | dict(link=own if pages is None else pages[told["notebook"]], label=job.label))
    return found
