"""ImageFlowNet with the record: it starts as ImageFlowNet and ends by reading the record, and that alone differs."""

import pytest
import torch
from small_systems import P, fitted, write_system_run

from namd.data.cohort import Pairs
from namd.forecasters.systems import imageflownet
from namd.forecasters.systems.imageflownet_record import WIDTH, RecordFlow, System
from namd.ground import seeding


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    return root, write_system_run(root)


def inputs(run, n=5):
    return run[1].images(64, -1000, 400)[0][:n], run[1].ehr.iloc[:n]


def swapped(ehr):
    return ehr.iloc[::-1].set_index(ehr.index)


@torch.no_grad()
def test_a_flow_starts_as_the_one_without_the_record():
    with seeding.fresh_weights("flow"):
        plain = imageflownet.Flow(4)
    told = RecordFlow(4)
    assert not told.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    h, dw = seeding.noise((3, 4, 6, 6), "h"), seeding.noise((3, 5, 4, 6, 6), "dw")
    assert torch.equal(told(h, dw, seeding.noise((3, WIDTH), "e")), plain(h, dw))


@torch.no_grad()
def test_the_record_scales_and_shifts_what_the_second_convolution_sees():
    flow, h = RecordFlow(4), seeding.noise((3, 4, 6, 6), "h")
    flow.film.bias.copy_(torch.tensor([0.5, 0, -1, 0, 0, 0.3, 0, -0.2]))       # scale, then shift, of four channels
    norm = flow.drift[3](flow.drift[:3](h))
    scale, shift = torch.tensor([1.5, 1, 0, 1]), torch.tensor([0, 0.3, 0, -0.2])
    by_hand = flow.drift[4](norm * scale.view(4, 1, 1) + shift.view(4, 1, 1)).relu()
    assert torch.allclose(flow.velocity(h, torch.zeros(3, WIDTH)), by_hand, atol=1e-6)


def test_before_training_the_record_changes_no_bit_and_afterwards_every_draw(run):
    x1, ehr = inputs(run)
    made = fitted("imageflownet_record", *run)
    x2_hat, other = made.sample(x1, ehr, [1, 2]), made.sample(x1, swapped(ehr), [1, 2])
    same = (ehr.to_numpy() == swapped(ehr).to_numpy()).all(1)
    assert ((x2_hat - other).abs().amax((0, 2, 3, 4)) > 1e-6).tolist() == (~same).tolist()
    with torch.no_grad():
        for flow in made.nets["flows"]:
            flow.film.weight.zero_(), flow.film.bias.zero_()
    assert torch.equal(made.sample(x1, ehr, [1]), made.sample(x1, swapped(ehr), [1]))


def test_the_control_without_the_record_does_not_read_it(run):
    x1, ehr = inputs(run)
    made = fitted("imageflownet", *run)
    assert torch.equal(made.sample(x1, ehr, [1]), made.sample(x1, swapped(ehr), [1]))


def test_it_differs_from_its_control_by_the_reader_of_the_record_alone(run):
    told, plain = System(run[0], P), imageflownet.System(run[0], P)
    added = dict(told.nets.named_parameters()).keys() - dict(plain.nets.named_parameters()).keys()
    assert added and all(name.startswith("record.") or ".film." in name for name in added)
    first, second = (list(made.stages(*[run[1]] * 2)) for made in (told, plain))
    assert [(stage.name, stage.share, stage.settings) for stage in first] == [
        (stage.name, stage.share, stage.settings) for stage in second]
    assert set(first[1].trained) - set(second[1].trained) == {"record"}


def test_the_reader_learns_from_the_follow_up_and_keeps_the_scale_of_the_training_records(run):
    made = fitted("imageflownet_record", *run)
    start = System(run[0], P, key="fresh").nets["record"].state_dict()
    end = System(run[0], P, key="k").nets["record"].state_dict()
    assert all(not torch.equal(start[name], end[name]) for name in end)
    assert torch.equal(end["mean"], made.nets["record"].mean)


def test_validation_reads_the_records_of_the_pairs_that_it_takes(run):
    made, table = System(run[0], P), run[1].table
    with torch.no_grad():
        [torch.nn.init.ones_(flow.film.weight) for flow in made.nets["flows"]]

    def val_loss(place):
        gender = table["gender"].where(table.index != table.index[place], 3 - table["gender"])
        return list(made.stages(run[1], Pairs(table.assign(gender=gender), run[1]._crops)))[1].validate()

    with torch.no_grad():
        assert val_loss(2) == val_loss(3) != val_loss(8)        # every fourth pair validates: 0, 4, 8, 12
