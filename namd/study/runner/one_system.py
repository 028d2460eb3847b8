"""One compared system of notebook 08, trained as a job of its own: 08 finds it, by the same key."""

from namd.ground.errors import UserError
from namd.ground.order import Job, notebook
from namd.ground.surroundings import for_a_kernel


def train_system(plan, name):
    """Train the system `name` as notebook 08 would, unless it is trained.

    Args:
        plan: plan.Plan of the run, whose 01 to 04 have run for the arm system_arm.

    Raises:
        UserError: the run compares no such system, or lacks what it is trained from.

    Source: ours, because a scheduler has a machine for each system, and a lost one should cost that system alone.
    """
    values = plan.parameters(Job("08", None))
    if name not in values["systems"]:
        raise UserError(f"systems of this run has no {name}: choose from {', '.join(values['systems'])}.")
    with for_a_kernel(values["threads"]):           # before torch is imported
        from namd.data.cohort import Cohort
        from namd.forecasters import registry
        from namd.study.notebook import Run
        run = Run(notebook("08").stem, values)
        pairs = Cohort.open(run.need("cohort")).split("train", "val")
        registry.fit_all(run.root, run.p, registry.keys(run, [name]), pairs, workers=1)
