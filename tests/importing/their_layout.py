"""Small checkpoints under the names of the authors' code, written out here, and what models of these weights compute.

Neither the names nor the arithmetic come from diffusers or from namd: both are those of CompVis' latent diffusion and
of a plain vision transformer, done with torch's functions on the checkpoint itself.
"""

import math

import torch
from torch.nn import functional as F

from namd.ground import seeding

WIDTHS = [32, 32, 64, 64]
N_BLOCKS = 2
N_HEADS = 2
DIM = 32            # of the language model
N_SETS = 2
N_TOKENS = 8
JUDGE = dict(dim=24, depth=2, heads=3, head_dim=8, mlp=40, patch=8)
PARAMETERS = [f"vae_channels={WIDTHS}", f"vae_layers={N_BLOCKS}", f"unet_channels={WIDTHS}", f"unet_layers={N_BLOCKS}",
              f"unet_heads={N_HEADS}", "ddim_steps=3", "llm_dtype=float32",
              *(f"judge_{name}={value}" for name, value in JUDGE.items())]
GROUPS = 32


def filled(layout, *keys):
    """{name: tensor} of {name: shape}: sizes at which every layer tells in the output."""
    found = {}
    for name, shape in layout.items():
        values = seeding.noise(shape, "theirs", *keys, name)
        fan_in = math.prod(shape[1:])
        is_norm = len(shape) == 1 and name.endswith("weight")
        found[name] = 1 + 0.2 * values if is_norm else (values / math.sqrt(fan_in) if len(shape) > 1 else 0.2 * values)
    return found


def norm(name, n):
    return {f"{name}.weight": (n,), f"{name}.bias": (n,)}


def conv(name, n_in, n_out, side):
    return {f"{name}.weight": (n_out, n_in, side, side), f"{name}.bias": (n_out,)}


def linear(name, n_in, n_out, bias=True):
    return {f"{name}.weight": (n_out, n_in)} | ({f"{name}.bias": (n_out,)} if bias else {})


# --- the U-Net ---------------------------------------------------------------------------------


def residual(name, n_in, n_out):
    found = {**norm(f"{name}.in_layers.0", n_in), **conv(f"{name}.in_layers.2", n_in, n_out, 3),
             **linear(f"{name}.emb_layers.1", 4 * WIDTHS[0], n_out), **norm(f"{name}.out_layers.0", n_out),
             **conv(f"{name}.out_layers.3", n_out, n_out, 3)}
    return found | (conv(f"{name}.skip_connection", n_in, n_out, 1) if n_in != n_out else {})


def spatial(name, n):
    inner = f"{name}.transformer_blocks.0"
    found = {**norm(f"{name}.norm", n), **conv(f"{name}.proj_in", n, n, 1), **conv(f"{name}.proj_out", n, n, 1)}
    for attention, width in (("attn1", n), ("attn2", DIM)):
        of = f"{inner}.{attention}"
        found |= {**linear(f"{of}.to_q", n, n, False), **linear(f"{of}.to_k", width, n, False),
                  **linear(f"{of}.to_v", width, n, False), **linear(f"{of}.to_out.0", n, n)}
    found |= {**linear(f"{inner}.ff.net.0.proj", n, 8 * n), **linear(f"{inner}.ff.net.2", 4 * n, n)}
    return found | {**norm(f"{inner}.norm1", n), **norm(f"{inner}.norm2", n), **norm(f"{inner}.norm3", n)}


