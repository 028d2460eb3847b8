"""The drawings of VAE, U-Net and prompt path hold the shapes of the networks they are given, as texts."""

import re
from itertools import combinations
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from diffusers import UNet2DConditionModel
from small_llm import parameters, records
from torch import nn

from namd.evaluation.figures import prompt_path, traced, unet_shapes, vae_shapes
from namd.evaluation.figures.layers import HIGH, WIDE
from namd.models import vae as vaes
from namd.models.llm import build_llm, load_llm, pretraining_texts
from namd.models.prompts import SoftPrompts
from namd.models.unet import CONTEXT_WIDTH, build_unet, load_unet, small_config, widen_input

SVG = "{http://www.w3.org/2000/svg}"
UNET = dict(image_size=64, unet_layers=1, unet_heads=2, seed=23)


def texts(svg):
    return [node.text for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def readable(svg):
    """No text below 11 px, nothing fetched, no box beyond the frame, and words for who cannot see it."""
    tree = ElementTree.fromstring(svg)
    width, height = map(float, tree.get("viewBox").split()[2:])
    assert min(map(float, re.findall("font-size='([0-9.]+)'", svg))) >= 11
    assert not re.search("(href|src)='(?!data:)", svg)
    for box in list(tree.iter(f"{SVG}rect"))[1:]:
        assert float(box.get("x")) + float(box.get("width")) <= width
        assert float(box.get("y")) + float(box.get("height")) <= height
    assert tree.findtext(f"{SVG}title") == tree.get("aria-label")
    return tree.get("aria-label")


def test_a_trace_leaves_no_hook_and_reads_what_each_part_gave():
    net = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    found = traced.shapes(net, lambda: net(torch.zeros(4, 3)))
    assert found["0"] == (5,) and found["1"] == found[""] == (2,)
    assert not net[0]._forward_hooks


@pytest.mark.parametrize(("channels", "drawn"), [([16, 32], {"16 × 8 × 8": 3, "32 × 4 × 4": 3}),
                                                 ([8, 8, 16, 16], {"8 × 4 × 4": 2, "16 × 1 × 1": 3})])
def test_the_unet_is_drawn_level_by_level(tmp_path, channels, drawn):
    net = load_unet(build_unet(tmp_path / "unet", SimpleNamespace(**UNET, unet_channels=channels)))
    svg = unet_shapes.draw(net, torch.zeros(1, 4, CONTEXT_WIDTH))
    said = texts(svg)
    assert {name: said.count(name) for name in drawn} == drawn
    assert said.count("maps cross") == len(channels) and said.count("4 × 8 × 8") == 2
    reads = sum(hasattr(block, "attentions") for block in (*net.down_blocks, net.mid_block, *net.up_blocks))
    assert said.count("C") == reads + 1                             # each block that reads it, and the legend
    assert said.count("t") == 2 * len(channels) + 2
    level = {node.text: float(node.get("y")) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")}
    assert all(level[f"down {i}"] == level[f"up {len(channels) + 1 - i}"] for i in range(1, len(channels) + 1))
    assert level["middle"] > level["up 1"] > level["up 2"]
    assert "context of 4 × 768" in readable(svg)


def test_the_papers_unet_fits_a_page_and_no_card_hides_another_or_its_words():
    shape = SimpleNamespace(**UNET | dict(unet_layers=2, unet_heads=8), unet_channels=[320, 640, 1280, 1280])
    with torch.device("meta"):
        net = UNet2DConditionModel(**small_config(shape))
    svg = unet_shapes.draw(net, torch.zeros(1, 2, CONTEXT_WIDTH, device="meta"))
    readable(svg)
    tree = ElementTree.fromstring(svg)
    assert float(tree.get("viewBox").split()[2]) <= 1220
    cards = [[float(box.get(side)) for side in ("x", "y")] for box in tree.iter(f"{SVG}rect")
             if box.get("width") == str(WIDE)]
    assert len(cards) == 12 and not [(a, b) for a, b in combinations(cards, 2)
                                     if abs(a[0] - b[0]) < WIDE and abs(a[1] - b[1]) < HIGH]
    assert max(7 * len(said) for said in texts(svg) if " × " in said and "(" not in said) <= WIDE


def test_the_unet_of_notebook_04_has_eight_channels(tmp_path):
    net = load_unet(build_unet(tmp_path / "unet", SimpleNamespace(**UNET, unet_channels=[16, 32])))
    widen_input(net)
    assert "8 × 8 × 8" in texts(unet_shapes.draw(net, torch.zeros(1, 4, CONTEXT_WIDTH)))


@pytest.mark.parametrize(("channels", "second"), [([8, 16, 16], "4 × 32 × 32"), ([8, 8, 16, 16], "3 × 64 × 64")])
def test_the_vae_is_drawn_from_the_image_to_the_image(tmp_path, channels, second):
    made = SimpleNamespace(vae_channels=channels, vae_layers=1, image_size=64, seed=23)
    vae = vaes.load_vae(vaes.build_vae(tmp_path / "vae", made))
    svg = vae_shapes.draw(vae, 64)
    said = texts(svg)
    assert said.count("1 × 64 × 64") == 2 and said.count(second) == 2 and "8 × 8 × 8" in said and "4 × 8 × 8" in said
    assert "256 → 1" in readable(svg)


@pytest.mark.parametrize(("m", "rows"), [(2, "2 rows: the report"), (6, "6 rows, of which 4 are drawn")])
def test_the_prompt_path_holds_m_rows_of_n_vectors(tmp_path, m, rows):
    build_llm(tmp_path / "llm", pretraining_texts(records(40)), parameters())
    lm, tokenizer = load_llm(tmp_path / "llm")
    prompts = SoftPrompts.begin(lm, m, 3, 23)
    emb = torch.zeros(7, lm.config.hidden_size)
    svg = prompt_path.draw(prompts, lm, emb, ["▁a", "▁solid", "▁nodule"])
    said = " ".join(texts(svg))
    wide = lm.config.hidden_size
    assert f"C: {m} × {wide}" in said and f"s_1: 3 × {wide}" in said and f"<bos>, report: 6 × {wide}" in said
    assert rows in said and "from “a” to “nodule”" in said
    assert f"{m} by {wide}" in readable(svg)
