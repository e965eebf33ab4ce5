"""What a server says it used never gives back what was spent."""

from outlay.engines.http.chat import charged
from outlay.types import Arm, Ask, Call, Message


def test_negative_counts_are_no_counts():
    call = Call(Arm("m", "http", "m"), Ask((Message("user", "hello"),)), max_tokens=8)
    said = b'{"choices": [], "usage": {"prompt_tokens": -5, "completion_tokens": -100}}'
    usage = charged(said, call)
    assert usage.input > 0
    assert usage.output >= 0
    assert usage.estimated
