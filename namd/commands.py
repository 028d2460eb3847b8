"""What each command calls. Each imports what it needs, so that none waits for the libraries of another."""

import json
from importlib import import_module
from pathlib import Path

from namd.ground.errors import UserError


def _plan(asked):
    from namd.study.runner.plan import Plan
    return Plan(asked.params, asked.pairs)


def run(asked):
    from namd.study.runner.execute import run_job
    plan = _plan(asked)
    run_job(plan, plan.asked(asked.notebook), asked.key)


def system(asked):
    from namd.study.runner.one_system import train_system
    train_system(_plan(asked), asked.name)


def why(asked):
    from namd.study.runner.why import explain
    plan = _plan(asked)
    print("\n".join(explain(plan, plan.asked(asked.notebook))))


def check(asked):
    plan = _plan(asked)
    from namd.study.preflight.check import check_run
    return check_run(plan, asked.card)


def fetch(asked):
    from namd.data.open.fetch import fetch
    from namd.study.params import Parameters
    p = Parameters.part(_plan(asked).values)
    return fetch(p, asked.dry_run, asked.subjects, asked.whole_series, asked.at_once)


def rehearse(asked):
    from namd.rehearse.command import Asked, rehearse
    given = dict(steps=asked.steps, batch=asked.batch, until=asked.until, keep=asked.keep)
    return rehearse(asked.params, asked.pairs, Asked(**given, **({"memory": asked.memory} if asked.memory else {})))


def doctor(asked):
    from namd.data.refused import one_line
    from namd.study.params import Parameters
    from namd.study.preflight.doctor import doctor
    asked.pairs.append(f"data_delivery={json.dumps(one_line(Path(asked.folder)), ensure_ascii=False)}")
    return doctor(asked.folder, Parameters.part(_plan(asked).values), asked.full)


def with_plan(module, name):
    """A command that is one function of the plan."""
    def go(asked):
        getattr(import_module(module), name)(_plan(asked))
    return go


def import_(asked):
    from namd.ground.paths import REPO
    from namd.importing.command import import_authors
    from namd.study.params import Parameters
    asked.params = asked.params or [REPO / "params" / "authors.yaml"]
    return import_authors(asked.authors, Parameters.part(_plan(asked).values), asked.out)


def predict(asked):
    from namd.predict import predict
    return predict(asked.run, asked.series, asked.center, asked.ehr, asked.k_runs, asked.out, asked.arm)


def pretrain(asked):
    if (asked.params or asked.pairs) and not asked.out:
        raise UserError("pretrain with parameters of your own needs `--out DIR`: without it the models that the"
                        " repository ships would be replaced by others.")
    from namd.ground.paths import REPO
    from namd.pretrain.command import pretrain
    from namd.study.params import Parameters
    asked.params = asked.params or [REPO / "params" / "pretrain.yaml"]
    pretrain(Parameters.part(_plan(asked).values), asked.out, asked.names)


def ship(asked):
    from namd.ship.command import ship
    return ship(asked.run, asked.arm, asked.out, asked.name)


def benchmark(asked):
    from namd.study.benchmark import run_benchmarks
    return run_benchmarks(asked.names, asked.repeats, asked.size)
