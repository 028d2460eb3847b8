"""CLIP's two folders beside a U-Net in miniature: its ids of begin and end, the words of two sentences, one layer."""

import json

import torch
from transformers import CLIPTextConfig, CLIPTextModel

from namd.ground.seeding import fresh_weights
from namd.models import clip

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,"


def write_clip(folder, seed=1, width=768):
    """folder/text_encoder and folder/tokenizer as Stable Diffusion's repository has them; returns the text encoder."""
    vocabulary = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    ids = {token: i for i, token in enumerate(vocabulary)} | {"<|startoftext|>": clip.BEGIN, "<|endoftext|>": clip.END}
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(ids))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="CLIPTokenizer", model_max_length=clip.LENGTH, bos_token="<|startoftext|>",
        eos_token="<|endoftext|>", unk_token="<|endoftext|>", pad_token="<|endoftext|>")))
    with fresh_weights(seed, "small clip"):
        encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=clip.END + 1, hidden_size=width, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2)).eval()
    encoder.save_pretrained(folder / "text_encoder")
    return encoder


def states(encoder, ids):
    """(1, 77, width) of the tokens `ids`, filled up by hand with CLIP's end."""
    row = torch.tensor([ids + [clip.END] * (clip.LENGTH - len(ids))])
    return encoder(row).last_hidden_state.detach()
