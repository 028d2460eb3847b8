"""The plan of a run: its jobs, their parameters, parents and what decides them before anything has run."""

import json
from functools import cache
from pathlib import Path

from namd.ground.arms import Arm, is_ablation
from namd.ground.components import Components
from namd.ground.errors import UserError
from namd.ground.order import AFTER, PER_ARM, Job, before, declared, notebook
from namd.study import params

NEED_ARMS = (*PER_ARM, "06", "07", "08")      # train arms, or read more of them than their drawings


class Plan:
    """Every job of a run with its parameters and parents; nothing is executed.

    Where `pipeline_path` names models, they draw in the place of an arm, and what trains or takes arms apart is no job.

    An arm is the run's main one under the files of params/ablations/ that its name joins with "-": no_align,
    no_align-seed24. One whose files change nothing here is the main one, and is left out.

    Args:
        files: parameter files, those of params/ablations/ make the arm that is asked for; pairs: key=value.

    Raises:
        UserError: a file or a value cannot be used.
    """

    def __init__(self, files=(), pairs=()):
        self.given = tuple(files)
        self.pairs = tuple(pairs)
        self.files = tuple(file for file in files if not is_ablation(file))
        _refuse_hidden_arms(self.files, self.pairs)
        main = params.load(self.files, pairs)
        self.main = main["arm"]
        asked = Arm.of_files([file for file in files if is_ablation(file)]).format(self.main)
        arms = {arm: self._load(arm) for arm in dict.fromkeys([self.main, *main["compare_arms"], asked])}
        self.by_arm = {}
        for arm, values in arms.items():
            if arm in (self.main, asked) or values | {"arm": self.main} != arms[self.main]:
                self.by_arm[arm] = values
        for values in self.by_arm.values():
            values["compare_arms"] = [arm for arm in main["compare_arms"] if arm in self.by_arm]
        self.values = self.by_arm[asked]
        self.imported = bool(main["pipeline_path"])
        self.numbers = [number for number in AFTER if not (self.imported and number in NEED_ARMS)]

    def layers(self, arm):
        """The parameter files that make `arm` from the main one."""
        return Arm.parse(arm, self.main).files if arm else []

    def _load(self, arm):
        return params.load(self.files, self.pairs, self.layers(arm)) | {"arm": arm}

    def comparing(self, arms):
        """This plan with other rows of Table 1."""
        return Plan(self.given, [*self.pairs, f"compare_arms={json.dumps(list(dict.fromkeys(arms)))}"])

    def files_of(self, job):
        """Parameter files that make `job` what it is."""
        return [*self.files, *self.layers(job.arm)]

    def jobs(self):
        """All jobs in an order that respects AFTER."""
        found = []
        for number in self.numbers:
            arms = self.by_arm if number in PER_ARM else [None]
            found += [Job(number, arm) for arm in arms]
        return found

    def asked(self, number):
        """The job of notebook `number` for the arm that is asked for.

        Raises:
            UserError: no such notebook; the sentence names those there are.
        """
        if number not in AFTER:
            there = ", ".join(notebook(each).stem for each in AFTER)
            raise UserError(f"There is no notebook {number} to run; choose the number of one of {there}.")
        if number not in self.numbers:
            raise UserError(f"Notebook {number} trains arms or takes them apart, and this run has none: the models of"
                            f" pipeline_path ({self.values['pipeline_path']}) draw; choose one of"
                            f" {', '.join(self.numbers)}.")
        return Job(number, self.values["arm"] if number in PER_ARM else None)

    def parents(self, job):
        """The jobs whose files `job` reads."""
        needed = AFTER[job.number]
        if self.imported:
            needed = [number for number in before(job.number) if number in self.numbers]
        return [each for each in self.jobs() if each.number in needed
                and (job.arm is None or each.arm in (None, job.arm))]

    @cache  # noqa: B019  a plan lives as long as its process
    def twin(self, job):
        """The first job that does for another arm the very work of this one, or `job` itself."""
        work = self._work(job)
        same = (Job(job.number, arm) for arm in self.by_arm if job.arm)
        return next((other for other in same if other == job or self._work(other) == work), job)

    def _work(self, job):
        """What `job` does, whatever the name of its arm."""
        return {**self.parameters(job), "arm": ""}, [self.twin(parent) for parent in self.parents(job)]

    def waits_for(self, job):
        """The jobs to finish before `job` starts: its parents, and its twin where it has one."""
        return [*self.parents(job), *{self.twin(job)} - {job}]

    def parameters(self, job):
        """The declared parameters of `job` with their values in this run."""
        values = self.by_arm[job.arm or self.main]
        unknown = set(declared(job.number)) - set(values)
        if unknown:
            raise UserError(f"{notebook(job.number).name} declares {', '.join(sorted(unknown))},"
                            " which params/paper.yaml does not have; add the line there.")
        return {name: values[name] for name in declared(job.number)}

    @cache  # noqa: B019  a plan lives as long as its process
    def components(self, job):
        """What decides `job` before anything has run."""
        return Components.of(job.number, self.parameters(job))


def _refuse_hidden_arms(files, pairs):
    """Refuse a later file that changes the training of a run which is not its own.

    Raises:
        UserError: it lies outside params/ablations/, so it would make another main arm in the place of the first.

    Source: ours, because an ablation that was kept elsewhere would replace the run's weights without a word.
    """
    layers = [(Path(file), params.read_layer(file)) for file in files]
    if any("run_name" in layer for _, layer in layers[1:]) or any(pair.startswith("run_name=") for pair in pairs):
        return
    training = set().union(*(declared(number) for number in PER_ARM)) - set(declared("01"))
    for file, layer in layers[1:]:
        changed = sorted(training & set(layer) - {"arm", "compare_arms"})
        if changed:
            raise UserError(f"{file} changes how {layers[0][0].name} trains ({', '.join(changed)}) and would replace"
                            " its main arm: put it into params/ablations/, where it makes an arm beside that, or give"
                            " it a run_name of its own.")
