import pytest

from namd.ground.cost import Cost
from namd.ground.errors import UserError
from namd.study.preflight import cards
from namd.study.preflight.stages import Part, Stage

CARD = cards.Card("toy", 10, float32=10, tf32=20, bfloat16=40, gb_s=1000)


def stage(arithmetic="float32", times=100, **cost):
    return Stage("toy", times, [Part(Cost(**cost), times, arithmetic)])


def test_hours_of_arithmetic_alone():
    fast, slow = cards.hours(stage(flops=6 * 10**12 * 36), CARD)
    assert (fast, slow) == pytest.approx((100 * 36 / 3600, 100 * 54 / 3600))     # 60 % and 40 % of 10 TFLOP/s
    assert cards.hours(stage("bfloat16", flops=6 * 10**12 * 36), CARD)[0] == pytest.approx(fast * 6 / 18)


@pytest.mark.parametrize("cost, limit", [(dict(flops=10**13), "arithmetic"), (dict(traffic=10**12), "memory"),
                                         (dict(kernels=10**7, flops=1), "launches")])
def test_the_slowest_limit_is_named_and_counts(cost, limit):
    both = stage(**cost)
    assert cards.bound(both, CARD) == limit
    alone = cards.limits(both.parts[0], CARD, 0)
    assert cards.hours(both, CARD)[0] * 3600 == alone[limit] == max(alone.values())


@pytest.mark.parametrize("name", ["A40", "a40", "RTX 4090", "rtx-4090"])
def test_a_card_goes_by_its_usual_names(name):
    assert cards.find(name).title.replace(" ", "").lower() in ("a40", "rtx4090")


def test_an_unknown_card_is_one_sentence_with_the_known_ones():
    with pytest.raises(UserError, match=r"^--card h2000 is not known; did you mean h200\? use one of a40, .*4090\.$"):
        cards.find("h2000")
