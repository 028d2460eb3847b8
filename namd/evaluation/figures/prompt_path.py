"""From the report to the context C, shape by shape (Eq. 7-8): an SVG."""

from namd.evaluation.figures.svg import INK, MUTED, frame, line, text

WIDTH = 1000
LEARNS = "#c45a00"
FROZEN = "#505a64"
ROW = 62
TOP = 96
SHOWN = 4               # prompt sets that are drawn


def draw(prompts, lm, emb, words) -> str:
    """The drawing.

    Args:
        prompts: SoftPrompts, their `vectors()` (m, n, D) those of Eq. 7; lm: the language model; emb: (L, D), what it
            makes of <bos>, one report and <eos>; words: tokens of that report.

    Source: ours; Eq. 7 and 8 of the paper.
    """
    m, n, wide = prompts.vectors().shape
    drawn = min(m, SHOWN)
    height = TOP + ROW * drawn + 74
    blocks = lm.config.num_hidden_layers
    body = [text(20, 28, "From a report to the context C, with the shapes of this run", 16, anchor="start",
                 weight="bold"), *_key()]
    for j in range(drawn):
        body += _row(j, n, wide, emb)
    middle = TOP + ROW * drawn / 2
    body += _model(middle, drawn, blocks, wide)
    for j in range(drawn):
        y = TOP + ROW * j + 20
        body += [line(496, y, 538, y), line(700, y, 742, y), *_box(744, y - 18, 92, 36, f"h_{j + 1}: {wide}", FROZEN)]
    body += [line(838, middle, 868, middle),
             *_box(870, middle - 30, 112, 60, f"C: {m} × {wide}", FROZEN)]
    about = f"one report: {len(words)} tokens, from “{words[0].strip('▁')}” to “{words[-1].strip('▁')}”"
    body.append(text(20, TOP + ROW * drawn + 24, about, 12.5, MUTED, "start"))
    rest = f"{m} rows" if m == drawn else f"{m} rows, of which {drawn} are drawn"
    body.append(text(20, TOP + ROW * drawn + 46, f"{rest}: the report is the same in each, the {n} vectors before it "
                     "are not; C goes to the cross-attentions of the U-Net", 12.5, MUTED, "start"))
    return frame(WIDTH, height, body, _alt(m, n, wide, len(emb), blocks))


def _key():
    return [f"<rect x='20' y='46' width='14' height='14' fill='{LEARNS}'/>",
            text(40, 58, "learns", 12.5, MUTED, "start"), f"<rect x='100' y='46' width='14' height='14' "
            f"fill='{FROZEN}'/>", text(120, 58, "is computed by frozen weights", 12.5, MUTED, "start")]


def _row(j, n, wide, emb):
    """One sequence c_j: its prompts, and the report."""
    y = TOP + ROW * j + 2
    return [*_box(20, y, 176, 36, f"s_{j + 1}: {n} × {wide}", LEARNS),
            *_box(200, y, 236, 36, f"<bos>, report: {len(emb) - 1} × {wide}", FROZEN),
            *_box(440, y, 56, 36, "<eos>", FROZEN)]


def _box(x, y, w, h, words, colour):
    return [f"<rect x='{x:g}' y='{y:g}' width='{w:g}' height='{h:g}' rx='4' fill='#ffffff' stroke='{colour}' "
            "stroke-width='2'/>", text(x + w / 2, y + h / 2 + 5, words, 12.5, INK)]


def _model(middle, drawn, blocks, wide):
    high = ROW * drawn - 12
    top = middle - ROW * drawn / 2 + 2
    return [f"<rect x='540' y='{top:g}' width='160' height='{high:g}' rx='10' fill='#e3eef7' stroke='{FROZEN}' "
            "stroke-width='2'/>", text(620, middle - 8, "language model", 14, INK, weight="bold"),
            text(620, middle + 10, f"{blocks} layers of width {wide},", 12, MUTED), text(620, middle + 26, "frozen", 12,
                                                                                       MUTED)]


def _alt(m, n, wide, long, blocks):
    return (f"{m} sequences, each of {n} learnt vectors of {wide} numbers, <bos>, the same report and <eos>, "
            f"{long} tokens in all. The frozen language model of {blocks} layers reads each; its last state at <eos>, "
            f"{wide} numbers, is kept. The {m} states are the context C, {m} by {wide}.")
