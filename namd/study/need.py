"""The commands that make what a notebook lacks: all of them, as they can be typed at the root of the checkout."""

from namd.ground import order, paths
from namd.ground.surroundings import python


def commands(root, number, arm=None):
    """The shell command that makes what notebook `number` makes, with whatever lacks before it.

    Args:
        root: of the run; number: e.g. "04"; arm: of 02 to 04, None for the main one.
    """
    numbers = _lacking(root, number, arm)
    call = f"{python()} -m namd run {numbers[0] if len(numbers) == 1 else '$n'}"
    line = " ".join([call, *(f"--params {file}" for file in _files(root.name, arm))])
    return line if len(numbers) == 1 else f"for n in {' '.join(numbers)}; do {line} || break; done"


def _lacking(root, number, arm):
    """The notebooks before `number` that have left no stamp for this arm, and `number` itself."""
    def stamp(n):
        return (root / "arms" / (arm or order.MAIN) if n in order.PER_ARM else root) / "runs" / f"{n}.json"
    return [*(n for n in order.before(number) if not stamp(n).is_file()), number]


def _files(run_name, arm):
    """The parameter files of an arm of a run."""
    profile = paths.REPO / "params" / f"{run_name}.yaml"
    layers = [f"params/ablations/{stem}.yaml" for stem in (arm or "").split("-")
              if (paths.ABLATIONS / f"{stem}.yaml").is_file()]
    return [f"params/{profile.name}" if profile.is_file() else "<your parameter file>", *layers]
