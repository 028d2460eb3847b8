"""What a job asks a scheduler for holds what the notebooks of the committed run took, and not the tenfold of it."""

import math

import pandas as pd
import pytest

from namd.ground.order import PER_ARM, system_mark
from namd.ground.paths import REPO
from namd.study.params import Parameters
from namd.study.preflight import cards, jobs
from namd.study.runner.plan import Plan


def asked(profile, card="", cores=2, *pairs):
    plan = Plan([REPO / "params" / f"{profile}.yaml"], pairs)
    found = jobs.count(Parameters.part(plan.values), len(plan.by_arm))
    return jobs.asked(plan, found, cards.find(card) if card else None, cores)


@pytest.fixture(scope="module")
def quick():
    return asked("quick")


def test_the_committed_run_would_have_kept_its_limits(quick):
    took = pd.read_csv(REPO / "outputs/reference/quick/costs.csv").dropna(subset="notebook")
    took = took[~took.run_name.str.contains("_cohort33")]           # it shared its cores
    for number, rows in took.groupby(took.notebook.str[:2]):
        one = next(one for mark, one in quick.items() if mark.endswith(f"done/{number}.json"))
        minutes = rows.seconds.max() / 60
        assert minutes < one.minutes < jobs.OPENING + 20 * minutes, number
        assert rows.memory_gib.max() * 1074 < one.mem_mb < 20_000, number


def test_cores_are_those_that_a_notebook_has_a_use_for(quick):
    cores = {mark: one.cores for mark, one in quick.items()}
    assert (cores["done/01.json"], cores["done/05.json"], cores["done/07.json"]) == (2, 2, 1)
    assert {cores[f"arms/namd/done/{number}.json"] for number in PER_ARM} == {1}
    many = asked("quick", "", 64)
    assert many["done/05.json"].cores == 64 and many["done/05.json"].minutes < quick["done/05.json"].minutes
    assert many["done/05.json"].mem_mb > quick["done/05.json"].mem_mb
    assert not any(one.gpus for one in many.values())


def test_a_gpu_is_asked_for_where_something_is_trained_or_sampled():
    gpus = {mark: one.gpus for mark, one in asked("full", "a40", 4, "processes=4").items()}
    assert (gpus["done/01.json"], gpus["done/07.json"], gpus["done/05.json"], gpus["done/06.json"]) == (0, 0, 1, 1)
    assert gpus["arms/namd/done/03.json"] == 4 and gpus[system_mark("brlp")] == 1
    assert not any(one.gpus for one in asked("full", "a40", 4, "device=cpu").values())


def test_an_arm_of_more_steps_asks_for_more_time():
    found = asked("quick", "", 2, "compare_arms=[namd, scratch]")
    one, other = (found[f"arms/{arm}/done/02.json"].minutes - jobs.OPENING for arm in ("namd", "scratch"))
    assert math.isclose(other / one, 640 / 160, rel_tol=0.2)
