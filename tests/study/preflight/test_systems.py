"""The compared systems are counted as they are built, before anything of a run is there."""

from types import SimpleNamespace

import pytest
from small_systems import ALL, P, write_system_run

from namd.forecasters import tuning
from namd.forecasters.registry import system
from namd.ground.cost import flops
from namd.study.preflight import systems

APART = {"sd15_report": 0.2, "brlp": 0.02}              # a small text encoder, a layer that reads numbers
TRIED = P.system_steps + len(P.system_rates) * P.system_tune_steps


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    write_system_run(root)
    return root


@pytest.mark.parametrize("name", ALL)
def test_weights_are_those_that_the_system_learns(root, name):
    stage = systems._stage(name, P)
    learns = 4 * sum(weight.numel() for weight in tuning.learning(system(name)(root, P).nets).values())
    assert stage.memory.weights == pytest.approx(learns, rel=APART.get(name, 0))
    assert stage.name == f"08 {name}" and stage.steps == TRIED and stage.flops > 0
    assert stage.memory.moments >= 2 * stage.memory.gradients > 0


def test_a_step_of_sd15_is_three_times_its_forward_pass(root):
    one = system("sd15")(root, P)
    z, t = systems.meta(P.system_batch, 4, 8, 8), systems.meta(P.system_batch).long()
    one.nets.to("meta")
    forward = flops(one.predict, z, z, t, systems.meta(P.system_batch, 1, one.empty.shape[-1]))
    assert 2.5 < systems._stage("sd15", P).flops / TRIED / forward < 3.2


def test_frozen_flux_weights_take_half_in_bfloat16_and_only_the_lora_has_moments(monkeypatch):
    told = dict(in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
                joint_attention_dim=24, pooled_projection_dim=12, guidance_embeds=True, axes_dims_rope=[4, 6, 6])
    monkeypatch.setattr(systems.shapes, "config_of", lambda path, part: told)
    wide, narrow = (systems._stage("flux", SimpleNamespace(**vars(P) | dict(flux_path="a/b", flux_dtype=kind))).memory
                    for kind in ("float32", "bfloat16"))
    assert wide.frozen == 2 * narrow.frozen > 10 * narrow.weights > 0 and narrow.moments == 2 * narrow.weights


def test_disk_holds_every_system_and_the_checkpoints_of_the_largest():
    p = SimpleNamespace(**vars(P), systems=ALL, pipeline_path="")
    found = systems.stages(p)
    kept = sum(stage.memory.weights for stage in found)
    assert systems.disk(found, p.save_every) == kept + 3 * max(stage.saved for stage in found)
    assert systems.disk(found, 100) == kept             # no checkpoint before the last, which is the folder
    assert systems.stages(SimpleNamespace(**vars(P), systems=ALL, pipeline_path="a/b")) == []
