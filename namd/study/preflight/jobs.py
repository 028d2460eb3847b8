"""What each job of a run asks of a scheduler: cores, memory, GPUs and minutes, from the estimates of `check`."""

import math
from dataclasses import astuple, dataclass
from pathlib import Path

from namd.data.images import AUGMENTATIONS, PIXELS
from namd.ground.order import PER_ARM, system_mark
from namd.study.params import Parameters
from namd.study.preflight import autorad, cards, shapes, stages, systems

# a slow one: the committed run was 2 to 3 times as fast
CORE = cards.Card("core", math.inf, 0.025, 0.025, 0.025, 10)
SPARE = 2               # times the slow estimate, for what `check` leaves out: data, validation, figures, checkpoints
OPENING = 20            # minutes: imports, tables, a cold file system; the whole of a smoke notebook takes .5 to 1
PROCESS = 2_500_000_000     # bytes of Python with torch and a notebook's figures; measured 1.0 to 2.6e9
CONTEXT = 600_000_000       # bytes of a card for CUDA itself in each process; not measured
SECONDS = {"phantom": 0.5, "delivery": 10, "open": 10}      # of one core a subject in 01; a phantom's took .06 to .3
READ = 0.05             # seconds of one core an image that judge, LPIPS and FID read
STEPS = {"02": "vae_steps", "03": "uncond_steps", "04": "cond_steps"}
SPREAD = ("01", "05", "08", "09")       # notebooks that divide their work among worker processes


@dataclass(frozen=True)
class Asked:
    """What a job asks for; a scheduler stops it beyond `mem_mb` or `minutes`. `gpu_mb` is what it takes of a GPU."""

    cores: int
    gpus: int
    mem_mb: int
    minutes: int
    gpu_mb: int


def count(p, n_arms: int) -> list[stages.Stage]:
    """Every stage of a run, those of 08 and 09 too.

    Args:
        p: all parameters of the run; n_arms: that 05 samples.

    Raises:
        UserError: a model whose architecture is not known here.
    """
    return [*stages.stages(shapes.build(p), p, p.phantom_subjects, n_arms), *systems.stages(p),
            *autorad.stages(autorad.build(p), p, p.phantom_subjects, n_arms)]


def asked(plan, found: list[stages.Stage], card: cards.Card | None, cores: int) -> dict[str, Asked]:
    """{mark of a job, below the run's root: what it asks for}; those of the systems of 08 are `order.system_mark`.

    Args:
        plan: runner.plan.Plan of the run; found: its stages, of `count`.
        card: the GPU of the nodes; None where they have none.
        cores: of a node that one job may take.

    Source: ours, because a limit that is guessed either ends a job of days or keeps it waiting. Steps and their cost
    are those of `check`; the arms differ in their steps alone.
    """
    p = Parameters.part(plan.values)
    counted = _Counted(p, found, card if p.device != "cpu" else None, cores, len(plan.by_arm))
    rows = {}
    for job in plan.jobs():
        times = 1.0
        if job.arm:
            name = STEPS[job.number]
            times = plan.by_arm[job.arm][name] / max(1, plan.by_arm[plan.main][name])
        rows[str(job.mark)] = counted.job(job.number, times)
    return rows | {system_mark(name): counted.system(name) for name in counted.systems}


