"""The map of the system: its arrays are real ones, its texts are texts, and it says where the reader is."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import needs_browser, opened

from namd.evaluation.figures import example, system_map
from namd.evaluation.figures.svg import coloured, grey, tiles
from namd.ground import order
from namd.ground.errors import UserError

SVG = "{http://www.w3.org/2000/svg}"
ARRAYS = example.read()
NUMBERS = sorted(order.AFTER)
ROOM = """() => {
  const boxes = [...document.querySelectorAll('svg rect')].map(box => box.getBBox()).filter(box => box.width > 60);
  return [...document.querySelectorAll('svg text')].map(text => [text.textContent, text.getBBox()]).map(([said, t]) => {
    const around = boxes.filter(b => t.x >= b.x && t.x < b.x + b.width && t.y + t.height / 2 >= b.y
                                     && t.y + t.height / 2 < b.y + b.height);
    return [said, Math.min(...around.map(b => b.x + b.width - t.x - t.width)), around.length];
  }).filter(([said, room, n]) => n && room < 0);
}"""


def texts(here):
    return [node.text for node in ElementTree.fromstring(system_map.draw(here, ARRAYS)).iter(f"{SVG}text")]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_notebook_has_its_place_on_the_map(number):
    tree = ElementTree.fromstring(system_map.draw(number, ARRAYS))
    marked = [node for node in tree.iter(f"{SVG}rect") if node.get("stroke") == system_map.HERE_EDGE]
    assert len(marked) > 1 or number == "00"
    assert (f"You are here: notebook {number}" in texts(number)) == (number != "00")


def test_every_array_is_a_picture_and_says_its_shape():
    tree = ElementTree.fromstring(system_map.draw("00", ARRAYS))
    assert len(list(tree.iter(f"{SVG}image"))) == 9             # crop, x1, three latents, context, three follow-ups
    said = " ".join(texts("00"))
    for name in ("crop", "x1", "z1", "context", "noise", "z2", "x2"):
        assert " × ".join(map(str, ARRAYS[name].shape)) in said
    assert f"mean {ARRAYS['prob'].mean():.2f}" in said
    assert " ".join(ARRAYS["report"].split()) in said


def test_no_text_is_smaller_than_eleven_pixels_and_nothing_is_fetched():
    drawn = system_map.draw("00", ARRAYS)
    assert min(map(float, re.findall("font-size='([0-9.]+)'", drawn))) >= 11
    assert not re.search("(href|src)='(?!data:)", drawn)


@needs_browser
@pytest.mark.parametrize("font", ["Helvetica, Arial, sans-serif", "DejaVu Sans"])
def test_every_text_ends_within_its_box_in_the_widest_common_font_too(tmp_path, font):
    page = tmp_path / "map.html"
    page.write_text(system_map.draw("06", ARRAYS).replace("Helvetica, Arial, sans-serif", font))
    with opened() as go:
        assert go(page).evaluate(ROOM) == []


def test_numbers_become_bytes():
    assert grey([-1, 0, 1, 9]).tolist() == [0, 127, 255, 255]
    assert coloured([0.0]).tolist() == coloured([[0.0]])[0].tolist()
    grid = tiles(np.stack([np.full((8, 8), value) for value in (-9, 0, 0, 9)]))
    assert grid.shape == (17, 17, 3)
    assert grid[8].min() == grid[:, 8].min() == 255             # the lines between the channels
    assert grid[0, 0].tolist() == coloured([-9])[0].tolist()
    assert grid[16, 16].tolist() == coloured([9])[0].tolist()


def test_a_damaged_example_is_one_sentence(tmp_path):
    (tmp_path / "cut").write_bytes(example.FILE.read_bytes()[:100])
    for file in ("cut", "absent"):
        with pytest.raises(UserError, match="cannot be read .*python -m namd.predict.example"):
            example.read(tmp_path / file)
