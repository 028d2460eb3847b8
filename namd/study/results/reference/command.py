"""`python -m namd reference`: keep what a finished run says in outputs/reference/, and write the page of it."""

from namd.ground.files import replacing
from namd.ground.paths import REPO, outputs_root, short
from namd.study.results.reference.gather import refuse_unfinished, write_kept
from namd.study.results.reference.notebooks import FOLDER, write_notebooks
from namd.study.results.reference.page import PAGE, absent, front, render

REFERENCE = REPO / "outputs" / "reference"
README = REPO / "README.md"


def write_reference(plan):
    """Write outputs/reference/<run>/ and reading/ from the run, then README.md from outputs/reference/ alone.

    Files that this run does not have stay as they were and are named. The sentences that README.md repeats and does
    not say yet are printed.

    Raises:
        UserError: the run is not finished, a file of it is damaged, or one in outputs/reference/ is not ours.

    Source: ours, because results that are copied by hand drift from the run that made them.
    """
    root = outputs_root() / plan.values["run_name"]
    refuse_unfinished(plan, root)
    folder = REFERENCE / root.name
    with replacing(folder) as aside:
        sources = write_kept(plan, root, folder, aside)
    with replacing(REFERENCE / FOLDER) as aside:
        before = write_notebooks(plan, root, REFERENCE / FOLDER, aside)
    page = render(REFERENCE, root.name, plan.main)
    with replacing(REFERENCE / PAGE) as aside:
        aside.write_text(page, encoding="utf-8")
    old = sources[sources["kept"] != ""]
    print(f"{short(folder)}: {len(sources) - len(old)} files of this run, {len(old)} kept from before"
          f"{': ' if len(old) else ''}{', '.join(old['file'])}")
    print(f"{short(REFERENCE / FOLDER)}: the executed notebooks, {len(before)} kept from before"
          f"{': ' if before else ''}{', '.join(before)}")
    print(f"The page: {short(REFERENCE / PAGE)}")
    sentences = front(REFERENCE, root.name, plan.main)
    lacking = absent(README, [*sentences["costs"], *sentences["results"]])
    if lacking:
        print("README.md does not say yet (tests/study/results/test_reference.py asks for it):", *lacking, sep="\n  ")
