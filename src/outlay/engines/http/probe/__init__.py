"""What an endpoint honours, found out by asking: for each capability what came back, and what to do about it.

Nothing is believed. A field counts as honoured only where the answer shows that it took effect: an effort where
more of it makes longer answers, a cap where what came back is within it, a schema where an answer has a form
that nobody would choose. A few small requests per model, paid from a purse and never beyond it; see `at_most`.
"""

from collections.abc import Mapping
from typing import Any, Final

from outlay.config.settings import UNKNOWN
from outlay.engines.http.asking import FRAME, Asker, Line, Purse
from outlay.engines.http.probe.findings import CAPABILITIES, Finding, Report, Status
from outlay.engines.http.probe.samples import note_context, note_sampler, samples
from outlay.engines.http.probe.subject import GLANCE, PUZZLE, STORY, THOUGHT, Stopped, Subject
from outlay.engines.http.probe.text import greedy, prefix, schema
from outlay.engines.http.probe.thought import CAPS, cap, effort, modes, thinking
from outlay.engines.http.roster import LLAMA, Listed, Llama, llama
from outlay.techniques import probe as words
from outlay.types import NOTHING, Cost, Price, Usage, cost_of

_CALLS: Final = (
    # bytes of the prompt, cap, copies, times
    (len(words.STORY), STORY, 1, 2),
    (len(words.STORY), STORY, 2, 1),
    (len(words.PUZZLES[0]), GLANCE, 1, 4),
    (len(words.PUZZLES[0]), PUZZLE, 1, 5),
    (len(words.PUZZLES[1]), PUZZLE, 1, 2),
    (len(words.COUNT), THOUGHT, 1, 3),
    (len(words.COUNT) + len(words.BEGUN), THOUGHT, 1, 1),
    (len(words.GREETING) + len(words.FORMAT_TEXT), THOUGHT, 1, 1),
)


def at_most(price: Price = UNKNOWN) -> tuple[int, Cost]:
    """Requests to one model and their worst cost, where it thinks at length; most models need far less."""
    prompts = sum((size + FRAME) * copies * times for size, _, copies, times in _CALLS)
    answers = sum(most * copies * times for _, most, copies, times in _CALLS)
    return sum(times for *_, times in _CALLS), cost_of(price, Usage(prompts, answers), 0)


async def probe(
    line: Line,
    listed: Listed,
    *,
    purse: Purse | None = None,
    price: Price = UNKNOWN,
    extra: Mapping[str, Any] = NOTHING,
) -> Report:
    """Find out what one model of an endpoint honours.

    Args:
        line: The endpoint.
        listed: The model, with what the endpoint tells about it.
        purse: What may be spent; by default whatever it takes, see `at_most`.
        price: To count dollars by.
        extra: Fields of every request, as in a run.

    Raises:
        UpstreamError: The endpoint cannot serve the model at all.
    """
    purse = purse or Purse()
    before, calls = purse.spent, purse.calls
    subject, why = Subject(Asker(line, listed.name, purse, price, extra), listed), ""
    try:
        await _all(subject, line, extra)
    except Stopped as stop:
        why = str(stop)
    left = why or "Not asked"
    return Report(
        listed.name,
        tuple(subject.found.get(name) or Finding(name, "unknown", f"{left}.") for name in CAPABILITIES),
        purse.spent - before,
        purse.calls - calls,
        subject.server,
        subject.context,
        subject.thinks,
        why,
    )


async def _all(subject: Subject, line: Line, extra: Mapping[str, Any]) -> None:
    await samples(subject)
    told = await llama(line) if subject.server == LLAMA else Llama()
    subject.context = told.context or subject.context
    note_context(subject)
    note_sampler(subject, {**told.sampler, **extra})
    await effort(subject)
    await modes(subject)
    await cap(subject)
    await greedy(subject)
    await prefix(subject)
    await schema(subject)


__all__ = ["CAPABILITIES", "CAPS", "Finding", "Report", "Status", "at_most", "probe", "thinking"]
