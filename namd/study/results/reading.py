"""`python -m namd reading`: the executed series of a run as a site that needs no network."""

from namd.ground.files import replacing
from namd.ground.paths import NOTEBOOKS, REPO, outputs_root, short
from namd.ground.reading import read_json
from namd.study.results.page import render
from namd.study.site.write import write_site

KEPT = REPO / "outputs" / "reference" / "reading"
TITLE = "NAMD, step by step"
PHANTOM = ("Phantom data: every nodule, record and outcome was drawn by a program. No number says anything about"
           " patients. For research and teaching only.")
ABOUT = ("The results that matter in six sentences, every claim of the papers with its verdict, Table 1 and all figures"
         " of the run.")


def write_reading(plan):
    """Write outputs/<run>/reading/: a page of each executed notebook, of the main arm where there are several.

    A run of which nothing has been executed yet leaves the notebooks that the repository keeps: outputs/reading/.

    Raises:
        DamagedError: a notebook of the run, or its stamp, is damaged.

    Source: ours, because a class or a reader on the train has neither the time nor the machine to run the series.
    """
    root = outputs_root() / plan.values["run_name"]
    files = executed(plan, root)
    if not files:
        folder = outputs_root() / "reading"
        with replacing(folder) as aside:
            write_site(sorted(KEPT.glob("*.ipynb")), aside, TITLE, PHANTOM)
        print(f"Run {root.name} has no executed notebook yet: these are the ones that the repository keeps.")
        print(f"The series to read: {short(folder / 'index.html')}")
        return
    folder = root / "reading"
    results = dict(link="results.html", title="What came out", about=ABOUT)
    finished = (root / "index.html").is_file()
    synthetic = read_json(root / "runs" / "01.json", "01", "synthetic")["synthetic"]
    with replacing(folder) as aside:
        write_site(files, aside, TITLE, PHANTOM if synthetic else "", [results] if finished else [])
        if finished:
            page, _ = render(plan, root, {file.stem: f"{file.stem}.html" for file in files})
            (aside / results["link"]).write_text(page, encoding="utf-8")
    print(f"The series to read: {short(folder / 'index.html')}")


def executed(plan, root) -> list:
    """The executed notebooks of a run in their order; of the main arm where several arms have one."""
    found = []
    for source in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        places = [root / folder / "notebooks" / source.name for folder in ("", f"arms/{plan.main}")]
        found += [place for place in places if place.is_file()][:1]
    return found
