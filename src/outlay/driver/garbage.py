"""How often Python looks for garbage while a run is under way."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000
"""New objects in memory before Python looks for garbage among them."""


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """A run makes hundreds of objects a call that live as long as it does. To look through them for garbage every 700
    new ones takes a seventh of the processor's time, and finds next to none. Where runs go on side by side, the first
    sets the threshold back.
    """
    young, *older = gc.get_threshold()
    raised = 0 < young < YOUNG  # 0: collecting is switched off
    if raised:
        gc.set_threshold(YOUNG, *older)
    try:
        yield
    finally:
        if raised:
            gc.set_threshold(young, *older)