def plan():
    """What each block of the U-Net is: [(name, kind, channels in, channels out)] of the way down, the middle, up."""
    down, widths, n = [("input_blocks.0.0", "conv", 8, WIDTHS[0])], [WIDTHS[0]], WIDTHS[0]
    number = 1
    for level, width in enumerate(WIDTHS):
        for _ in range(N_BLOCKS):
            down.append((f"input_blocks.{number}.0", "residual", n, width))
            n = width
            if level < 3:
                down.append((f"input_blocks.{number}.1", "spatial", n, n))
            widths.append(n)
            down.append(("", "keep", n, n))
            number += 1
        if level < 3:
            down.append((f"input_blocks.{number}.0.op", "halve", n, n))
            widths.append(n)
            down.append(("", "keep", n, n))
            number += 1
    down.insert(1, ("", "keep", n, n))
    middle = [("middle_block.0", "residual", n, n), ("middle_block.1", "spatial", n, n),
              ("middle_block.2", "residual", n, n)]
    up = []
    number = 0
    for level, width in reversed(list(enumerate(WIDTHS))):
        for i in range(N_BLOCKS + 1):
            up.append(("", "join", n, n + widths[-1]))
            up.append((f"output_blocks.{number}.0", "residual", n + widths.pop(), width))
            n = width
            place = 1
            if level < 3:
                up.append((f"output_blocks.{number}.1", "spatial", n, n))
                place = 2
            if level and i == N_BLOCKS:
                up.append((f"output_blocks.{number}.{place}.conv", "double", n, n))
            number += 1
    return [*down, *middle, *up]


def of_three(name, n_in, n_out):
    return conv(name, n_in, n_out, 3)


LAYOUTS = {"conv": of_three, "halve": of_three, "double": of_three, "residual": residual,
           "spatial": lambda name, n, _: spatial(name, n)}


def unet_checkpoint():
    """The state_dict of stage 3: the U-Net, its contexts, its noise schedule."""
    wide = 4 * WIDTHS[0]
    layout = {**linear("time_embed.0", WIDTHS[0], wide), **linear("time_embed.2", wide, wide)}
    for name, kind, n_in, n_out in plan():
        if kind in LAYOUTS:
            layout |= LAYOUTS[kind](name, n_in, n_out)
    layout |= {**norm("out.0", WIDTHS[0]), **conv("out.2", WIDTHS[0], 4, 3), "contexts": (N_SETS, N_TOKENS, DIM)}
    found = {f"model.diffusion_model.{name}": values for name, values in filled(layout, "unet").items()}
    betas = torch.linspace(8.5e-4**0.5, 1.2e-2**0.5, 1000, dtype=torch.float64) ** 2
    return found | {"betas": betas.float(), "alphas_cumprod": (1 - betas).cumprod(0).float(),
                    "sqrt_recipm1_alphas_cumprod": torch.zeros(1000), "posterior_mean_coef1": torch.zeros(1000)}


