"""Bars with the time left where a reader looks on, hung from outside on the work that takes long."""

import sys
import threading
from functools import partial, wraps

from IPython import get_ipython
from tqdm.auto import tqdm

from namd.ground.surroundings import somebody_looks

POLL_SECONDS = 0.5


def watch() -> None:
    """Let training, drawing and reading show bars in this notebook; headless they go on to print lines.

    Call it when the notebook has imported what it uses. Calling it again changes nothing.

    Source: ours, because the code that decides a result should not change with what a reader is shown.
    """
    if not somebody_looks() or getattr(get_ipython(), "kernel", None) is None:
        return
    for name, (function, watched) in WATCHED.items():
        module = sys.modules.get(name)
        if module is not None and not hasattr(getattr(module, function), "__wrapped__"):
            setattr(module, function, watched(getattr(module, function)))


def training(fit):
    """`loop.fit` with a bar of its steps in the place of its lines; where the caller says what to log, as it was."""
    @wraps(fit)
    def with_a_bar(step, trained, **settings):
        if "log" in settings:
            return fit(step, trained, **settings)
        bars = []                       # one, from the first step: a finished training takes none

        def counted(idx, g, i):
            if not bars:
                bars.append(tqdm(total=settings["n_steps"], initial=i, desc=settings["stage"], unit="step"))
            logs = step(idx, g, i)
            bars[0].update()
            return logs

        def tell(line):
            if not bars:
                print(line)
            else:
                bars[0].set_postfix_str(line.split(" · ")[1])       # the loss

        try:
            return fit(counted, trained, **settings, log=tell)
        finally:
            for bar in bars:
                bar.close()
    return with_a_bar


def drawing(draw_rows):
    """`drawing.draw_rows` with a bar of its pieces, which appear as files whichever process draws them."""
    @wraps(draw_rows)
    def with_a_bar(makers, x1, ehr, seeds, folder, batch, *more, **settings):
        from namd.forecasters.drawing import Row, row_file
        rows = [Row(makers[row], seeds[row], row_file(folder, row), "") for row in makers]
        pieces = {row.parts.path: len(row.pieces(len(x1), batch)) for row in rows}
        drawn = threading.Event()
        looker = threading.Thread(target=_look, args=(pieces, drawn), daemon=True)
        looker.start()
        try:
            return draw_rows(makers, x1, ehr, seeds, folder, batch, *more, **settings)
        finally:
            drawn.set()
            looker.join()
    return with_a_bar


def _look(pieces, drawn):
    """Show how many of `pieces`, {folder: how many}, are there, until `drawn`; folders of other rows are not begun."""
    bar = None
    while not drawn.wait(POLL_SECONDS):
        begun = [folder for folder in pieces if folder.is_dir()]
        there = sum(len([*folder.glob("[0-9]*.npy")]) for folder in begun)
        if bar is None and there:
            bar = tqdm(total=sum(pieces[folder] for folder in begun), initial=there, desc="draw", unit="piece")
        elif bar is not None:
            bar.update(max(0, there - bar.n))
    if bar is not None:
        bar.close()


def jobs_of(what, in_order):
    """`workers.in_order` with a bar of its jobs."""
    @wraps(in_order)
    def with_a_bar(call, jobs, workers):
        jobs = list(jobs)
        yield from tqdm(in_order(call, jobs, workers), total=len(jobs), desc=what, unit="batch")
    return with_a_bar


WATCHED = {         # module: what of it takes long, and its bar
    "namd.training.loop": ("fit", training),
    "namd.forecasters.drawing": ("draw_rows", drawing),
    "namd.data.phantom.delivery": ("in_order", partial(jobs_of, "phantom patients")),
    "namd.data.nlst.reading": ("in_order", partial(jobs_of, "read series")),
}
