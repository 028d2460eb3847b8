from dataclasses import asdict
from types import SimpleNamespace

import pytest

from namd.ground import paths
from namd.ground.cost import flops, parameters
from namd.study import params
from namd.study.preflight import shapes, stages

SMOKE = paths.REPO / "params" / "smoke.yaml"


def smoke(**changes):
    return SimpleNamespace(**params.load([SMOKE]) | changes)


@pytest.fixture(scope="module")
def shells():
    return shapes.build(smoke())


def test_every_stage_is_counted_and_training_counts_forward_and_backward(shells):
    p, found = smoke(), {stage.name: stage for stage in stages.stages(shells, smoke(), 40, 2)}
    assert list(found) == ["02 VAE", "03 unconditional", "04 conditional", "05 judge", "05 sampling"]
    assert [stage.per_arm for stage in found.values()] == [True, True, True, False, False]
    forward = flops(lambda: stages._predict(shells.unet, shells, p.uncond_batch, p))
    assert 2.5 * forward * p.uncond_steps < found["03 unconditional"].flops < 3.1 * forward * p.uncond_steps
    images = 16 * (3 * 2 + 2)                # 40 % of 40 subjects; K = 3 of 2 arms, one run of two permuted rows
    assert found["05 sampling"].steps == -(-images // p.eval_batch) * p.ddim_steps


def test_memory_is_the_sum_of_its_parts(shells):
    stage, n = stages._uncond(shells, smoke()), parameters(shells.unet)
    known = dict(weights=4 * n, frozen=0, gradients=4 * n, moments=8 * n, copies=2 * 4 * n)
    held = asdict(stage.memory)
    assert {key: held[key] for key in known} == known and held["activations"] > 0
    assert stage.memory.sum == sum(held.values())
    assert stages._uncond(shells, smoke(ema_decay=0.0)).memory.copies == 4 * n


def test_shared_prefix_is_counted_once_for_the_whole_batch(shells):
    one, two, three = (flops(lambda batch=batch: stages.context(shells, batch)) for batch in (1, 2, 3))
    assert 0 < one - (three - two) < one / 4             # m n tokens beside the m L of every report


def test_prompt_steps_bound_the_work_of_the_language_model(shells):
    few, every = (stages.conditional(shells, smoke(text_prompt_steps=n, precision="tf32")) for n in (4, -1))
    assert [part.times for part in few.parts] == [8, 8, 4] and [part.times for part in every.parts] == [8, 8, 8]
    assert every.parts[-1].arithmetic == "tf32" and every.memory.frozen > 0


def test_precision_decides_arithmetic_and_memory_but_not_of_the_judge(shells):
    plain, mixed = (stages._vae(shells, smoke(precision=name)) for name in ("float32", "bfloat16"))
    assert (plain.parts[0].arithmetic, mixed.parts[0].arithmetic) == ("float32", "bfloat16")
    assert mixed.memory.activations < 0.8 * plain.memory.activations
    assert stages._judge(shells, smoke(precision="bfloat16")).parts[0].arithmetic == "float32"


def test_processes_share_a_training_batch(shells):
    one, two = (stages._uncond(shells, smoke(processes=n)) for n in (1, 2))
    assert two.flops == pytest.approx(one.flops / 2, rel=0.05)


def test_disk_holds_the_weights_of_every_stage_and_the_checkpoints_of_the_largest(shells):
    found = stages.stages(shells, smoke(), 40, 1)
    assert found[1].saved == 4 * 5 * parameters(shells.unet)        # weights, two moments, best and averaged weights
    one, two = (stages.disk(found, shells, smoke(), 40, n) for n in (1, 2))
    weights = sum(stage.memory.weights for stage in found[:3])
    assert weights < two - one < 4 * weights
    seldom = stages.disk(found, shells, smoke(save_every=1000), 40, 1)
    assert one - seldom == 2 * max(stage.saved for stage in found[:3])         # 8 steps, a checkpoint every 3
    assert stages.disk(found, shells, smoke(), 4000, 1) > one + 3960 * stages.SUBJECT_BYTES
