"""The judge: one small vision transformer that reads every image of Table 1, real or generated (Sec. 4.1.2)."""

from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from namd.data.images import AUGMENTATIONS
from namd.data.report import nodule_features
from namd.ground.errors import UserError
from namd.ground.files import replacing, write_json
from namd.ground.precision import prepare, strict
from namd.ground.reading import read_json, reading
from namd.ground.seeding import fresh_weights
from namd.ground.workers import side_by_side
from namd.training import loop


class Attention(nn.Module):
    """Multi-head self-attention whose inner width heads * head_dim need not equal dim."""

    def __init__(self, dim, heads, head_dim, dropout):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_dim, dim), nn.Dropout(dropout))

    def forward(self, x):
        """(B, n_tokens, dim) -> (B, n_tokens, dim)."""
        q, k, v = self.to_qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.to_out(attended.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised first and added to its input."""

    def __init__(self, dim, heads, head_dim, mlp, dropout):
        super().__init__()
        self.attention = Attention(dim, heads, head_dim, dropout)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, mlp), nn.GELU(), nn.Dropout(dropout),
                                 nn.Linear(mlp, dim), nn.Dropout(dropout))

    def forward(self, x):
        """(B, n_tokens, dim) -> (B, n_tokens, dim)."""
        x = x + self.attention(x)
        return x + self.mlp(x)


class Judge(nn.Module):
    """Vision transformer: image -> probability of malignancy, and the features FID and KID are computed on.

    Args:
        image_size, patch: pixels; patch divides image_size.
        dim, depth, heads, head_dim, mlp, dropout: transformer sizes.
        n_attributes: width of a second, linear head that predicts nodule attributes during training; 0 for none.

    Source: Sec. 4.1.2 names a ViT only; layers, their order and the places of the dropout are those of the authors'
    code (64 px, patch 8, one channel, a LayerNorm before and one after the patch projection, class token, one logit;
    75,686,017 weights at its sizes). Class token and positions start at .02 N(0, 1), theirs at N(0, 1). The attribute
    head is ours, because a small judge trained from scratch needs it.
    """

    def __init__(self, image_size, patch, dim, depth, heads, head_dim, mlp, dropout, n_attributes=0):
        super().__init__()
        self.config = dict(image_size=image_size, patch=patch, dim=dim, depth=depth, heads=heads,
                           head_dim=head_dim, mlp=mlp, dropout=dropout, n_attributes=n_attributes)
        if image_size % patch:
            raise UserError(f"judge_patch: {patch} does not divide image_size {image_size}; choose a divisor.")
        n_tokens = (image_size // patch) ** 2 + 1
        self.patches = nn.Sequential(nn.LayerNorm(patch**2), nn.Linear(patch**2, dim), nn.LayerNorm(dim))
        self.cls = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.position = nn.Parameter(0.02 * torch.randn(1, n_tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*[Block(dim, heads, head_dim, mlp, dropout) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 1)
        self.attributes = nn.Linear(dim, n_attributes) if n_attributes else None

    def forward(self, x):
        """Class token after the last block: x (B, 1, S, S) in [-1, 1] -> (B, dim)."""
        side = self.config["patch"]
        pixels = F.unfold(x, side, stride=side).transpose(1, 2)           # (B, n_patches, patch^2)
        tokens = self.patches(pixels)                                     # (B, n_patches, dim)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1)  # (B, n_patches + 1, dim)
        return self.norm(self.blocks(self.dropout(tokens + self.position))[:, 0])

    @torch.no_grad()
    @strict()
    def features(self, x, batch=256):
        """Features of a whole set of images, in evaluation mode.

        Args:
            x: (N, 1, S, S) float tensor in [-1, 1], on any device.
            batch: images per forward pass; changes memory only.

        Returns:
            (N, dim) float32 tensor on the CPU, dimensionless.

        Source: ours, because FID in the 2048-d Inception space is mostly bias at N = 450.
        """
        self.eval()
        device = self.cls.device
        parts = [self(part.to(device, torch.float32)).cpu() for part in x.split(batch)]
        return torch.cat(parts)

    @torch.no_grad()
    @strict()
    def logit(self, features):
        """Log odds of malignancy from `features`: (N, dim) on the CPU -> (N,) on the CPU."""
        return self.head(features.to(self.cls.device)).squeeze(1).cpu()

    def prob(self, x, batch=256):
        """Probability of malignancy of each image: (N, 1, S, S) -> (N,) on the CPU, in [0, 1] (Sec. 4.1.2)."""
        return self.logit(self.features(x, batch)).sigmoid()

    def save(self, folder):
        """Write config.json and model.safetensors below `folder`."""
        write_json(Path(folder) / "config.json", self.config)
        with replacing(Path(folder) / "model.safetensors") as aside:
            save_file({k: v.contiguous().cpu() for k, v in self.state_dict().items()}, aside)


def load_judge(folder) -> Judge:
    """Judge saved by `Judge.save`, in evaluation mode.

    Raises:
        UserError: the folder holds no judge, or a damaged one.

    Source: ours, because 06 and 07 read the judge that 05 trained.
    """
    folder = Path(folder)
    if not (folder / "model.safetensors").exists():
        raise UserError(f"{folder}: no judge; make it with `python -m namd run 05 --params <your parameter file>`.")
    with reading(folder / "model.safetensors", "05"):
        weights = load_file(folder / "model.safetensors")
    with reading(folder / "config.json", "05"):
        judge = Judge(**read_json(folder / "config.json", "05"))
        judge.load_state_dict(weights)
    return judge.eval()


def judge_loss(judge, x, label, f, weight):
    """Cross-entropy of the label plus `weight` times the squared error of the attributes.

    Args:
        x: (B, 1, S, S) images; label: (B,) float32 in {0, 1}; f: (B, n_feat) attributes.
        weight: >= 0, dimensionless; 0 leaves the attributes out.

    Returns:
        dict of () tensors: loss, loss_label (nats), loss_attributes (when weight > 0).

    Source: ours, because neither the paper nor the authors' code says how the judge was trained.
    """
    h = judge(x)                                                          # (B, dim)
    loss_label = F.binary_cross_entropy_with_logits(judge.head(h).squeeze(1), label)
    if weight == 0:
        return dict(loss=loss_label, loss_label=loss_label)
    loss_attributes = F.mse_loss(judge.attributes(h), f)
    return dict(loss=loss_label + weight * loss_attributes, loss_label=loss_label,
                loss_attributes=loss_attributes)


def softened(x, share, g):
    """Images (B, 1, S, S), about `share` of them as means of 3 x 3 pixels; ours, because decoded ones have no noise."""
    chosen = torch.rand(len(x), generator=g).to(x.device) < share
    soft = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return torch.where(chosen[:, None, None, None], soft, x)


@strict()
def train_judge(train, val, p, folder, device="cpu", key=""):
    """Train the judge on REAL FOLLOW-UP training images only and keep the best validation weights.

    Args:
        train, val: Pairs of namd.data.cohort; val chooses the weights, by cross-entropy.
        p: parameters image_size, window_low, window_high, judge_*, save_every, seed.
        folder: run.root / "judge"; checkpoints go below folder/checkpoints, the judge into folder.
        key: names parameters and sources; checkpoints of another key are not resumed (run.key).

    Returns:
        (Judge in evaluation mode, history DataFrame of loop.fit).

    Source: Sec. 4.1.2; the recipe is ours. Every row of Table 1 is read by this one judge, in strict float32.
    """
    crop = (p.image_size, p.window_low, p.window_high)
    turned = [train.augmented(k, "square", *crop)[1] for k in range(AUGMENTATIONS["square"])]
    x = torch.stack(turned).to(device)                                    # (8, N, 1, S, S)
    f = torch.from_numpy(nodule_features(train.attributes(2), "standardised")[0]).to(device)
    label = torch.tensor(train.label, dtype=torch.float32, device=device)
    label_val = torch.tensor(val.label, dtype=torch.float32)
    x_val = val.images(*crop)[1]
    judge = _untrained(p, f.shape[1] if p.judge_attributes > 0 else 0).to(device)

    def step(idx, g, step_no):
        k = torch.randint(len(x), (len(idx),), generator=g)
        return judge_loss(judge, softened(x[k, idx], p.judge_blur, g), label[idx], f[idx], p.judge_attributes)

    def validate():
        logit = judge.logit(judge.features(x_val))
        return F.binary_cross_entropy_with_logits(logit, label_val).item()

    history = loop.fit(step, judge, n_steps=p.judge_steps, n_items=len(train), batch_size=p.judge_batch,
                       lr=loop.one_cycle(p.judge_lr, p.judge_steps), stage="judge", seed=p.seed,
                       folder=Path(folder) / "checkpoints", key=key, validate=validate,
                       val_every=max(1, p.judge_steps // 20), save_every=p.save_every,
                       log=lambda line: print(f"seed {p.seed}, {line}"))
    judge.save(folder)
    return judge, history


def _untrained(p, n_attributes):
    """Judge with seeded random weights, of the sizes in `p`."""
    with fresh_weights(p.seed, "judge"):
        return Judge(p.image_size, p.judge_patch, p.judge_dim, p.judge_depth, p.judge_heads, p.judge_head_dim,
                     p.judge_mlp, p.judge_dropout, n_attributes)


def train_judges(train, val, p, folder, device="cpu", key="", workers=1):
    """`train_judge` under judge_seeds training seeds, side by side.

    Args:
        train, val, p, device, key: as `train_judge`; folder: of the first judge, the others go to folder/seed<n>.
        workers: processes; the judges are the same for any number.

    Returns:
        ([Judge, ...], history of the first).

    Source: ours, because an AUROC is also the reader's, and another reader is another draw.
    """
    jobs = []
    for seed in range(p.seed, p.seed + p.judge_seeds):
        own = Path(folder) if seed == p.seed else Path(folder) / f"seed{seed}"
        jobs.append((seed, train, val, p, own, device, key))
    trained = side_by_side(_train_at, jobs, workers)
    judges = [judge for judge, _ in trained]
    _, history = trained[0]
    return judges, history


def _train_at(seed, train, val, p, folder, device, key):
    """`train_judge` at another seed in a process of its own."""
    prepare(p.threads, p.precision)
    own = SimpleNamespace(**{**vars(p), "seed": seed})
    return train_judge(train, val, own, folder, device, key)
