"""What small image encoders and text towers learn from: AIMv2's objective, CLIP's, and LiT's, which is CLIP's on z."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Aimv2VisionConfig, Aimv2VisionModel, CLIPTextConfig
from transformers.models.aimv2.modeling_aimv2 import Aimv2Encoder, Aimv2RMSNorm

from namd.autorad.texts import TextTower
from namd.models.clip import LENGTH

TEXT_SHARE = .4                     # of the captions' loss beside that of the patches; ours
WORDS = 32                          # of a caption, at most
MAX_SCALE = math.log(100)           # CLIP's, of the logarithm of its learnt factor on cosines


def small_tower(side: int, patch: int, width: int, mlp: int, layers: int, heads: int) -> Aimv2VisionModel:
    """AIMv2's vision tower with toy widths, sinusoidal positions and random weights.

    Args:
        side: of the image, px; patch: of a patch; width: P; mlp: hidden width; layers, heads: counts.

    Source: Fini et al. 2024; sinusoidal positions as in its "native" form, because a learned table would be 6 k more.
    """
    return Aimv2VisionModel(Aimv2VisionConfig(
        hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=heads, image_size=side,
        patch_size=patch, use_head=False, is_native=True))


def small_text(tokenizer, width: int, layers: int, projection: int) -> TextTower:
    """CLIP's text tower with toy widths, random weights and CLIP's first scale.

    Args:
        tokenizer: of `namd.models.llm.build_tokenizer`; width: of its states; projection: P, that of the image encoder.
    """
    return TextTower(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
        num_attention_heads=4, max_position_embeddings=LENGTH, projection_dim=projection,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id))


def prefix_mask(prefix, n: int) -> torch.Tensor:
    """Which patch sees which: (B, 1, n, n) bool, [.., i, j] where i sees j.

    Args:
        prefix: (B,) int, so many first patches see one another; every later one sees those before it and itself.

    Source: Fini et al. 2024 (AIMv2), after El-Nouby et al. 2024 (AIM): prefix attention.
    """
    later = torch.ones(n, n, dtype=torch.bool).tril()
    return (later | (torch.arange(n) < prefix.view(-1, 1, 1))).unsqueeze(1)


def patches(x, side: int) -> torch.Tensor:
    """Images (B, 1, S, S) as normalised patches in reading order: (B, (S / side)^2, side^2), each of mean 0 and sd 1.

    Source: AIM's target (He et al. 2022: normalised pixels).
    """
    rows = F.unfold(x, side, stride=side).mT
    return (rows - rows.mean(-1, keepdim=True)) / (rows.var(-1, keepdim=True) + 1e-6).sqrt()


class Autoregressive(nn.Module):
    """AIMv2's objective: the encoder's patches, then the caption, told one after the other by a causal decoder.

    Args:
        encoder: `encoders.Aimv2`, which stays when the rest is thrown away; n_words: of the vocabulary; layers: of the
            decoder, which is as wide as the encoder.

    Source: Fini et al. 2024: prefix attention in the encoder, squared error on the next normalised patch outside the
    prefix, cross-entropy on the next word. The decoder's size is ours, and so is the share of .4 on the words' loss:
    there a factor stands before that of the patches, L = L_text + alpha L_img.
    """

    def __init__(self, encoder, n_words: int, layers: int):
        super().__init__()
        self.encoder = encoder
        config = copy.deepcopy(encoder.tower.config)
        config.num_hidden_layers = layers
        width = config.hidden_size
        self.patch = config.patch_size
        self.words = nn.Embedding(n_words, width)
        self.places = nn.Parameter(.02 * torch.randn(WORDS, width))
        self.decoder = Aimv2Encoder(config)
        self.norm = Aimv2RMSNorm(width)
        self.to_pixels = nn.Linear(width, self.patch ** 2)
        nn.init.normal_(self.words.weight, std=.02)

    def forward(self, x, ids, prefix) -> dict[str, torch.Tensor]:
        """{"loss", "patches", "words"}, each () dimensionless.

        Args:
            x: (B, 1, S, S) in [-1, 1]; ids: (B, L) words with <eos>, 0 behind it; prefix: (B,) of `prefix_mask`, >= 1.
        """
        target = patches(x, self.patch)
        n = target.shape[1]
        seen = self.encoder.tokens(x, prefix_mask(prefix, n))                       # (B, n, P)
        told = torch.cat([seen, self.words(ids[:, :-1]) + self.places[:ids.shape[1] - 1]], dim=1)
        causal = torch.ones(told.shape[1], told.shape[1], dtype=torch.bool).tril()
        states = self.norm(self.decoder(told, causal[None, None]).last_hidden_state)
        outside = torch.arange(1, n) >= prefix.unsqueeze(1)                         # (B, n - 1)
        error = (self.to_pixels(states[:, :n - 1]) - target[:, 1:]).square().mean(-1)
        pixel_loss = (error * outside).sum() / outside.sum().clamp(min=1)
        logits = states[:, n - 1:] @ self.words.weight.T
        word_loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)
        return {"loss": pixel_loss + TEXT_SHARE * word_loss, "patches": pixel_loss, "words": word_loss}


def contrastive_loss(z, text, ids) -> torch.Tensor:
    """CLIP's objective, () nats: in a batch, the caption of each image and the image of each caption.

    Args:
        z: (B, P) of the images; text: TextTower; ids: (B, L) with <bos> and <eos>, 0 behind it.

    Source: Radford et al. 2021; over the z of a frozen encoder it is Zhai et al. 2022 (LiT).
    """
    words = F.normalize(text(ids).text_embeds, dim=-1)
    logits = text.logit_scale.clamp(max=MAX_SCALE).exp() * F.normalize(z, dim=-1) @ words.T
    own = torch.arange(len(z))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
