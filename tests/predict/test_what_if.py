"""Another record or nodule, the same noise: what changes, what must not, and how fast the sliders answer."""

import time

import numpy as np
import pytest

from namd.evaluation.figures import example
from namd.evaluation.figures.drawings import SHOWN, as_png, rows_of_drawings
from namd.forecasters.drawing import run_seeds
from namd.predict.controls import controls
from namd.predict.example import K_RUNS, MODEL, SITTER, arrays_of, told
from namd.predict.what_if import follow_ups, judged, what_if
from namd.ship.finished import open_arm

SEEDS = run_seeds(3)
SECONDS = 2         # of processor time


@pytest.fixture(scope="module")
def arm():
    return open_arm(MODEL)


@pytest.fixture(scope="module")
def own(arm):
    return what_if(arm, SITTER, SEEDS)


def test_the_record_alone_moves_the_drawing_and_no_pixel_of_the_baseline(arm, own):
    old = what_if(arm, SITTER, SEEDS, age=76, family=True)
    young = what_if(arm, SITTER, SEEDS, age=55, emphysema=False, family=False)
    assert np.array_equal(old.x1, own.x1) and old.prob_x1 == own.prob_x1
    assert (old.x2_hat > -.4).sum() > 1.1 * (young.x2_hat > -.4).sum()      # the law: more risk, more growth
    assert "76 years old" in old.report and "no prior diagnosis" in young.report and "and family history" in old.report


def test_size_and_margin_change_the_baseline_too(arm, own):
    smooth = what_if(arm, SITTER, SEEDS, longest=6, margin=2)
    assert "smooth margin, 6 mm" in smooth.report
    assert (smooth.x1 > 0).sum() < .6 * (own.x1 > 0).sum()


def test_the_same_record_and_noise_draw_the_same_and_the_judge_reads_each(arm, own):
    again = follow_ups(arm, own.x1, SITTER.record(), SEEDS)
    assert np.array_equal(again.x2_hat, own.x2_hat) and len(own.prob) == len(SEEDS)
    assert judged(arm, [own.x1])[0] == pytest.approx(own.prob_x1)
    assert own.said == (f"p = {own.prob.mean():.2f} ({own.prob.min():.2f} to {own.prob.max():.2f} over K = 3), the"
                        f" baseline {own.prob_x1:.2f}")


def test_the_example_of_the_map_is_what_the_shipped_pipeline_draws(arm):
    now = arrays_of(arm, SITTER, run_seeds(K_RUNS))
    kept = example.read()
    for name in set(now) - {"walk"}:
        assert np.allclose(now[name], kept[name], atol=.02), name
    assert np.allclose(now["walk"][-1], now["x2"][0], atol=1e-4)
    assert kept["record"] == told(SITTER.record())


def test_the_sliders_redraw_within_two_seconds(arm, own):
    box = controls(arm, SITTER, SEEDS)
    age = box.children[0].children[0]
    picture, words = box.children[2:]
    before = bytes(picture.value)
    began = time.process_time()
    age.value = 76
    assert time.process_time() - began < SECONDS
    assert before != bytes(picture.value) and bytes(picture.value).startswith(b"\x89PNG")
    assert "76 years old" in words.value and picture.alt in words.value


def test_the_small_multiples_show_every_line(own):
    fig = rows_of_drawings({"one": own, "two": own}, "title")
    assert len(fig.axes) == 2 * (SHOWN + 4) and fig.get_suptitle() == "title"
    shown = [len(ax.images) for ax in fig.axes[:SHOWN + 4]]
    assert shown == [1, 1, 1, 1, 0, 1, 1, 0]            # baseline, three of four, a gap, mean, spread, no image
    dots = fig.axes[SHOWN + 3].collections[0].get_offsets()[:, 0]
    assert np.allclose(sorted(dots), sorted(own.prob))
    assert as_png(fig).startswith(b"\x89PNG")
