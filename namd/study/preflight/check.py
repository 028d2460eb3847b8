"""`python -m namd check`: what a run would be, what it would cost on a named card, and what it still lacks."""

from dataclasses import astuple
from itertools import groupby

import torch
from diffusers.utils import logging

from namd.ground.cost import parameters
from namd.models.hub import split
from namd.study.params import Parameters
from namd.study.preflight import autorad, cards, inputs, jobs, shapes, stages, systems

CORES = 4       # of a node, for the table of jobs


def check_run(plan, card: str) -> int:
    """Print the report; 0 when the run can start, 2 when something is missing.

    Args:
        plan: runner.plan.Plan of the run; card: a GPU of namd.study.preflight.cards.

    Raises:
        UserError: an unknown card, or a model whose architecture is not known here.

    Source: ours, because a run of days should not fail in its third hour for want of memory or of a file.
    """
    card = cards.find(card)
    p = Parameters.part(plan.values)
    arms = list(plan.by_arm)
    logging.set_verbosity_error()
    shells = shapes.build(p)
    second = autorad.build(p)
    found = stages.stages(shells, p, p.phantom_subjects, len(arms))
    compared = systems.stages(p)
    beside = [*compared, *autorad.stages(second, p, p.phantom_subjects, len(arms))]
    need = stages.disk(found, shells, p, p.phantom_subjects, len(arms))
    later = systems.disk(compared, p.save_every)
    lacking = inputs.missing(p, need)
    blocks = [_head(p, arms), _models(shells, second, p), _costs(found, beside, p, card, len(arms)),
              _memory([*found, *beside], card), _jobs(plan, [*found, *beside], card), _verdict(lacking, need, later)]
    print("\n\n".join("\n".join(block) for block in blocks))
    return 0 if all(item.optional for item in lacking) else 2


def _head(p, arms) -> list[str]:
    side = p.image_size // 8
    made = f"{len(arms)} arms: {', '.join(arms)}"
    if p.pipeline_path:
        made = f"nothing is trained: 01, 05 and 09 with the models of {p.pipeline_path}"
    kind = "open NLST" if p.data_source == "open" else "NLST delivery"
    data = "phantom, written by notebook 01" if p.data_source == "phantom" else f"{kind} in {p.data_delivery}"
    lines = [
        f"NAMD · run {p.run_name} · {made}",
        f"  data       {data}; counted for {p.phantom_subjects:,} subjects",
        _second_head(p),
        f"  images     {p.image_size} x {p.image_size}, latents {side} x {side} x 4; {p.text_n_sets} prompt sets of"
        f" {p.text_n_tokens} tokens, reports of {stages.REPORT_TOKENS}",
        f"  arithmetic {p.precision}, language model {p.llm_dtype}; device {p.device}, and torch sees"
        f" {torch.cuda.device_count() or 'no'} GPU here"]
    if p.processes > 1:
        lines.append(f"  processes  {p.processes}, each with a card and its share of a training batch: costs of one")
    return lines


def _second_head(p) -> str:
    where = f"LIDC-IDRI in {p.lidc_delivery}" if p.lidc_source == "delivery" else "phantom, written by notebook 09"
    return f"  09         {where}; counted for {autorad.nodules(p):,} nodules in {p.autorad_folds} folds"


def _models(shells, second, p) -> list[str]:
    def where(number):
        return "elsewhere" if p.pipeline_path else number

    nets = [("VAE", shells.vae.vae, where("02"), p.pipeline_path or p.vae_path),
            ("U-Net, both surgeries", shells.unet_cond, where("03, 04"), p.pipeline_path or p.unet_path),
            ("language model, text part", shells.lm, "frozen", p.llm_path),
            ("soft prompts", shells.prompts, where("04"), p.pipeline_path),
            ("judge", shells.judge, "elsewhere" if p.judge_path else "05", p.judge_path)]
    nets += [(what, second.encoders[path].net, "frozen", path) for path, what in autorad.encoder_paths(p).items()]
    nets += [("text tower", second.texts[p.autorad_text], "frozen", p.autorad_text),
             ("guided prompts, MetaNet", second.prompts, "09", "")]
    rows = [[name, _count(parameters(net)), where, split(path)[0] if path else "built here"]
            for name, net, where, path in nets]
    return _table(["Models", "parameters", "trained in", "from"], rows, "<>><")


def _costs(found, beside, p, card, n_arms) -> list[str]:
    rows = [_cost(stage, card) for stage in found]
    flops = 0
    fast = 0
    slow = 0
    for stage in found:
        low, high = cards.hours(stage, card)
        times = n_arms if stage.per_arm else 1
        flops += times * stage.flops
        fast += times * low
        slow += times * high
    what = "all" if p.pipeline_path else f"all, 02-04 for {n_arms} arms"
    rows.append([what, "", "", _flop(flops), _time(fast, slow), ""])
    rows += [_cost(stage, card) for stage in beside]
    best, worst = cards.SHARE[p.precision]
    head = ["Cost", "a step", "steps", "in all", f"on one {card.title}", "held up by"]
    return [*_table(head, rows, "<>>>><"),
            f"  Times are estimates: {100 * worst:.0f}-{100 * best:.0f} % of {getattr(card, p.precision):g} TFLOP/s,"
            " unless memory or launches are slower.",
            "  08 and 09 have commands of their own, `make table1` and `make autorad`, and are not in the sum.",
            *_on_top(found, card, p.save_every)]


