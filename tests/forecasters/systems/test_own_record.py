"""A pair learns from its own record and label: changed in one pair, they change the steps that hold this pair alone."""

from types import SimpleNamespace

import pytest
import torch
from small_systems import ALL, P, write_system_run

from namd.data.cohort import Pairs
from namd.forecasters import registry
from namd.ground import seeding

SMALL = SimpleNamespace(**vars(P) | dict(imageflownet_part=1))
READERS = {"record": ["ddl_cxr", "imageflownet_record", "brlp", "delta_lfm", "sd15_report"],
           "label": ["mcwgan", "corrflownet", "ddl_cxr"]}
CHANGED = {"record": lambda table: dict(gender=3 - table["gender"]),
           "label": lambda table: dict(label=1 - table["label"])}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root, SMALL)


def losses(run, name, pairs):
    """{(stage, pairs in it): loss of a step} of an untrained system."""
    made, found = registry.system(name)(run[0], SMALL), {}
    with torch.no_grad(), seeding.fresh_weights("moved"):       # away from layers that begin at zero
        [weight.add_(0.05 * torch.randn_like(weight)) for weight in made.nets.parameters()]
    for stage in made.stages(pairs, pairs):
        for held in ((1, 5, 9, 2), (1, 5, 3, 2)):
            torch.manual_seed(0)
            found[stage.name, held] = stage.step(torch.tensor(held), seeding.generator("step"), 6)["loss"].item()
    return found


@pytest.mark.parametrize("name", ALL)
def test_a_pair_learns_from_its_own(run, name):
    table, before = run[1].table, losses(run, name, run[1])
    ninth = table.index == table.index[9]
    for what, changed in CHANGED.items():
        columns = {column: values.where(ninth, table[column]) for column, values in changed(table).items()}
        after = losses(run, name, Pairs(table.assign(**columns), run[1]._crops))
        moved = {held for stage, held in before if before[stage, held] != after[stage, held]}
        assert moved == ({(1, 5, 9, 2)} if name in READERS[what] else set()), what
