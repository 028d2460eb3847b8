"""What a rehearsal leaves out: how many, how long, how often; never how wide."""

import copy
from dataclasses import replace

from namd.ground.errors import UserError
from namd.rehearse import stand_ins
from namd.study.preflight import shapes, stages, weights

SUBJECTS = 24
GIB = 2**30
BESIDE = int(2.7 * GIB)         # bytes of a notebook's process beside its models, of this one and of the system
STEPS = ("vae_steps", "uncond_steps", "cond_steps", "judge_steps", "system_steps", "ddim_steps", "ddl_cxr_ddim_steps",
         "system_flow_steps")
BATCHES = ("vae_batch", "uncond_batch", "cond_batch", "judge_batch", "system_batch", "eval_batch")
FEW = dict(save_every=1, uncond_warmup=1, system_tune_steps=1, k_runs=2, oracle_runs=2, judge_seeds=1, n_boot=20,
           var_nodules=2, var_runs=2, eval_workers=1, data_workers=1, data_test_share=0.4, data_val_share=0.25,
           phantom_subjects=SUBJECTS)


def cut(p, n_steps: int, batch: int) -> dict:
    """{parameter: value} of what a rehearsal changes in the run `p`, its folders left out.

    Args:
        n_steps: of every loop; batch: the largest one, 0 leaves them.

    Source: ours, because widths decide what a machine must hold, and counts only how long it must.
    """
    changed = {key: min(n_steps, getattr(p, key)) for key in STEPS} | FEW
    if batch:
        changed |= {key: min(batch, getattr(p, key)) for key in BATCHES}
    if p.align_perplexity >= changed.get("vae_batch", p.vae_batch) - 1:
        changed |= dict(align_perplexity=0.0)           # no batch has so many neighbours: sigma_f itself
    changed |= dict(system_rates=p.system_rates[:1], compare_arms=[p.arm], system_arm=p.arm)
    if weights.backbones(p):
        changed |= dict(lpips_weights="random")
    if weights.fid_features(p):
        changed |= dict(eval_inception="")
    return {key: value for key, value in changed.items() if getattr(p, key) != value}


def layers(p, budget: int) -> int:
    """How many layers of the language model fit into `budget` bytes beside the training that holds most.

    Args:
        p: parameters of the rehearsal, of which llm_path still names the true model; all of its layers where it is
            a folder of this machine.

    Raises:
        UserError: not even one.
    """
    shells = shapes.build(p)
    every = len(shells.lm.layers)
    if "llm_path" not in stand_ins.absent(p):
        return every
    with_one = _held(shells, p, 1)
    each = _held(shells, p, 2) - with_one
    fitting = 1 + (budget - BESIDE - with_one) // each
    if fitting < 1:
        raise UserError(f"rehearse: with one layer of the language model stage 3 takes {with_one / GIB:.1f} GiB, and"
                        f" {(budget - BESIDE) / GIB:.1f} are there: --batch 2, -p llm_dtype=bfloat16, or a larger"
                        " machine.")
    return min(fitting, every)


def _held(shells, p, n_layers) -> int:
    """Bytes of the conditional stage, which holds most, with so many layers of the language model."""
    lm = copy.copy(shells.lm)
    lm.config = copy.copy(lm.config)
    lm.config.num_hidden_layers = n_layers
    lm._modules = lm._modules | dict(layers=lm.layers[:n_layers])
    return stages.conditional(replace(shells, lm=lm), p).memory.sum