class Weights:
    """The layers of a checkpoint by name."""

    def __init__(self, weights, start=""):
        self.weights = {name.removeprefix(start): values for name, values in weights.items() if name.startswith(start)}

    def conv(self, name, x, **options):
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], **options)

    def linear(self, name, x):
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def groups(self, name, x, eps):
        return F.group_norm(x, GROUPS, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps)

    def layer(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


def attention(q, k, v, heads):
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    share = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
    return (share @ v).transpose(1, 2).flatten(2)


def doubled(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def through_residual(net, name, x, time):
    h = net.conv(f"{name}.in_layers.2", F.silu(net.groups(f"{name}.in_layers.0", x, 1e-5)), padding=1)
    h = h + net.linear(f"{name}.emb_layers.1", F.silu(time))[:, :, None, None]
    h = net.conv(f"{name}.out_layers.3", F.silu(net.groups(f"{name}.out_layers.0", h, 1e-5)), padding=1)
    return h + (net.conv(f"{name}.skip_connection", x) if f"{name}.skip_connection.weight" in net.weights else x)


def through_spatial(net, name, x, context):
    inner = f"{name}.transformer_blocks.0"
    h = net.conv(f"{name}.proj_in", net.groups(f"{name}.norm", x, 1e-6)).flatten(2).transpose(1, 2)
    for number, seen in ((1, None), (2, context)):
        of = f"{inner}.attn{number}"
        normed = net.layer(f"{inner}.norm{number}", h)
        seen = normed if seen is None else seen
        k, v = net.linear(f"{of}.to_k", seen), net.linear(f"{of}.to_v", seen)
        mixed = attention(net.linear(f"{of}.to_q", normed), k, v, N_HEADS)
        h = h + net.linear(f"{of}.to_out.0", mixed)
    value, gate = net.linear(f"{inner}.ff.net.0.proj", net.layer(f"{inner}.norm3", h)).chunk(2, -1)
    h = h + net.linear(f"{inner}.ff.net.2", value * F.gelu(gate))
    return x + net.conv(f"{name}.proj_out", h.transpose(1, 2).unflatten(2, x.shape[2:]))


@torch.no_grad()
def noise_of(checkpoint, x, t, context):
    """What the U-Net of a checkpoint says of (B, 8, h, w) at step t with a context (B, m, D)."""
    net = Weights(checkpoint, "model.diffusion_model.")
    half = WIDTHS[0] // 2
    angles = t * torch.exp(-math.log(10000) * torch.arange(half) / half)
    time = torch.cat([angles.cos(), angles.sin()])[None].expand(len(x), -1)
    time = net.linear("time_embed.2", F.silu(net.linear("time_embed.0", time)))
    kept = []
    for name, kind, *_ in plan():
        if kind == "conv":
            x = net.conv(name, x, padding=1)
        elif kind == "residual":
            x = through_residual(net, name, x, time)
        elif kind == "spatial":
            x = through_spatial(net, name, x, context)
        elif kind == "halve":
            x = net.conv(name, x, padding=1, stride=2)
        elif kind == "double":
            x = net.conv(name, doubled(x), padding=1)
        elif kind == "keep":
            kept.append(x)
        else:
            x = torch.cat([x, kept.pop()], 1)
    assert not kept
    return net.conv("out.2", F.silu(net.groups("out.0", x, 1e-5)), padding=1)


# --- the VAE -----------------------------------------------------------------------------------


def vae_block(name, n_in, n_out):
    found = {**norm(f"{name}.norm1", n_in), **conv(f"{name}.conv1", n_in, n_out, 3), **norm(f"{name}.norm2", n_out),
             **conv(f"{name}.conv2", n_out, n_out, 3)}
    return found | (conv(f"{name}.nin_shortcut", n_in, n_out, 1) if n_in != n_out else {})


def vae_middle(name, n):
    found = norm(f"{name}.attn_1.norm", n) | vae_block(f"{name}.block_1", n, n) | vae_block(f"{name}.block_2", n, n)
    for part in ("q", "k", "v", "proj_out"):
        found |= conv(f"{name}.attn_1.{part}", n, n, 1)
    return found


def vae_checkpoint(probe=True):
    """The state_dict of the aligned VAE, with a weight of its training loss and, perhaps, the probe."""
    layout, n = conv("encoder.conv_in", 3, WIDTHS[0], 3), WIDTHS[0]
    for level, width in enumerate(WIDTHS):
        for i in range(N_BLOCKS):
            layout |= vae_block(f"encoder.down.{level}.block.{i}", n, width)
            n = width
        if level < 3:
            layout |= conv(f"encoder.down.{level}.downsample.conv", n, n, 3)
    layout |= {**vae_middle("encoder.mid", n), **norm("encoder.norm_out", n), **conv("encoder.conv_out", n, 8, 3),
               **conv("quant_conv", 8, 8, 1), **conv("post_quant_conv", 4, 4, 1), **conv("decoder.conv_in", 4, n, 3),
               **vae_middle("decoder.mid", n)}
    for level, width in reversed(list(enumerate(WIDTHS))):
        for i in range(N_BLOCKS + 1):
            layout |= vae_block(f"decoder.up.{level}.block.{i}", n, width)
            n = width
        if level:
            layout |= conv(f"decoder.up.{level}.upsample.conv", n, n, 3)
    layout |= {**norm("decoder.norm_out", n), **conv("decoder.conv_out", n, 3, 3)}
    found = filled(layout, "vae")
    return found | filled({"loss.logvar": (1,), **(linear("label_head", 256, 1) if probe else {})}, "vae")


def through_vae_block(net, name, x):
    h = net.conv(f"{name}.conv1", F.silu(net.groups(f"{name}.norm1", x, 1e-6)), padding=1)
    h = net.conv(f"{name}.conv2", F.silu(net.groups(f"{name}.norm2", h, 1e-6)), padding=1)
    return h + (net.conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in net.weights else x)


def through_vae_middle(net, name, x):
    x = through_vae_block(net, f"{name}.block_1", x)
    normed = net.groups(f"{name}.attn_1.norm", x, 1e-6)
    q, k, v = (net.conv(f"{name}.attn_1.{part}", normed).flatten(2).transpose(1, 2) for part in "qkv")
    mixed = attention(q, k, v, 1).transpose(1, 2).unflatten(2, x.shape[2:])
    return through_vae_block(net, f"{name}.block_2", x + net.conv(f"{name}.attn_1.proj_out", mixed))


@torch.no_grad()
def posterior_of(checkpoint, x):
    """Mean and standard deviation, unscaled, of images (B, 1, S, S), which they repeat in three channels."""
    net = Weights(checkpoint)
    h = net.conv("encoder.conv_in", x.repeat(1, 3, 1, 1), padding=1)
    for level in range(4):
        for i in range(N_BLOCKS):
            h = through_vae_block(net, f"encoder.down.{level}.block.{i}", h)
        if level < 3:
            h = net.conv(f"encoder.down.{level}.downsample.conv", F.pad(h, (0, 1, 0, 1)), stride=2)
    h = through_vae_middle(net, "encoder.mid", h)
    h = net.conv("encoder.conv_out", F.silu(net.groups("encoder.norm_out", h, 1e-6)), padding=1)
    mean, log_variance = net.conv("quant_conv", h).chunk(2, 1)
    return mean, (log_variance.clamp(-30, 20) / 2).exp()


@torch.no_grad()
def image_of(checkpoint, z):
    """What their decoder makes of unscaled latents: (B, 3, S, S), behind a tanh."""
    net = Weights(checkpoint)
    h = through_vae_middle(net, "decoder.mid", net.conv("decoder.conv_in", net.conv("post_quant_conv", z), padding=1))
    for level in (3, 2, 1, 0):
        for i in range(N_BLOCKS + 1):
            h = through_vae_block(net, f"decoder.up.{level}.block.{i}", h)
        if level:
            h = net.conv(f"decoder.up.{level}.upsample.conv", doubled(h), padding=1)
    return net.conv("decoder.conv_out", F.silu(net.groups("decoder.norm_out", h, 1e-6)), padding=1).tanh()


# --- the judge ---------------------------------------------------------------------------------


def judge_checkpoint():
    """The state_dict of their vision transformer."""
    n, inner = JUDGE["dim"], JUDGE["heads"] * JUDGE["head_dim"]
    layout = {"pos_embedding": (1, 65, n), "cls_token": (1, 1, n), **norm("to_patch_embedding.1", 64),
              **linear("to_patch_embedding.2", 64, n), **norm("to_patch_embedding.3", n), **norm("transformer.norm", n),
              **linear("mlp_head", n, 1)}
    for i in range(JUDGE["depth"]):
        name = f"transformer.layers.{i}"
        layout |= {**norm(f"{name}.0.norm", n), **linear(f"{name}.0.to_qkv", n, 3 * inner, False),
                   **linear(f"{name}.0.to_out.0", inner, n), **norm(f"{name}.1.net.0", n),
                   **linear(f"{name}.1.net.1", n, JUDGE["mlp"]), **linear(f"{name}.1.net.4", JUDGE["mlp"], n)}
    return filled(layout, "judge")


@torch.no_grad()
def logit_of(checkpoint, x):
    """Log odds of images (B, 1, 64, 64)."""
    net = Weights(checkpoint)
    pixels = torch.stack([x[:, 0, 8 * i:8 * i + 8, 8 * j:8 * j + 8].flatten(1) for i in range(8) for j in range(8)], 1)
    h = net.layer("to_patch_embedding.3", net.linear("to_patch_embedding.2", net.layer("to_patch_embedding.1", pixels)))
    h = torch.cat([net.weights["cls_token"].expand(len(x), -1, -1), h], 1) + net.weights["pos_embedding"]
    for i in range(JUDGE["depth"]):
        name = f"transformer.layers.{i}"
        q, k, v = net.linear(f"{name}.0.to_qkv", net.layer(f"{name}.0.norm", h)).chunk(3, -1)
        h = h + net.linear(f"{name}.0.to_out.0", attention(q, k, v, JUDGE["heads"]))
        inner = F.gelu(net.linear(f"{name}.1.net.1", net.layer(f"{name}.1.net.0", h)))
        h = h + net.linear(f"{name}.1.net.4", inner)
    return net.linear("mlp_head", net.layer("transformer.norm", h)[:, 0])[:, 0]