def _on_top(found, card, every) -> list[str]:
    """What the costs leave out: checkpoints, and how many bytes an hour the stage writes that writes most."""
    trained = [stage for stage in found if stage.saved]
    if not trained:
        return ["  On top come data and figures; nothing is trained."]
    largest = max(trained, key=lambda stage: stage.saved)
    most = max(trained, key=lambda stage: stage.written(every))
    written = most.written(every)
    fast, slow = (written / hours for hours in reversed(cards.hours(most, card)))
    most_of_one = _size(largest.saved)
    return [f"  On top come data, validation and checkpoints, one every {every:,} steps, of up to {most_of_one}.",
            f"  {most.name} writes most: {_size(written)} in all, {_size(fast)} to {_size(slow)} an hour."]


def _cost(stage, card) -> list[str]:
    return [stage.name, _flop(stage.flops / stage.steps), f"{stage.steps:,}", _flop(stage.flops),
            _time(*cards.hours(stage, card)), cards.bound(stage, card)]


def _memory(found, card) -> list[str]:
    worst = max(found, key=lambda stage: stage.memory.sum)
    peak = worst.memory.sum
    size, unit = (2**30, "GiB") if peak > 2**30 else (2**20, "MiB")
    rows = []
    for stage in found:
        held = [*astuple(stage.memory), stage.memory.sum]
        rows.append([stage.name, *(f"{value / size:.1f}" for value in held)])
    fits = peak / 2**30 < card.gib
    lines = [f"  Estimates. The largest, {worst.name}, {'fits' if fits else 'does not fit'} the {card.gib:g} GiB of one"
             f" {card.title}.",
             f"  Side by side go as many as fit: {_together(found, card)}; `make study CORES=2` keeps to that."]
    if not fits:
        lines.append("  Try llm_dtype: bfloat16, precision: bfloat16, a smaller batch or another card.")
    head = [f"Memory, {unit}", "weights", "frozen", "gradients", "moments", "copies", "activations", "sum"]
    return [*_table(head, rows, "<" + ">" * 7), *lines]


def _together(found, card) -> str:
    """How many trainings of a kind one card holds at a time, e.g. "02 4, 03 2, 04 1"."""
    held = {}
    for stage in found:
        if stage.per_arm:
            held[stage.name[:2]] = stage.memory.sum + jobs.CONTEXT
    return ", ".join(f"{number} {int(card.gib * 2**30 // one)}" for number, one in held.items()) or "none is trained"


def _jobs(plan, found, card) -> list[str]:
    rows = jobs.table(jobs.asked(plan, found, card, CORES))
    head = [f"Jobs, of up to {CORES} cores", "cores", "GPUs", "memory", "minutes"]
    return [*_table(head, rows, "<>>>>"),
            f"  What EXECUTOR= asks for: {jobs.SPARE} times the slow estimates; a second attempt may take twice that."]


def _verdict(lacking, need, later) -> list[str]:
    needed = [item for item in lacking if not item.optional]
    space = f"The run takes about {_size(need)} of disk, 08 another {_size(later)}."
    counts = {"missing": sum(not item.unreadable for item in needed),
              "unusable": sum(item.unreadable for item in needed)}
    said = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    lines = [f"Not ready: {said}. {space}" if needed else f"Ready: nothing is missing. {space}"]
    for how, items in groupby(lacking, key=lambda item: item.how):
        lines += [f"  {'- optional: ' if item.optional else '✗ '}{item.what}" for item in items]
        lines += [f"      {line}" for line in how.splitlines()]
    return lines


def _table(head, rows, sides) -> list[str]:
    """Lines of aligned columns; `sides` has < or > for each."""
    rows = [head, *(["  " + first, *others] for first, *others in rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _count(n) -> str:
    """904.3 M of 904260804."""
    if n >= 1e9:
        return f"{n / 1e9:.2f} B"
    return f"{n / 1e6:.1f} M" if n >= 1e6 else f"{n / 1e3:.1f} k"


def _flop(n) -> str:
    """51.8 PFLOP of 5.18e16."""
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G")):
        if n >= size:
            return f"{n / size:.1f} {prefix}FLOP"
    return f"{n / 1e6:.1f} MFLOP"


def _size(n) -> str:
    """14.5 GB of 1.45e10 bytes."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def _time(low, high) -> str:
    """A range of hours in hours or minutes."""
    if high * 60 < 1:
        return "< 1 min"
    if high >= 2:
        ends = [f"{low:.1f}", f"{high:.1f}"]
        unit = "h"
    else:
        ends = [f"{60 * low:.0f}", f"{60 * high:.0f}"]
        unit = "min"
    return f"{'-'.join(dict.fromkeys(ends))} {unit}"
