"""A CLIP text tower of random weights with the words of a few sentences, in transformers' and in open_clip's layout."""

import json
from collections import OrderedDict

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig, PreTrainedTokenizerFast

from namd.autorad.texts import TextTower
from namd.ground.seeding import fresh_weights

WORDS = "a nodule image of benign unsure malignant small large .".split()
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = {word: i for i, word in enumerate(["<unk>", *WORDS, BEGIN, END])}      # the end is last, as CLIP's


def tokenizer():
    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token=BEGIN, eos_token=END, unk_token="<unk>")


def tower(width=64, layers=2, heads=4, projection=32, length=77, seed=1):
    """A frozen TextTower whose biases and norms are random too, so that a weight in the wrong place is seen."""
    config = CLIPTextConfig(
        vocab_size=len(VOCABULARY), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=heads, projection_dim=projection, max_position_embeddings=length,
        bos_token_id=VOCABULARY[BEGIN], eos_token_id=VOCABULARY[END], pad_token_id=0)
    with fresh_weights(seed, "small text"):
        text = TextTower(config).eval().requires_grad_(False)
        for name, p in text.named_parameters():
            if name != "logit_scale":
                p.add_(0.1 * torch.randn(p.shape))
    return text


def whole_clip(side=32):
    """A CLIPModel of two towers, each of two layers, with random biases and norms too."""
    image = CLIPVisionConfig(hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
                             image_size=side, patch_size=8, projection_dim=32)
    text = tower(width=32).config
    with fresh_weights(4, "whole"):
        whole = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=image.to_dict(), projection_dim=32))
        for name, p in whole.requires_grad_(False).named_parameters():
            if name != "logit_scale":
                p.add_(0.1 * torch.randn(p.shape))
    return whole.eval()


def write(folder, text):
    """`text` and the tokenizer in transformers' layout."""
    text.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def block(width, heads):
    """The parts of one of open_clip's residual blocks, whose attention keeps query, key and value in one matrix."""
    mlp = OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=nn.GELU(), c_proj=nn.Linear(4 * width, width))
    return nn.ModuleDict(dict(attn=nn.MultiheadAttention(width, heads, batch_first=True), ln_1=nn.LayerNorm(width),
                              ln_2=nn.LayerNorm(width), mlp=nn.Sequential(mlp)))


class OpenClipText(nn.Module):
    """open_clip's text tower in plain torch, with its names and its arithmetic."""

    def __init__(self, width=32, layers=2, heads=4, projection=16, length=20, quick=True):
        super().__init__()
        self.config = {"embed_dim": projection, "quick_gelu": quick, "vision_cfg": {"layers": [1, 1, 1, 1]},
                       "text_cfg": {"context_length": length, "vocab_size": len(VOCABULARY), "width": width,
                                    "heads": heads, "layers": layers}}
        self.quick = quick
        self.token_embedding = nn.Embedding(len(VOCABULARY), width)
        self.positional_embedding = nn.Parameter(torch.randn(length, width))
        self.transformer = nn.ModuleDict(dict(resblocks=nn.ModuleList(block(width, heads) for _ in range(layers))))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, projection))
        self.logit_scale = nn.Parameter(torch.tensor(3.5))
        self.visual = nn.Linear(2, 2)               # stands for the image tower
        for p in self.parameters():
            nn.init.normal_(p, std=0.3)

    def forward(self, ids):
        """(B, L) -> (B, projection), read at the largest id of each row."""
        x = self.token_embedding(ids) + self.positional_embedding[:ids.shape[1]]
        mask = torch.full((ids.shape[1], ids.shape[1]), -torch.inf).triu(1)
        for part in self.transformer["resblocks"]:
            y = part["ln_1"](x)
            x = x + part["attn"](y, y, y, attn_mask=mask, need_weights=False)[0]
            y = part["mlp"].c_fc(part["ln_2"](x))
            x = x + part["mlp"].c_proj(y * torch.sigmoid(1.702 * y) if self.quick else nn.functional.gelu(y))
        x = self.ln_final(x)
        return x[torch.arange(len(x)), ids.argmax(1)] @ self.text_projection


def write_open_clip(folder, net):
    """`net` and the tokenizer as the hub has them in open_clip's layout: no config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in net.state_dict().items()},
              folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": net.config, "preprocess_cfg": {}}))
    tokenizer().save_pretrained(folder)
