"""The commands that make what a notebook lacks: all of them, as they can be typed at the root of the checkout."""

import yaml

from namd.ground import order, paths
from namd.ground.arms import Arm
from namd.ground.surroundings import python
from namd.study import params


def commands(root, number, arm=None):
    """The shell command that makes what notebook `number` makes, with whatever lacks before it.

    Args:
        root: of the run; number: e.g. "04"; arm: of 02 to 04, None for the main one.
    """
    numbers = _lacking(root, number, arm or main_arm(root))
    call = f"{python()} -m namd run {numbers[0] if len(numbers) == 1 else '$n'}"
    line = " ".join([call, *(f"--params {file}" for file in _files(root, arm))])
    return line if len(numbers) == 1 else f"for n in {' '.join(numbers)}; do {line} || break; done"


def main_arm(root):
    """The name of the main arm of the run at `root`, that of params/paper.yaml before one has run."""
    written = root / "params.yaml"
    if written.is_file():
        told = yaml.safe_load(written.read_text(encoding="utf-8"))
        if isinstance(told, dict) and "arm" in told:
            return told["arm"]
    return params.read_layer(params.BASE)["arm"]


def _lacking(root, number, arm):
    """The notebooks before `number` that have left no stamp for this arm, and `number` itself."""
    def stamp(n):
        return (root / "arms" / arm if n in order.PER_ARM else root) / "runs" / f"{n}.json"
    return [*(n for n in order.before(number) if not stamp(n).is_file()), number]


def _files(root, arm):
    """The parameter files of an arm of a run."""
    profile = paths.REPO / "params" / f"{root.name}.yaml"
    layers = [file for file in Arm.parse(arm, main_arm(root)).files if file.is_file()] if arm else []
    return [f"params/{profile.name}" if profile.is_file() else "<your parameter file>",
            *(f"params/ablations/{file.name}" for file in layers)]
