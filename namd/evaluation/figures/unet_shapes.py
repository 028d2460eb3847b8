"""The U-Net, shape by shape, as it stands in memory: an SVG."""

import torch

from namd.evaluation.figures.layers import HIGH, WIDE, Layer, by, card, chip
from namd.evaluation.figures.svg import LINE, MUTED, frame, line, text
from namd.evaluation.figures.traced import shapes

GAP = 22
LEFT = 20
TOP = 118
DROP = 84               # px from one level to the next, where columns stand apart
LARGEST = 1220          # px of the drawing: a wider one is read too small on a page, so its columns overlap
TIME = "#0173b2"
CONTEXT = "#c45a00"


def draw(net, context) -> str:
    """The drawing of a U-Net, its numbers read from one call.

    Args:
        net: UNet2DConditionModel; context: (1, m, D), what its cross-attentions read.

    Source: the layout is that of Ronneberger et al. 2015, Figure 1.
    """
    given = net.config.in_channels, net.config.sample_size, net.config.sample_size
    found = shapes(net, lambda: _call(net, given, context))
    layers = _layers(net, found, given)
    largest = max(layer.shape[0] for layer in layers), max(layer.shape[1] for layer in layers)
    body = _legend(found, context)
    body += [_arrow(a, b) for a, b in zip(layers, layers[1:], strict=False)]
    body += _bridges(layers, len(net.down_blocks))
    body += [card(layer, largest) for layer in layers]
    width = max(1000, layers[-1].x + WIDE + LEFT)
    return frame(width, max(layer.y for layer in layers) + HIGH + 22, body, _alt(layers, found, context))


def _call(net, given, context):
    like = next(net.parameters())
    z_t = torch.zeros(1, *given, device=like.device)
    net(z_t, torch.zeros(1, dtype=torch.long, device=like.device), context[:1].to(like.device))


def _layers(net, found, given):
    """The cards from left to right: down the U, through its bottom, up again."""
    levels = len(net.down_blocks)
    parts = [(-1, "z_t", given, ()), (0, "conv_in", found["conv_in"], ())]
    parts += [(i, f"down {i + 1}", found[f"down_blocks.{i}.resnets.0"], _chips(block))
              for i, block in enumerate(net.down_blocks)]
    parts.append((levels, "middle", found["mid_block"], _chips(net.mid_block)))
    parts += [(levels - 1 - i, f"up {i + 1}", found[f"up_blocks.{i}.resnets.0"], _chips(block))
              for i, block in enumerate(net.up_blocks)]
    parts.append((0, "conv_out", found["conv_out"], ()))
    flat = WIDE + GAP
    slanted = min(flat, (LARGEST - 2 * LEFT - WIDE - 3 * flat) / (2 * levels))
    drop = DROP if slanted > WIDE else HIGH + GAP
    placed = []
    x = LEFT
    for i, (level, title, shape, chips) in enumerate(parts):
        if i:
            x += flat if max(level, 0) == max(parts[i - 1][0], 0) else slanted
        placed.append(Layer(x, TOP + drop * max(level, 0), title, shape, chips))
    return placed


def _chips(block):
    reads = getattr(block, "has_cross_attention", False)
    return (("t", TIME), ("C", CONTEXT)) if reads else (("t", TIME),)


def _legend(found, context):
    sines = found["time_proj"][-1]
    added = found["time_embedding"][-1]
    m, wide = context.shape[1:]
    return [text(20, 28, "The U-Net of this run, shape by shape (channels × rows × columns)", 16, anchor="start",
                 weight="bold"),
            chip(29, 52, "t", TIME),
            text(46, 57, f"the step as {sines} sines and cosines, through two layers to {added} numbers, which every "
                         "residual block adds to its channels", 12.5, MUTED, "start"),
            chip(29, 78, "C", CONTEXT),
            text(46, 83, f"the context, {m} tokens of {wide} numbers: every place of the map asks them "
                         "(cross-attention)", 12.5, MUTED, "start")]


def _arrow(a, b):
    if a.y == b.y:
        return line(a.x + WIDE, a.y + HIGH / 2, b.x - 2, b.y + HIGH / 2)
    end = b.y - 2 if b.y > a.y else b.y + HIGH + 2
    way = f"M{a.x + WIDE:g} {a.y + HIGH / 2:g} H{b.x + WIDE / 2:g} V{end:g}"
    return f"<path d='{way}' fill='none' stroke='{LINE}' stroke-width='2' marker-end='url(#tip)'/>"


def _bridges(layers, levels):
    """The maps that cross from the way down to the way up, dashed."""
    down = layers[2:2 + levels]
    up = layers[3 + levels:3 + 2 * levels][::-1]
    found = []
    for a, b in zip(down, up, strict=True):
        y = a.y + 16
        found.append(f"<line x1='{a.x + WIDE:g}' y1='{y:g}' x2='{b.x:g}' y2='{y:g}' stroke='{LINE}' "
                     "stroke-dasharray='5 4'/>")
        found.append(text((a.x + WIDE + b.x) / 2, y - 5, "maps cross", 11.5, MUTED))
    return found


def _alt(layers, found, context):
    way = ", ".join(f"{layer.title} {by(layer.shape)}" for layer in layers)
    listens = [layer.title for layer in layers if len(layer.chips) == 2]
    return (f"The U-Net from left to right, channels by rows by columns: {way}. Maps of the way down cross to the way "
            f"up at the same level. The time embedding of {found['time_embedding'][-1]} numbers enters every block; the"
            f" context of {by(context.shape[1:])} is read in {', '.join(listens)}.")
