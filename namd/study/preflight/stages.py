"""The stages of a run in numbers: FLOPs, hours on a named card, memory and disk, all before anything is trained."""

import math
from dataclasses import astuple, dataclass, replace

import torch

from namd.data.images import AUGMENTATIONS, PIXELS
from namd.ground.cost import Cost, cost, parameters, size_bytes
from namd.ground.order import PER_ARM
from namd.models import losses
from namd.models.prefix import states_at
from namd.training.checkpoint import PART

REPORT_TOKENS = 70       # a report of Fig. 4 in Gemma's tokens, <bos> and <eos> included
ADAMW = 8                # bytes of moments a trained parameter
UPDATE = 40              # bytes a trained parameter that clipping and AdamW read and write in a step
MIXED = 0.6              # of float32's bytes under autocast: products in bfloat16, norms and losses in float32
SUBJECT_BYTES = 220_000  # of the phantom's two series and records, measured


@dataclass(frozen=True)
class Part:
    """One kind of call of a stage: its cost, how many of them the stage makes, in which arithmetic."""

    cost: Cost
    times: float
    arithmetic: str


@dataclass(frozen=True)
class Memory:
    """Bytes on the device at the worst moment of a stage, by what holds them."""

    weights: int = 0
    frozen: int = 0             # weights that are not trained
    gradients: int = 0
    moments: int = 0            # AdamW's
    copies: int = 0             # best and averaged weights
    activations: int = 0

    @property
    def sum(self) -> int:
        """Of all."""
        return sum(astuple(self))


@dataclass(frozen=True)
class Stage:
    """One stage of one arm, or of the run where all arms share it."""

    name: str
    steps: int
    parts: list[Part]
    memory: Memory = Memory()

    @property
    def per_arm(self) -> bool:
        """Whether every arm goes through it."""
        return self.name[:2] in PER_ARM

    @property
    def flops(self) -> float:
        """Of the whole stage."""
        return sum(part.cost.flops * part.times for part in self.parts)

    @property
    def saved(self) -> int:
        """Bytes of one checkpoint."""
        if not self.memory.moments:
            return 0                    # nothing is trained
        return self.memory.weights + self.memory.moments + self.memory.copies

    def written(self, save_every: int) -> int:
        """Bytes of all its checkpoints, the last of which keeps the weights alone."""
        return (self.steps - 1) // save_every * self.saved + self.memory.weights


def stages(shells, p, n_subjects: int, n_arms: int) -> list[Stage]:
    """All stages that need a GPU; none of what others have trained (pipeline_path, judge_path).

    Args:
        shells: of namd.study.preflight.shapes.build; p: all parameters of the run.
        n_subjects: of the cohort; n_arms: trained variants that 05 samples.

    Source: App. B; each stage's step is built from the functions the notebooks train with.
    """
    n_test = max(1, round(n_subjects * p.data_test_share))      # none is said by inputs.patients
    trained = [] if p.pipeline_path else [_vae(shells, p), _uncond(shells, p), conditional(shells, p)]
    judge = [] if p.judge_path else [_judge(shells, p)]
    return [*trained, *judge, _sampling(shells, p, n_test, n_arms)]


def _vae(shells, p) -> Stage:
    x = meta(_share(p.vae_batch, p), 1, p.image_size, p.image_size)
    seen = max(1, round(p.lpips_share * len(x)))

    def step():
        q = shells.vae.posterior(x)
        x_hat = shells.vae.decode(q.mean + q.std)
        loss = losses.reconstruction_loss(x, x_hat) + losses.kl_loss(q.mean, q.logvar)
        loss = loss + shells.perceptual(x[:seen], x_hat[:seen]).mean() + shells.vae.logit(q.mean).mean()
        loss.backward()
    return training("02 VAE", step, [shells.vae], p.vae_steps, p, size_bytes(shells.perceptual), averaged=False)


def _uncond(shells, p) -> Stage:
    step = _denoising(shells.unet, shells, _share(p.uncond_batch, p), p)
    return training("03 unconditional", step, [shells.unet], p.uncond_steps, p)


def conditional(shells, p) -> Stage:
    """Stage 3, the largest: U-Net, prompts and the frozen language model; arguments as of `stages`."""
    batch = _share(p.cond_batch, p)
    read = cost(lambda: context(shells, batch).square().mean().backward())
    times = p.cond_steps if p.text_prompt_steps < 0 else min(p.text_prompt_steps, p.cond_steps)
    stage = training("04 conditional", _denoising(shells.unet_cond, shells, batch, p),
                     [shells.unet_cond, shells.prompts], p.cond_steps, p, size_bytes(shells.lm), beside=read.peak)
    reading = Part(read, times, _llm_arithmetic(p))
    return replace(stage, parts=[*stage.parts, reading])


def _judge(shells, p) -> Stage:
    x = meta(p.judge_batch, 1, p.image_size, p.image_size)

    def step():
        shells.judge.head(shells.judge(x)).mean().backward()
    return training("05 judge", step, [shells.judge], p.judge_steps, p, averaged=False,
                    precision=strict_arithmetic(p))


