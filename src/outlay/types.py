"""The frozen values that travel through outlay: prompt, arm, call, completion, cost, budget.

Units. Money is integer nano-dollars (1e-9 USD): one token can cost less than a micro-dollar. Time is integer
milliseconds. `tok` is input plus output as billed, `outtok` output only; a prompt shared by n samples counts once.
Prices are nano-dollars per million tokens, so a price of 0.15 USD per million tokens is the integer 150_000_000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

NANO = 1_000_000_000
MILLION = 1_000_000
UNITS = ("tok", "outtok", "usd", "s")
"""The units of a budget as a user writes them. `usd` is held in nano-dollars, `s` in milliseconds."""

ACCOUNTS = ("tok", "outtok", "usd")
"""The units with an account in the ledger. Seconds are a deadline: wall-clock time passes whether spent or not."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Message(NamedTuple):
    """One chat message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What something cost or may cost. Fields are integers; see the module for units."""

    tok: int = 0
    outtok: int = 0
    usd: int = 0
    ms: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.tok + other.tok, self.outtok + other.outtok, self.usd + other.usd, self.ms + other.ms
        )

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.tok - other.tok, self.outtok - other.outtok, self.usd - other.usd, self.ms - other.ms
        )

    def times(self, count: int) -> Cost:
        """This cost `count` times."""
        return Cost(self.tok * count, self.outtok * count, self.usd * count, self.ms * count)

    def row(self) -> dict[str, float]:
        """The user's form: tokens, dollars and seconds, as it stands in an answer row."""
        return {"tok": self.tok, "outtok": self.outtok, "usd": self.usd / NANO, "s": self.ms / 1000}


FREE = Cost()


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in all; None in a unit means that this unit is not limited."""

    tok: int | None = None
    outtok: int | None = None
    usd: int | None = None
    ms: int | None = None

    def limits(self) -> dict[str, int]:
        """The limited units, in the order of `UNITS`, in ledger integers (`s` in milliseconds)."""
        pairs = zip(UNITS, (self.tok, self.outtok, self.usd, self.ms), strict=True)
        return {unit: limit for unit, limit in pairs if limit is not None}


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars per million tokens. None is unknown, which is never read as free."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None

    def known(self) -> bool:
        """Whether a dollar budget can be kept at this price."""
        return self.input is not None and self.output is not None

    def of(self, usage: Usage) -> int:
        """Nano-dollars of `usage`, multiplied first and divided once, rounded up; 0 where the price is unknown."""
        if self.input is None or self.output is None:
            return 0
        cached = self.input if self.cached is None else self.cached
        total = (usage.input - usage.cached) * self.input + usage.cached * cached + usage.output * self.output
        return -(-total // MILLION)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as billed. `cached` is the part of `input` that was read from a cache; `reasoning` is
    the part of `output` that was thought. `estimated`: the server did not say, or said less than was counted.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of work.

    Attributes:
        id: Unique in a run.
        messages: The chat as it is sent.
        answer: The kind of answer (a name from `outlay.answers`, such as `number` or `choice:A-J`).
        metadata: The user's own; `group` names the question class, within which the belief pools what it learns.
        worth: What a right answer is worth beside the others; 1 is usual.
    """

    id: str
    messages: tuple[Message, ...]
    answer: str = "text"
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING, hash=False)
    worth: float = 1.0

    @property
    def text(self) -> str:
        """What the user said last."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to buy a call: a model in a mode at a temperature, or a check.

    Attributes:
        name: Unique in a run; what receipts show.
        engine: Name of the engine that serves it.
        model: The engine's name for the model.
        mode: `think`, `short`, an effort, or empty.
        temperature: 0 with `deterministic` is greedy.
        deterministic: Asking again gives the same: bought at most once.
        max_tokens: Most output tokens of one copy; the worst case rests on it.
        price: In dollars, where known.
        role: `model` (draws), `check` (verdicts from the user's own check), `judge` (verdicts from a model).
    """

    name: str
    engine: str
    model: str = ""
    mode: str = ""
    temperature: float = 1.0
    deterministic: bool = False
    max_tokens: int = 1024
    price: Price = Price()
    role: str = "model"

    @property
    def who(self) -> tuple[str, str, str]:
        """Who is asked, whatever the temperature: engine, model and mode."""
        return (self.engine, self.model, self.mode)


@dataclass(frozen=True, slots=True)
class Ask:
    """Payload for a model. `prefix` is the beginning of an answer, which the model continues."""

    messages: tuple[Message, ...]
    stop: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """Payload for a check: is this answer to this prompt acceptable? `handle` names the completion tested."""

    prompt: Prompt
    text: str
    answer: str
    handle: str = ""

    __test__ = False  # the name begins with Test; pytest would collect it


Payload = Ask | Test


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an engine, as a strategy states it; the market fills in the second half when it buys.

    Attributes:
        arm: Who is asked.
        payload: What is asked.
        key: Identity in the run: the path of its decision point, then kind, arm, about and ordinal.
        prompt_id: Id of the root prompt.
        ordinal: How many copies of the same thing were bought before at this point.
        n: Copies.
        seed: A hash of key and run seed.
        max_tokens: Cap on output tokens per copy; at most the arm's.
    """

    arm: Arm
    payload: Payload
    key: str = ""
    prompt_id: str = ""
    ordinal: int = 0
    n: int = 1
    seed: int = 0
    max_tokens: int = 0


class Confidence(NamedTuple):
    """Summary of token log-probabilities of one completion, natural logarithm, at temperature 1.

    `low` is the lowest mean over a window of 16 tokens, `tail` the mean over the last 16.
    """

    mean: float
    low: float
    tail: float


@dataclass(frozen=True, slots=True)
class Completion:
    """One copy that came back. `passed` is a check's word (None from models); `handle` lets a later call refer
    to it. `finish` is `stop`, `length`, `content_filter`, `refusal` or `error`.
    """

    text: str
    finish: str = "stop"
    output_tokens: int = 0
    confidence: Confidence | None = None
    passed: bool | None = None
    reasoning: str = ""
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an engine returns for one call: its copies, what the whole call used (retries included), how long it
    took. `error` says why there are fewer copies than asked; what was used is charged all the same. `again`: the call
    was lost rather than refused, so the same may be asked again. `repeated`: what went wrong in attempts that were made
    again, one sentence each.
    """

    completions: tuple[Completion, ...]
    usage: Usage = Usage()
    ms: int = 0
    error: str = ""
    again: bool = False
    repeated: tuple[str, ...] = ()


def cost_of(price: Price, usage: Usage, ms: int) -> Cost:
    """The settled cost of one call."""
    return Cost(usage.input + usage.output, usage.output, price.of(usage), ms)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out for one prompt.

    Attributes:
        id: The prompt's.
        answer: The extracted answer, or None.
        text: The whole text that it was read from.
        outcome: `answered`, `abstained`, `out_of_budget`, `no_answer_found` or `failed`; `provisional` is the best so
            far of a run that was stopped.
        confidence: The belief that the answer is right, 0 to 1.
        cost: All that was spent on this prompt.
        receipt: Every purchase, and why buying stopped.
    """

    id: str
    answer: str | None
    text: str
    outcome: str
    confidence: float
    cost: Cost
    receipt: Mapping[str, Any] = field(default_factory=lambda: NOTHING, hash=False)
