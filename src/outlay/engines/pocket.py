"""The pocket model as an engine: real samples and real log-probabilities on a bare machine, with no network.

It reads the last message of the user alone: it was trained on single questions. Arms choose its mode, `short`
(also where none is given) or `think`.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import final

from outlay.engines.measure import cap, confidence
from outlay.pocket import Request, Sample, count_tokens, generate, load
from outlay.types import Ask, Call, Completion, Cost, Delivery, Usage, cost_of

ROWS = 64
"""Samples that are decoded side by side."""

WORST_MS_PER_TOKEN, MS_PER_TOKEN = 20, 1


@final
class Pocket:
    """Copy j of a call is a function of its seed and j alone, so neither batch-mates nor order reach it.

    The worst case is exact in tokens; its time is a generous guess, as nobody knows how busy a machine is.
    """

    def __init__(self) -> None:
        self.lockstep, self.chunk = True, 64

    def worst(self, call: Call) -> Cost:
        output = call.n * cap(call)
        return cost_of(call.arm.price, Usage(_read(call), output), WORST_MS_PER_TOKEN * output)

    def expected(self, call: Call) -> Cost:
        output = call.n * cap(call) // 2
        return cost_of(call.arm.price, Usage(_read(call), output), MS_PER_TOKEN * output)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return await asyncio.to_thread(_serve, calls)

    async def close(self) -> None:
        """Nothing is held but the weights, which other runs of the process share."""


def _serve(calls: Sequence[Call]) -> list[Delivery]:
    known = [call for call in calls if isinstance(call.payload, Ask)]
    began = time.perf_counter()
    try:
        drawn = generate(load(), [_request(call) for call in known], ROWS)
    except ValueError as error:
        if len(calls) > 1:
            # One refused request must not fail its neighbours, whose samples are the same alone.
            return [delivery for call in calls for delivery in _serve([call])]
        return [Delivery((), error=f"the pocket model refuses: {error}")]
    took = 1000 * (time.perf_counter() - began)
    total = max(1, sum(sample.output_tokens for samples in drawn for sample in samples))
    samples_of = dict(zip(map(id, known), drawn, strict=True))
    return [_delivery(samples_of.get(id(call)), took / total) for call in calls]


def _delivery(samples: tuple[Sample, ...] | None, ms_per_token: float) -> Delivery:
    if samples is None:
        return Delivery((), error="the pocket model answers prompts; give checks to a check's engine")
    usage = Usage(samples[0].prompt_tokens, sum(sample.output_tokens for sample in samples))
    copies = tuple(
        Completion(sample.text, sample.finish, sample.output_tokens, confidence(sample.logprobs))
        for sample in samples
    )
    return Delivery(copies, usage, round(ms_per_token * usage.output))


def _request(call: Call) -> Request:
    ask = call.payload
    assert isinstance(ask, Ask)
    return Request(
        _question(ask),
        _mode(call),
        temperature=0.0 if call.arm.deterministic else call.arm.temperature,
        seed=call.seed,
        n=call.n,
        max_tokens=cap(call),
        stop=ask.stop,
        prefix=ask.prefix,
    )


def _read(call: Call) -> int:
    """Tokens of the prompt, exactly; none where the model refuses to read it."""
    ask = call.payload
    if not isinstance(ask, Ask):
        return 0
    try:
        tokens = count_tokens(_question(ask), _mode(call))
        # The prefix is encoded apart from the prompt: its tokens are those of a prompt less the frame.
        return tokens + (
            count_tokens(ask.prefix, _mode(call)) - count_tokens("", _mode(call)) if ask.prefix else 0
        )
    except ValueError:
        return 0


def _mode(call: Call) -> str:
    return call.arm.mode or "short"


def _question(ask: Ask) -> str:
    return next((message.content for message in reversed(ask.messages) if message.role == "user"), "")
