"""The VAE, shape by shape, as it stands in memory: an SVG."""

import torch

from namd.evaluation.figures.layers import HIGH, WIDE, Layer, by, card
from namd.evaluation.figures.svg import MUTED, frame, line, text
from namd.evaluation.figures.traced import shapes

GAP = 24
LEFT = 20
ROWS = (64, 236)        # px of the encoder and of the decoder


def draw(vae, image_size) -> str:
    """The drawing of a NoduleVAE for square images, its numbers read from one call.

    Source: ours; the paper names the architecture (App. B) and does not draw it.
    """
    x = torch.zeros(1, 1, image_size, image_size, device=vae.probe.weight.device)
    found = shapes(vae, lambda: vae.logit(_through(vae, x)))
    encoder = _row(ROWS[0], _encoder(vae, found, x))
    right = encoder[-1].x
    decoder = [Layer(right - layer.x + LEFT, layer.y, layer.title, layer.shape)
               for layer in _row(ROWS[1], _decoder(vae, found, x))]
    layers = encoder + decoder
    largest = max(layer.shape[0] for layer in layers), max(layer.shape[1] for layer in layers)
    z = decoder[0]
    body = [text(20, 28, "The VAE of this run, shape by shape (channels × rows × columns)", 16, anchor="start",
                 weight="bold")]
    body += [line(a.x + WIDE, a.y + HIGH / 2, b.x - 2, b.y + HIGH / 2)
             for a, b in zip(encoder, encoder[1:], strict=False)]
    body += [line(a.x, a.y + HIGH / 2, b.x + WIDE + 2, b.y + HIGH / 2)
             for a, b in zip(decoder, decoder[1:], strict=False)]
    body += [line(right + WIDE / 2, ROWS[0] + HIGH, right + WIDE / 2, ROWS[1] - 2),
             text(right + WIDE / 2 - 10, (ROWS[0] + HIGH + ROWS[1]) / 2 + 4,
                  "z = mean + standard deviation × noise", 12.5, MUTED, "end")]
    body += [card(layer, largest) for layer in layers]
    numbers = z.shape[0] * z.shape[1] * z.shape[2]
    beside = (f"z is also read by the linear probe ({numbers} → 1, Eq. 5) and compared with the latents of the other "
              "nodules (Q, Eq. 3)")
    body.append(text(right + WIDE, ROWS[1] + HIGH + 24, beside, 12.5, MUTED, "end"))
    way = [", ".join(f"{layer.title} {by(layer.shape)}" for layer in row) for row in (encoder, decoder)]
    alt = f"The VAE, channels by rows by columns. Encoder: {way[0]}. Decoder: {way[1]}. {beside}."
    return frame(max(900, right + WIDE + LEFT), ROWS[1] + HIGH + 40, body, alt)


def _through(vae, x):
    z = vae.posterior(x).mean
    vae.decode(z)
    return z


def _row(y, parts):
    return [Layer(LEFT + i * (WIDE + GAP), y, title, shape) for i, (title, shape) in enumerate(parts)]


def _encoder(vae, found, x):
    """(title, shape) from the image to the two moments."""
    side = x.shape[-1] // 2
    seen = [("folded", (4, side, side))] if vae.folded else [("three times", (3, *x.shape[2:]))]
    blocks = [(f"down {i + 1}", found[f"vae.encoder.down_blocks.{i}"])
              for i in range(len(vae.vae.encoder.down_blocks))]
    return [("image x", tuple(x.shape[1:])), *seen, ("conv_in", found["vae.encoder.conv_in"]), *blocks,
            ("middle", found["vae.encoder.mid_block"]), ("mean, log var", found["vae.encoder.conv_out"])]


def _decoder(vae, found, x):
    """(title, shape) from z to the image."""
    blocks = [(f"up {i + 1}", found[f"vae.decoder.up_blocks.{i}"]) for i in range(len(vae.vae.decoder.up_blocks))]
    last = "conv_out"
    z = found["vae.encoder.conv_out"]
    return [("z", (z[0] // 2, *z[1:])), ("conv_in", found["vae.decoder.conv_in"]),
            ("middle", found["vae.decoder.mid_block"]), *blocks, (last, found["vae.decoder.conv_out"]),
            ("unfolded" if vae.folded else "their mean", tuple(x.shape[1:]))]
