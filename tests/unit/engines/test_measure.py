import math

from outlay.engines.measure import cap, confidence
from outlay.types import Arm, Ask, Call, Confidence

ARM = Arm("a", "e", max_tokens=100)


def test_no_tokens_give_no_confidence():
    assert confidence([]) is None


def test_short_texts_are_one_window():
    assert confidence([-1.0, -3.0]) == Confidence(-2.0, -2.0, -2.0)


def test_low_is_the_worst_window_and_tail_the_last():
    sure = confidence([-1.0] * 16 + [-3.0] * 16 + [-0.5] * 16)
    assert sure is not None
    assert math.isclose(sure.mean, -1.5)
    assert math.isclose(sure.low, -3.0)
    assert math.isclose(sure.tail, -0.5)


def test_cap_is_the_calls_but_never_above_the_arms():
    assert [cap(Call(ARM, Ask(()), max_tokens=most)) for most in (0, 7, 100, 500)] == [100, 7, 100, 100]