@torch.no_grad()
def _sampling(shells, p, n_test, n_arms) -> Stage:
    """K follow-ups of every arm, one of the rows with permuted records and with permuted patients."""
    images = n_test * (p.k_runs * n_arms + 2)
    batch = min(p.eval_batch, images)
    side = p.image_size // 8
    forward = cost(lambda: _predict(shells.unet_cond, shells, batch, p))
    decode = cost(lambda: shells.vae.decode_scaled(meta(batch, 4, side, side)))
    read = cost(lambda: context(shells, min(p.eval_batch, n_test)))
    calls = math.ceil(images / batch)
    readings = math.ceil(n_test / p.eval_batch) * (n_arms + 2)
    parts = [Part(_narrow(forward, p.precision), calls * p.ddim_steps, p.precision),
             Part(_narrow(decode, p.precision), calls, p.precision),
             Part(read, readings, _llm_arithmetic(p))]
    memory = Memory(weights=sum(map(size_bytes, (shells.unet_cond, shells.vae, shells.prompts))),
                    frozen=size_bytes(shells.lm), activations=max(part.cost.peak for part in parts))
    return Stage("05 sampling", calls * p.ddim_steps, parts, memory)


def context(shells, batch: int) -> torch.Tensor:
    """C of `batch` reports through the shared prefix (Eq. 7-8): (B, m, D)."""
    ids = meta(batch, REPORT_TOKENS, dtype=torch.long)
    last = meta(batch, dtype=torch.long)
    return states_at(shells.lm, ids, last, shells.prompts.vectors())


def _predict(net, shells, batch, p):
    """One prediction of the U-Net for `batch` latents."""
    side = p.image_size // 8
    ctx = meta(batch, p.text_n_sets, shells.lm.config.hidden_size)
    return net(meta(batch, net.config.in_channels, side, side), meta(batch, dtype=torch.long),
               encoder_hidden_states=ctx).sample


def _denoising(net, shells, batch, p):
    """A step of Eq. 9 or 10, the language model left out."""
    return lambda: _predict(net, shells, batch, p).square().mean().backward()


def training(name, step, modules, n_steps, p, frozen=0, beside=0, averaged=True, precision=None) -> Stage:
    """A stage of `loop.fit`: forward, backward, clipping and AdamW; best and, if asked for, averaged weights kept.

    Args:
        frozen, beside: bytes of frozen networks and of their activations; precision: the run's when None.
    """
    precision = precision or p.precision
    n = sum(map(parameters, modules))
    weights = sum(map(size_bytes, modules))

    taken = cost(step)
    taken = Cost(taken.flops, taken.kernels, taken.traffic, max(0, taken.peak - weights))
    own = _narrow(taken, precision)
    cast = weights // 2 if precision == "bfloat16" else 0         # of every weight, kept for the backward pass
    update = Cost(traffic=UPDATE * n)

    copies = 2 if averaged and p.ema_decay else 1
    activations = max(own.peak + cast + beside, min(weights, PART))        # a checkpoint copies what it writes
    memory = Memory(weights=weights, frozen=frozen, gradients=weights, moments=ADAMW * n, copies=copies * weights,
                    activations=activations)
    return Stage(name, n_steps, [Part(own, n_steps, precision), Part(update, n_steps, "float32")], memory)


def _narrow(taken: Cost, precision) -> Cost:
    """What is left of memory and traffic under `precision`."""
    if precision != "bfloat16":
        return taken
    return Cost(taken.flops, taken.kernels, round(MIXED * taken.traffic), round(MIXED * taken.peak))


def strict_arithmetic(p) -> str:
    """Arithmetic of float32 networks that `precision: bfloat16` leaves alone."""
    return "tf32" if p.precision == "tf32" else "float32"


def _llm_arithmetic(p) -> str:
    return p.llm_dtype if p.llm_dtype == "bfloat16" else strict_arithmetic(p)


def _share(batch: int, p) -> int:
    """Of a batch, what one process computes."""
    return math.ceil(batch / p.processes)


def meta(*shape, dtype=torch.float32) -> torch.Tensor:
    """A tensor of that shape without numbers."""
    return torch.empty(*shape, dtype=dtype, device="meta")


def disk(found, shells, p, n_subjects: int, n_arms: int) -> int:
    """Bytes of the finished run, and of the checkpoints of its largest stage while that one trains.

    Args:
        found: what `stages` returned; the others as there.

    A finished stage keeps its weights alone; a running one two whole checkpoints, and a third while it is written.
    """
    training = [stage for stage in found if stage.per_arm]
    running = max((min(3, (stage.steps - 1) // p.save_every) * stage.saved for stage in training), default=0)
    networks = [shells.vae, shells.unet, shells.unet_cond]
    if not p.unet_path:
        networks.append(shells.unet)                        # as it was built
    latents = n_subjects * AUGMENTATIONS[p.augment] * 4 * 4 * (p.image_size // 8) ** 2 * 4
    arm = sum(stage.memory.weights for stage in training) + sum(map(size_bytes, networks)) + latents
    rows = p.k_runs * n_arms + p.oracle_runs + 4
    images = n_subjects * p.data_test_share * rows * p.image_size**2 * 2
    crops = n_subjects * 2 * PIXELS**2 * 2
    made = n_subjects * SUBJECT_BYTES if p.data_source == "phantom" else 0
    arms = 0 if p.pipeline_path else n_arms * arm
    return int(arms + running + images + crops + made)
