"""Prompts that are learnt: context vectors, which a nodule's radiomics (or image) shift, before a class's words."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from namd.autorad import texts
from namd.ground.errors import UserError

CLASSES = ("benign", "unsure", "malignant")     # label3 0, 1, 2
WORDS = "a nodule image of"                     # the context of CLIP-Lung, where it is not drawn
SPREAD = 0.02                                   # of the context vectors at first
TINY = 1e-24                                    # of a squared length
LEAST = 6                                       # hidden units of a MetaNet, as 102 radiomics // 16 have


class Prompts(nn.Module):
    """p(class | image) by the cosine between an image and three prompts `[begin] context class . [end]`.

    Args:
        text, tokenizer: of `texts.load_text`; the tower stays outside, frozen, and the prompts go where it is.
        context: number of context vectors, drawn from N(0, .02^2); or words, whose embeddings they are at first.
        image_width: P of the image embeddings.
        guide_width: F of what shifts the context, through the MetaNet; 0 for prompts that are the same for all (CoOp).
        hidden_share: the MetaNet has F // hidden_share hidden units, never fewer than 6.
        scale: of the cosines; 0 takes the one that the text tower learnt.
        classes: the words of the answers, C of them.
        projection: "linear" learns a map from P to the width of the text embeddings where they differ; else "none".

    Raises:
        UserError: the prompt is longer than the tower reads, the widths differ without a projection, the tokenizer does
            not know a word, or there is no scale.

    Source: Zhou et al. 2022 (CoOp; CoCoOp's MetaNet Linear-ReLU-Linear on the image), which AutoRad-Lung feeds with
    radiomics, v_m(x) = v_m + delta (Sec. 2.6). At least 6 hidden units is ours, because one is no control for six.
    """

    def __init__(self, text, tokenizer, context, image_width, guide_width=0, hidden_share=16, scale=0.0,
                 projection="none", classes=CLASSES):
        super().__init__()
        words = text.get_input_embeddings().weight.detach()                         # (vocabulary, width)
        if isinstance(context, str):
            start = words[texts.word_ids(tokenizer, context)]
        else:
            start = SPREAD * torch.randn(context, words.shape[1])
        self.ctx = nn.Parameter(start)                                              # (M, width)
        self.meta = _meta_net(guide_width, hidden_share, words.shape[1]) if guide_width else None
        self.project = _projection(image_width, text.config.projection_dim, projection)
        self.scale = scale or _learnt_scale(text)
        rows = [[*texts.word_ids(tokenizer, f"{name}."), tokenizer.eos_token_id] for name in classes]
        lengths = [len(row) for row in rows]
        _refuse_long(1 + len(start) + max(lengths), text.config.max_position_embeddings)
        mask, positions, end = tree(1 + len(start), lengths)
        w = text.text_projection.weight.detach()                                    # (P', width)
        for name, value in (("begin", words[[tokenizer.bos_token_id]]), ("classes", words[sum(rows, [])]),
                            ("mask", mask), ("positions", positions), ("end", end),
                            ("gram", w.T @ w)):
            self.register_buffer(name, value, persistent=False)
        self.to(words.device)

    def embeds(self, delta=None):
        """The one sequence of all classes, [begin][context + delta][class 1][class 2][class 3]: (B, L, width).

        Args:
            delta: (B, width), added to every context vector; None: nothing, and B is 1.
        """
        ctx = self.ctx.unsqueeze(0) if delta is None else self.ctx + delta.unsqueeze(1)
        same = [part.expand(len(ctx), -1, -1) for part in (self.begin, self.classes)]
        return torch.cat([same[0], ctx, same[1]], 1)

    def class_states(self, text, guide=None):
        """The text tower's states at the ends of the classes: (B, 3, width); B is 1 without `guide` (B, F)."""
        delta = None if guide is None else self.meta(guide)
        return texts.states(text, self.embeds(delta), self.end, self.mask, self.positions)

    def class_features(self, text, guide=None):
        """The text embeddings of the classes, of length 1: (B, 3, P'); B is 1 without `guide` (B, F)."""
        return F.normalize(text.text_projection(self.class_states(text, guide)), dim=-1)

    def forward(self, text, z, guide=None):
        """Logits of the classes, scale times cosine: (B, 3).

        Args:
            text: the tower; z: (B, P) image embeddings; guide: (B, F) what shifts the context, None where nothing does.

        Source: ours; with t = W h the cosine is h . W'x / sqrt(h . W'W h), and h is the shorter of the two by far.
        """
        image = F.normalize(self.project(z), dim=-1)
        h = self.class_states(text, guide)                                          # (B, 3, width)
        towards = image @ text.text_projection.weight                               # (B, width)
        length = ((h @ self.gram) * h).sum(2).clamp(min=TINY).sqrt()                # (B, 3), of W h
        return self.scale * (h @ towards.unsqueeze(2)).squeeze(2) / length


def tree(stem, lengths):
    """Mask, positions and ends of one sequence whose branches see the stem and themselves, never one another.

    Args:
        stem: tokens that the branches have in common; lengths: tokens of each branch.

    Returns:
        mask (L, L) float, positions (L,) int64, end (branches,) int64, as `texts.features` takes them.

    Source: ours, because three sequences repeat the context three times: .41 s a step against .11 at 50 tokens.
    """
    mask = texts.causal(stem + sum(lengths))
    positions = list(range(stem))
    for length in lengths:
        first = len(positions)
        mask[first:first + length, stem:first] = -torch.inf
        positions += range(stem, stem + length)
    end = torch.tensor(lengths).cumsum(0) + stem - 1
    return mask, torch.tensor(positions), end


def _learnt_scale(text) -> float:
    """The scale of cosines that a text tower learnt; one sentence where its file held none."""
    learnt = float(text.logit_scale.exp())
    if math.isnan(learnt):
        raise UserError("autorad_scale is 0, which takes the scale that the text tower learnt, but its file holds none"
                        " (logit_scale), as one of the text tower alone: set autorad_scale, e.g. to 100 as of CLIP.")
    return learnt


def _meta_net(width, share, out):
    """The MetaNet: what shifts the context -> (B, out)."""
    hidden = max(width // share, LEAST)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, out))


def _projection(image_width, text_width, how):
    """The map from image embeddings to the width of text embeddings."""
    if image_width == text_width:
        return nn.Identity()
    if how != "linear":
        raise UserError(f"autorad_projection is {how}, but the image encoder answers in {image_width} numbers and the "
                        f"text tower in {text_width}: set it to linear, or choose a text tower of the encoder's width.")
    return nn.Linear(image_width, text_width)


def _refuse_long(length, most):
    """One sentence where the text tower has no position for the last token."""
    if length > most:
        raise UserError(f"autorad_ctx is too large: with it a prompt has {length} tokens and the text tower reads "
                        f"{most}; take off {length - most}.")
