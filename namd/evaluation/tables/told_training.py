"""What came out of a training: which weights its validation loss chose."""


def lowest(history):
    """The rows of the lowest and of the last validation loss: `(Series, Series)`.

    Args:
        history: DataFrame of `loop.fit` with step and val_loss.
    """
    known = history.dropna(subset="val_loss")
    return known.loc[known["val_loss"].idxmin()], known.iloc[-1]


def course(history) -> str:
    """The validation loss at first and at its lowest, for a title.

    Args:
        history: as of `lowest`.

    Source: ours.
    """
    first = history.dropna(subset="val_loss").iloc[0]
    best, _ = lowest(history)
    return f"validation loss {first['val_loss']:.3f} at step {first['step']:.0f}, {best['val_loss']:.3f} at best"


def chosen(history) -> str:
    """Which weights the lowest validation loss chose.

    Args:
        history: as of `lowest`.

    Source: ours.
    """
    best, last = lowest(history)
    late = f"; at the last step, {last['step']:.0f}, it is {last['val_loss']:.3f}"
    rise = "" if best["step"] == last["step"] else late
    return f"The lowest validation loss, {best['val_loss']:.3f}, is that of step {best['step']:.0f}{rise}."
