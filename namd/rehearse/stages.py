"""The stages of a rehearsal: each notebook through papermill, its training killed once, and a prediction."""

import os
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from namd.ground import files, marks
from namd.ground.errors import UserError
from namd.ground.order import PER_ARM, Job
from namd.ground.surroundings import of_a_job
from namd.rehearse import measure

DELIVERY = "delivery"
NOTEBOOKS = ("01", "02", "03", "04", "05", "06", "07", "08")
NEVER = 10**6                   # steps between the checkpoints of a notebook that is not killed
FIRST = "step-00000001"         # the checkpoint at whose sight a training is killed


class Trained(NamedTuple):
    """What the training of a notebook leaves below the run (of its arm): its checkpoints, its weights."""

    checkpoints: str
    weights: str


TRAINED = {"02": Trained("checkpoints/vae", "vae"), "03": Trained("checkpoints/uncond", "unet_uncond"),
           "04": Trained("checkpoints/cond", "namd"), "05": Trained("judge/checkpoints", "judge")}


class Rehearsal(NamedTuple):
    """A rehearsal on its way.

    Args:
        root: its folder; file: of its parameters; run: the folder of its run below `root`; arm: the trained one.
    """

    root: Path
    file: Path
    run: Path
    arm: str

    def execute(self, number: str) -> measure.Measured:
        """Notebook `number` from its beginning to its end.

        Raises:
            UserError: it failed.
        """
        self.forget(number)
        return measure.run(self._words(number), self._environ(), self._log(number))

    def execute_killed(self, number: str) -> bool:
        """Notebook `number` anew, killed after the first step of its training, and again to its end.

        Returns:
            whether it left the very bytes that it had left before.

        Raises:
            UserError: the training was over before it could be killed, or the second attempt failed.
        """
        before = self.weights(number)
        self.forget(number)
        folder = self._below(number) / TRAINED[number].checkpoints

        def came():
            return any(folder.rglob(FIRST))

        if not measure.run_until(self._words(number), self._environ(), self._log(number), came):
            raise UserError(f"rehearse: notebook {number} ended before its training could be killed; more --steps.")
        measure.run(self._words(number), self._environ(), self._log(number))
        return self.weights(number) == before

    def weights(self, number: str) -> dict[str, str]:
        """{file: sha256} of all weights that notebook `number` has kept."""
        folder = self._below(number) / TRAINED[number].weights
        found = [file for file in sorted(folder.rglob("*.safetensors")) if "checkpoints" not in file.parts]
        return {str(file.relative_to(folder)): marks.sha256(file) for file in found}

    def forget(self, number: str) -> None:
        """Take away what notebook `number` has made, so that it starts from the beginning."""
        job = Job(number, self.arm if number in PER_ARM else None)
        files.remove(self.run / job.mark)
        if number in TRAINED:
            for path in TRAINED[number]:
                files.remove(self._below(number) / path)

    def predict(self) -> measure.Measured:
        """One nodule of the delivery through `namd predict`.

        Raises:
            UserError: it failed.
        """
        pairs = pd.read_parquet(self.run / "cohort" / "pairs.parquet")
        pair = pairs[pairs.split == "test"].iloc[0]
        series = self.root / DELIVERY / "dicom" / str(pair.patient_id) / str(pair.t0_year)
        centre = [f"{pair[f't0_center_{axis}_mm']:.2f}" for axis in "xyz"]
        words = ["predict", "--run", str(self.run), "--series", str(series), "--center", *centre, "-k", "2",
                 "--out", str(self.root / "predicted")]
        return measure.run(words, self._environ(), self._log("predict"))

    def _words(self, number):
        words = ["run", number, "--params", str(self.file)]
        return words if number in TRAINED else [*words, "-p", f"save_every={NEVER}"]

    def _environ(self):
        return of_a_job(os.environ) | {"NAMD_OUTPUTS": str(self.root)}

    def _log(self, name):
        return self.root / "logs" / f"{name}.log"

    def _below(self, number):
        return self.run / "arms" / self.arm if number in PER_ARM else self.run
