"""Arms of a run: the main one, and those that files of params/ablations/ make of it."""

import re
from dataclasses import dataclass
from pathlib import Path

from namd.ground import paths
from namd.ground.errors import UserError


@dataclass(frozen=True)
class Arm:
    """What makes an arm from the main one: no_align-seed24 is the layer no_align trained from seed 24.

    Attributes:
        layers: stems of files in params/ablations/, in the order in which they are laid over the run's parameters.
        seed: training seed, the last layer seed<N>.yaml; None keeps the run's.
    """

    layers: tuple[str, ...] = ()
    seed: int | None = None

    @classmethod
    def of_files(cls, files):
        """The arm that these files of params/ablations/ make; a seed comes last."""
        return cls._of_stems([Path(file).stem for file in files])

    @classmethod
    def _of_stems(cls, stems):
        layers = [stem for stem in stems if _seed(stem) is None]
        seeds = [_seed(stem) for stem in stems if _seed(stem) is not None]
        if len(seeds) > 1:
            raise UserError(f"An arm has one training seed, and {', '.join(f'seed{seed}.yaml' for seed in seeds)} name"
                            " several; leave one.")
        return cls(tuple(layers), seeds[0] if seeds else None)

    @classmethod
    def parse(cls, name, main):
        """The arm of this name: the main arm's, or stems joined with "-", behind the main arm's where it is told.

        Args:
            name: e.g. "no_align-seed24", "namd-seed24"; main: name of the main arm, e.g. "namd".
        """
        rest = "" if name == main else name.removeprefix(f"{main}-")
        return cls._of_stems(_stems(rest.split("-")) if rest else [])

    def format(self, main):
        """The arm's name, which `parse` reads; a seed alone follows the main arm's name.

        Raises:
            UserError: it is another arm's name too, for a file is called like two others joined.
        """
        seed = [] if self.seed is None else [f"seed{self.seed}"]
        name = "-".join([*(self.layers or (main,)), *seed])
        other = Arm.parse(name, main)
        if other != self:
            raise UserError(f"{name} may mean the arm of {' and '.join(file.name for file in self.files)} or that of"
                            f" {' and '.join(file.name for file in other.files)}: rename a file in params/ablations/.")
        return name

    @property
    def files(self):
        """The parameter files that are laid over the run's, in their order."""
        stems = [*self.layers, *([] if self.seed is None else [f"seed{self.seed}"])]
        return [paths.ABLATIONS / f"{stem}.yaml" for stem in stems]


def is_ablation(file):
    """Whether a parameter file lies in params/ablations/, so that it makes an arm of a run."""
    return Path(file).resolve().parent == paths.ABLATIONS


def _seed(stem):
    """24 of "seed24", None of a layer that changes something else."""
    found = re.fullmatch(r"seed(\d+)", stem)
    return int(found[1]) if found else None


def _stems(words):
    """`words` of a name joined again to stems of files, the longest first, for a stem may hold a "-" itself."""
    for n in range(len(words), 0, -1):
        stem = "-".join(words[:n])
        if (paths.ABLATIONS / f"{stem}.yaml").is_file():
            return [stem, *(_stems(words[n:]) if words[n:] else [])]
    return ["-".join(words)]