class _Counted:
    """The stages of `check` for one run, and what its notebooks ask for; arguments as in `asked` and `count`."""

    def __init__(self, p, found, card, cores, n_arms):
        self.p = p
        self.card = card
        self.cores = cores
        self.n_arms = n_arms
        self.threads = p.threads or cores
        self.by_number = {number: [] for number in SPREAD + PER_ARM}
        for stage in found:
            self.by_number[stage.name[:2]].append(stage)
        self.systems = {stage.name.partition(" ")[2]: stage for stage in self.by_number["08"]}

    def job(self, number, times) -> Asked:
        """What notebook `number` asks for, with `times` the steps of the main arm."""
        hours = {"06": self._variance, "08": self._drawing}.get(number, lambda: self._hours(number) * times)()
        n_cores = self._cores(number)
        workers = self._workers(number, n_cores)
        memory = self._memory(workers, self._held(number))
        on_card = self._on_card([*self._held(number), *self._trained_here(number)])
        gpus = 1 if number in ("05", "06", "08", "09") else 0
        if number in PER_ARM:
            gpus = workers              # a card each
        else:
            on_card *= workers
        return self._asked(n_cores, gpus, memory, hours + self._reading(number), on_card)

    def system(self, name) -> Asked:
        """What the training of one compared system asks for: one process, and one GPU."""
        stage = self.systems[name]
        n_cores = min(2 if self.card else self.threads, self.cores)
        memory = self._memory(1, [stage.memory])
        return self._asked(n_cores, 1, memory, self._of(stage), self._on_card([stage.memory]))

    def _asked(self, n_cores, gpus, memory, hours, on_card) -> Asked:
        minutes = math.ceil(OPENING + 60 * SPARE * hours)
        return Asked(n_cores, gpus if self.card else 0, math.ceil(memory / 1e6), minutes, math.ceil(on_card / 1e6))

    def _cores(self, number) -> int:
        """Cores that a notebook has a use for."""
        p = self.p
        wanted = {"01": p.data_workers, "05": p.eval_workers * self.threads, "08": p.eval_workers * self.threads}
        wanted = wanted.get(number, 0)
        if number in PER_ARM:
            wanted = p.processes * (2 if self.card else self.threads)
        elif number not in SPREAD:
            wanted = 1
        return min(wanted or self.cores, self.cores)

    def _held(self, number) -> list[stages.Memory]:
        """Of the stages of a notebook; 06 and 08 draw as 05 does."""
        return [stage.memory for stage in self.by_number.get("05" if number in ("06", "08") else number, [])]

    def _trained_here(self, number) -> list[stages.Memory]:
        """Of the systems that 08 trains itself, where no scheduler does."""
        return [stage.memory for stage in self.systems.values()] if number == "08" else []

    def _on_card(self, held) -> float:
        """Bytes of a GPU, if the notebook has one."""
        largest = max((each.sum for each in held), default=0)
        return largest and largest + CONTEXT

    def _workers(self, number, n_cores) -> int:
        """Processes that a notebook divides its work among."""
        p = self.p
        if number in SPREAD:
            return (p.data_workers if number == "01" else p.eval_workers) or n_cores
        return p.processes if number in PER_ARM else 1

    def _memory(self, workers, held) -> float:
        """Bytes of the host: processes, models, and images as they are read."""
        p = self.p
        models = max((2 * (each.weights + each.frozen) if self.card else each.sum for each in held), default=0)
        turned = AUGMENTATIONS[p.augment] * p.image_size**2 * 4
        images = p.phantom_subjects * 2 * (PIXELS**2 * 2 + turned)
        return PROCESS * (1 + workers) + workers * models + images

    def _hours(self, number) -> float:
        """The slow estimate of all stages of a notebook."""
        found = self.by_number.get(number, [])
        again = max(1, self.p.judge_seeds)              # notebook 05 trains its judge so often
        return sum(self._of(stage) * (again if stage.name == "05 judge" else 1) for stage in found)

    def _of(self, stage) -> float:
        if self.card is not None:
            return cards.hours(stage, self.card)[1]
        return cards.hours(stage, CORE)[1] / self.threads

    def _reading(self, number) -> float:
        """Hours of the work that no stage counts: scans in 01, images in 05, 06 and 08."""
        p = self.p
        n_test = p.phantom_subjects * p.data_test_share
        seconds = {"01": p.phantom_subjects * SECONDS[p.data_source],
                   "05": READ * n_test * (p.k_runs * self.n_arms + p.oracle_runs + 5),
                   "06": READ * p.var_nodules * p.var_runs,
                   "08": READ * n_test * p.k_runs * (1 + len(p.systems))}.get(number, 0)
        return seconds / 3600 / self._cores(number)

    def _sampled(self, n_images) -> float:
        """Hours that 04's pipeline takes for so many follow-ups."""
        stage = next(stage for stage in self.by_number["05"] if stage.name == "05 sampling")
        n_test = max(1, round(self.p.phantom_subjects * self.p.data_test_share))
        return self._of(stage) * n_images / (n_test * (self.p.k_runs * self.n_arms + 2))

    def _variance(self) -> float:
        return self._sampled(self.p.var_nodules * self.p.var_runs)

    def _drawing(self) -> float:
        """Hours of 08, whose systems are trained by jobs of their own: it draws a row of each."""
        n_images = self.p.phantom_subjects * self.p.data_test_share * self.p.k_runs * len(self.p.systems)
        return self._sampled(n_images) / (1 if self.card else self._cores("08"))


def table(found: dict[str, Asked]) -> list[list[str]]:
    """Rows for `check`: notebook, cores, GPUs, memory, minutes; of several arms or systems the most of each."""
    rows = {}
    for mark, one in found.items():
        name = "08, a system" if mark.startswith(system_mark("")) else Path(mark).stem
        rows[name] = Asked(*map(max, astuple(one), astuple(rows.get(name, one))))
    return [[name, f"{one.cores}", f"{one.gpus}", f"{one.mem_mb / 1000:.0f} GB", f"{one.minutes:,}"]
            for name, one in rows.items()]
