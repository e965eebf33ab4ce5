"""What a caller brings is looked at where it is used: an engine, a strategy, an equality of answers. One that says what
it may not ends the run with its name, what came, and what is expected.
"""

import inspect
from collections.abc import Generator, Sequence
from dataclasses import astuple
from typing import Any, NoReturn, final

from outlay.api.parts import Same
from outlay.engines.base import Engine
from outlay.errors import CheckError, EngineError, OutlayError, UsageError
from outlay.flow import Arms, Candidate, Decision, Evidence, Flow, Offer, Start, Sub
from outlay.types import Call, Cost, Delivery, Prompt


def what(value: object) -> str:
    """What came, in a few words."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)[:60]
    if isinstance(value, list | tuple):
        inside = ", ".join(dict.fromkeys(type(one).__name__ for one in value))
        return f"a {type(value).__name__} of {inside}" if value else f"an empty {type(value).__name__}"
    return f"a value of type {type(value).__name__}"


@final
class Looked:
    """An engine of the caller's. What it delivers the driver looks at; here, what it says that a call may cost."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.lockstep, self.chunk = engine.lockstep, engine.chunk
        self._name, self._engine = name, engine
        if type(self.chunk) is not int or self.chunk < 1:
            raise UsageError(
                f"engine {name!r} has the chunk {what(self.chunk)}; it is how many calls `complete` is given at once, "
                "a whole number of at least 1"
            )

    def worst(self, call: Call) -> Cost:
        """Of the most that a call may cost all is held, so all must be whole and none below nothing."""
        cost = self._cost("worst", self._engine.worst(call))
        if any(not isinstance(amount, int) or amount < 0 for amount in astuple(cost)):
            raise EngineError(
                f"engine {self._name!r}: worst returned {cost}; tokens, nano-dollars and milliseconds are whole "
                "numbers of 0 or more"
            )
        return cost

    def expected(self, call: Call) -> Cost:
        return self._cost("expected", self._engine.expected(call))

    def _cost(self, method: str, cost: object) -> Cost:
        if not isinstance(cost, Cost):
            raise EngineError(
                f"engine {self._name!r}: {method} returned {what(cost)}; return an outlay.Cost: "
                "Cost(tok=prompt + output, outtok=output)"
            )
        return cost

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        try:
            coming = self._engine.complete(calls)
        except Exception as error:
            raise self._raised(error) from error
        if not inspect.isawaitable(coming):
            raise EngineError(
                f"engine {self._name!r}: complete returned {what(coming)} and cannot be awaited; write `async def "
                "complete`"
            )
        try:
            return await coming
        except OutlayError:
            raise
        except Exception as error:
            raise self._raised(error) from error

    def _raised(self, error: Exception) -> EngineError:
        return EngineError(
            f"engine {self._name!r}: complete raised {type(error).__name__}: {error}; a call that fails is a Delivery "
            "with an error, and what was used"
        )

    async def close(self) -> None:
        await self._engine.close()


def flow_of(strategy: Any) -> Start:
    """A strategy of the caller's, which takes the prompt and the arms, as a flow whose offers are looked at."""
    name = str(getattr(strategy, "__name__", type(strategy).__name__))
    if not callable(strategy):
        raise UsageError(
            f"strategy is of type {type(strategy).__name__}; give its name (`outlay strategies` lists them) or a "
            "flow: outlay.flow.loop(offers)"
        )
    try:
        inspect.signature(strategy).bind("prompt", "arms")
    except TypeError as error:
        raise UsageError(
            f"strategy {name} does not take a prompt and arms ({error}); make a flow of a function of prompt, "
            f"arms and evidence: outlay.flow.loop({name})"
        ) from None

    def start(prompt: Prompt, arms: Arms) -> Flow:
        flow = strategy(prompt, arms)
        if not isinstance(flow, Generator):
            raise UsageError(
                f"strategy {name} returned {what(flow)} and is no flow; let it yield its offers, or make a flow of a "
                f"function of prompt, arms and evidence: outlay.flow.loop({name})"
            )
        sent: Evidence | Decision | None = None
        while True:
            try:
                said = next(flow) if sent is None else flow.send(sent)
            except StopIteration as end:
                return _candidate(name, end.value)
            except OutlayError:
                raise
            except Exception as error:
                raise UsageError(f"strategy {name} raised {type(error).__name__}: {error}") from error
            sent = yield _offers(name, said)

    start.__name__ = name
    return start


def _offers(name: str, said: Any) -> tuple[Offer, ...]:
    if not isinstance(said, tuple | list) or not all(isinstance(offer, Offer) for offer in said):
        one = "; one alone is (offer,)" if isinstance(said, Offer) else ""
        _wrong(name, f"offered {what(said)}", f"offer a tuple of outlay.flow.Offer, () for nothing more{one}")
    for offer in said:
        flows = offer.do if isinstance(offer.do, tuple) else (offer.do,)
        if not isinstance(offer.do, Call) and not (flows and all(isinstance(one, Sub) for one in flows)):
            _wrong(
                name, f"made an offer {offer.kind!r} of {what(offer.do)}",
                "`do` is an outlay.types.Call, or one or several outlay.flow.Sub",
            )  # fmt: skip
    return tuple(said)


def _candidate(name: str, said: Any) -> Candidate | None:
    if said is not None and not isinstance(said, Candidate):
        _wrong(
            name,
            f"ended with {what(said)}",
            "end with an outlay.flow.Candidate, or None for the leading answer",
        )
    return said


def _wrong(name: str, came: str, expected: str) -> NoReturn:
    raise UsageError(f"strategy {name} {came}; {expected}")


def sameness(same: Any) -> Same:
    """The caller's equality of answers; what it raises ends the run with its name."""
    if not callable(same):
        given = "missing" if same is None else f"of type {type(same).__name__}"
        raise UsageError(f"same is {given}; give a function of two answers that returns True or False")

    def alike(one: str, other: str) -> bool:
        try:
            return bool(same(one, other))
        except Exception as error:
            raise CheckError(
                f"same raised {type(error).__name__} for {one[:80]!r} and {other[:80]!r}: {error}"
            ) from error

    return alike
