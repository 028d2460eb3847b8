"""CLIP's text path of Stable Diffusion: tokenizer and text encoder beside a U-Net, or a small pair of the same form."""

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from namd.ground.errors import UserError
from namd.models import hub
from namd.models.llm import build_tokenizer

BEGIN = 49406           # CLIP's tokens of the empty prompt: one begin,
END = 49407             # the rest end,
LENGTH = 77             # up to this length
LAYERS = 2              # of a small text encoder; Stable Diffusion's has 12,
HEADS = 4               # and 12 of these


def beside(path) -> bool:
    """Whether the U-Net that `path` names, if any, was published with a text encoder of its own.

    Source: ours, because the small U-Net that stands for Stable Diffusion's never read a prompt.
    """
    return bool(path) and not hub.leaves_out(path, "text_encoder")


def load_encoder(path) -> CLIPTextModel:
    """The frozen text encoder in the folder text_encoder/ of a directory or hub repository.

    Raises:
        UserError: nothing loadable there, or weights missing from the file.

    Source: Stable Diffusion v1.5 (CreativeML OpenRAIL-M).
    """
    return hub.load(CLIPTextModel, path, "text_encoder", "unet_path").requires_grad_(False)


def load_tokenizer(path) -> CLIPTokenizer:
    """CLIP's tokenizer in the folder tokenizer/ of a directory or hub repository.

    Raises:
        UserError: it is not there, not readable or not CLIP's.

    Source: Stable Diffusion v1.5. The empty prompt is asked first: transformers makes an empty tokenizer of nothing.
    """
    name, revision = hub.split(path)
    try:
        tokenizer = CLIPTokenizer.from_pretrained(name, revision=revision, subfolder="tokenizer")
    except Exception as error:              # the library behind it raises nothing narrower
        raise UserError(f"unet_path: the tokenizer of '{path}' cannot be opened ({hub.first_line(error)}); "
                        f"{hub.advice(path, 'tokenizer')}.") from error
    if tokenizer("").input_ids != [BEGIN, END]:
        raise UserError(f"unet_path: '{path}' holds no tokenizer of CLIP (vocab.json and merges.txt in tokenizer/); "
                        f"{hub.advice(path, 'tokenizer')}.")
    return tokenizer


def build(texts, width):
    """A small text encoder from scratch and its tokenizer: `(CLIPTextModel, tokenizer)`.

    Args:
        texts: N reports, whose words it knows; width: of its states, a multiple of 4.

    Source: ours, because nothing that was trained on images and their captions is as small as a small U-Net.
    """
    tokenizer = build_tokenizer(texts)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=LENGTH, pad_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    return CLIPTextModel(config), tokenizer


def tokens(tokenizer, texts) -> torch.Tensor:
    """(N, 77) int64 of N texts: begin, the words, end until all 77 places are full; what is longer is cut.

    Source: Stable Diffusion v1.5. No report is cut: with CLIP's vocabulary they have 52 to 69 tokens.
    """
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer(list(texts), padding="max_length", max_length=LENGTH, truncation=True,
                     return_tensors="pt").input_ids


@torch.no_grad()
def empty_prompt(path) -> torch.Tensor:
    """CLIP's states of the empty prompt: (1, 77, 768). `path`: as in `load_encoder`."""
    return load_encoder(path)(torch.tensor([[BEGIN] + [END] * (LENGTH - 1)])).last_hidden_state
