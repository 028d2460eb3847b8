"""Models with random weights and made-up pairs for the benchmarks: the sizes of a run, nothing trained or fetched."""

import warnings
from types import SimpleNamespace

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import PromptTuningConfig, get_peft_model
from transformers import Gemma3TextConfig, Gemma3TextModel

from namd.data.phantom.law import draw_subjects
from namd.data.report import EHR, report_texts
from namd.ground import paths, seeding
from namd.models import diffusion, hub, llm, unet, vae
from namd.models.prompts import SoftPrompts
from namd.study import params
from namd.study.preflight import shapes

warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)     # peft 0.21 in transformers 5
QUICK = [paths.REPO / "params" / "quick.yaml"]
LAYERS = 8              # of the language model at the paper's width on a CPU, where 34 in float32 take 15.5 GB
MEDIUM = dict(llm_hidden=256, llm_layers=4, text_n_tokens=20, unet_channels=[64, 128], cond_batch=8)


def sizes(device, size="") -> dict[str, SimpleNamespace]:
    """Parameters by size: the quick profile and one that is all arithmetic on a CPU, the paper's on a GPU.

    Args:
        size: "paper" for the paper's on a CPU, with LAYERS of the language model; "" for what suits the device.
    """
    if device.type == "cuda":
        return {"paper": SimpleNamespace(**params.load())}
    if size == "paper":
        return {"paper": SimpleNamespace(**params.load() | dict(llm_layers=LAYERS))}
    quick = params.load(QUICK)
    return {"quick": SimpleNamespace(**quick), "medium": SimpleNamespace(**quick | MEDIUM)}


def records(n: int):
    """n phantom records, columns EHR, index `subject`."""
    rows = draw_subjects(n, seed=0)
    return rows.assign(sct_long_dia=rows["longest_mm"].round(), sct_perp_dia=rows["perpendicular_mm"].round())[EHR]


def images(n: int, p, *keys) -> torch.Tensor:
    """(n, 1, S, S) in [-1, 1]; noise, because no time depends on what an image shows."""
    return seeding.noise((n, 1, p.image_size, p.image_size), *keys).clamp(-1, 1)


def language(p, ehr, device) -> SimpleNamespace:
    """The frozen language model `lm` with a small `tokenizer`, the reports `texts`, and soft `prompts`."""
    texts = report_texts(ehr)
    tokenizer = llm.build_tokenizer(texts)
    if p.llm_path:
        known = shapes.config_of(p.llm_path, "")
        config = Gemma3TextConfig(**known.get("text_config", known))
        if not hub.directory(p.llm_path):
            config.num_hidden_layers = min(p.llm_layers, config.num_hidden_layers)
    else:
        config = llm.small_config(p.llm_hidden, p.llm_layers, len(tokenizer)).text_config
    with seeding.fresh_weights("benchmark", "llm"), torch.device(device):
        lm = Gemma3TextModel(config).to(getattr(torch, p.llm_dtype)).eval().requires_grad_(False)
    prompts = SoftPrompts.begin(lm, p.text_n_sets, p.text_n_tokens, p.seed)
    return SimpleNamespace(lm=lm, tokenizer=tokenizer, texts=texts, prompts=prompts)


def imaging(p, context_width: int, device) -> SimpleNamespace:
    """The `vae`, the `unet` as in stage 3, and the `scheduler`; of the architectures that the run names, if it does.

    The zero half of the U-Net's first convolution is filled, so that a wrong baseline latent would show.
    """
    with seeding.fresh_weights("benchmark", "images"):
        autoencoder = AutoencoderKL.from_config(_named(p.vae_path, "vae") or vae.small_config(p))
        net = UNet2DConditionModel.from_config(_named(p.unet_path, "unet") or unet.small_config(p)).eval()
    autoencoder.eval().requires_grad_(False)
    unet.widen_context(net, context_width, p.seed)
    unet.widen_input(net)
    with torch.no_grad():
        net.conv_in.weight[:, 4:] = 0.1 * seeding.noise(net.conv_in.weight[:, 4:].shape, "baseline half")
    probe = torch.nn.Linear(4 * (p.image_size // vae.FACTOR) ** 2, 1)
    return SimpleNamespace(vae=vae.NoduleVAE(autoencoder, probe).to(device), unet=net.to(device),
                           scheduler=diffusion.schedule(p))


def _named(path, part) -> dict:
    """The architecture of a model of the hub; nothing for a folder, whose weights are another benchmark's."""
    return shapes.config_of(path, part) if path and not hub.directory(path) else {}


def peft_sets(lm, prompts):
    """`lm` under m prompt-tuning adapters "0", "1", ..., with the vectors of `prompts`: peft's way to hold m sets."""
    m, n, dim = prompts.vectors().shape
    config = PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=n, token_dim=dim,
                                num_transformer_submodules=1, num_layers=lm.config.num_hidden_layers,
                                num_attention_heads=lm.config.num_attention_heads)
    model = get_peft_model(lm, config, "0")
    for j in range(1, m):
        model.add_adapter(str(j), config)
    for j, vectors in enumerate(prompts.vectors().detach()):
        model.prompt_encoder[str(j)].embedding.weight.data.copy_(vectors)
    return model.eval()


def encode_set_by_set(model, tokenizer, texts, **padding):
    """(B, m, D): one call of the language model per adapter, state at <eos>; `padding` goes to the tokenizer."""
    batch = tokenizer([text + "<eos>" for text in texts], return_tensors="pt", **padding).to(model.device)
    last = batch.attention_mask.sum(1) - 1
    rows, states = torch.arange(len(texts), device=last.device), []
    for name in model.prompt_encoder:
        model.set_adapter(name)
        hidden = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)
        n_tokens = model.prompt_encoder[name].embedding.num_embeddings
        states.append(hidden.last_hidden_state[rows, n_tokens + last].float())
    return torch.stack(states, dim=1)
