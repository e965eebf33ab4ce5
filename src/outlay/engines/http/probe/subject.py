"""The model that is asked: what it said so far, and what a reply holds."""

from collections.abc import Mapping
from typing import Any, Final, final

from outlay.engines.http.asking import BUDGET_SPENT, Asker, Got
from outlay.engines.http.probe.findings import Finding, Status
from outlay.engines.http.roster import LLAMA, Listed
from outlay.types import Message

STORY, COUNT, NEXT, FORM, GLANCE, PUZZLE = 16, 32, 12, 48, 96, 384
"""Caps on the tokens of an answer, by what is asked; a puzzle is first looked at with the smaller one."""
THOUGHT: Final = 512
"""The cap on a short text instead, for a model that thinks and cannot be told not to."""


class Stopped(Exception):
    """Nothing more can be asked; says why."""


@final
class Subject:
    """One model under questions. Later questions depend on what earlier ones showed.

    Attributes:
        found: The findings so far.
        server: See `Report`, as `context` and `thinks`.
        thought: Tokens of its longest thought on a puzzle.
        quiet: Fields that keep it from thinking; empty where it cannot be told.
        cold: Fields that make it greedy; empty where it refuses them.
    """

    def __init__(self, asker: Asker, listed: Listed) -> None:
        self.asker, self.found = asker, dict[str, Finding]()
        self.server, self.context = listed.server, listed.context
        self.thinks, self.thought = False, 0
        self.quiet: Mapping[str, Any] = {}
        self.cold: Mapping[str, Any] = {"temperature": 0.0}

    async def ask(
        self, text: str, most: int, fields: Mapping[str, Any], *, begun: str = "", beside: int = 0
    ) -> Got:
        """Ask, and look at what every reply tells.

        Args:
            text: The question.
            most: Cap on tokens.
            fields: What else is sent.
            begun: The beginning of an answer.
            beside: Tokens that a field may add to the prompt.

        Raises:
            Stopped: `max_tokens` is ignored: no further question would be bounded.
            UpstreamError: The endpoint cannot serve the model at all.
        """
        messages = (Message("user", text), *([Message("assistant", begun)] if begun else []))
        got = await self.asker.ask(messages, most, fields, beside=beside)
        self.thinks = self.thinks or thought_of(got) > 0
        if got.fingerprint.startswith("b") and "-" in got.fingerprint:
            self.server = self.server or LLAMA
        if got.broke:
            self.say(
                "max_tokens",
                "ignored",
                f"{most} tokens were allowed, {own(got, most):,} came back.",
                "No budget can be kept: set a limit in the server.",
            )
            raise Stopped("Not asked: max_tokens is ignored, so no question would be bounded")
        return got

    def room(self, most: int) -> int:
        """The cap for a short text, with room for a thought where there will be one."""
        return THOUGHT if self.thinks and not self.quiet else most

    def say(self, capability: str, status: Status, evidence: str, remedy: str = "") -> None:
        """Note a finding."""
        self.found[capability] = Finding(capability, status, evidence, remedy)

    def failed(self, capability: str, got: Got) -> None:
        """Note that there was no answer to look at."""
        self.say(capability, "unknown", f"{no_answer(got)}.")

    def refused(self, capability: str, got: Got, name: str, remedy: str) -> None:
        """Note that a field was refused, in the server's words."""
        self.say(capability, "refused", f"{got.refused[name].rstrip('.')}.", remedy)


def no_answer(got: Got) -> str:
    """Why there is none."""
    return f"{'Not asked' if got.error == BUDGET_SPENT else 'No answer'}: {got.error.rstrip('.')}"


def content(got: Got) -> str:
    """What the first copy answers, without thoughts."""
    said = (got.choices and got.choices[0].message.content) or ""
    return said.rpartition("</think>")[2]


def text(got: Got, at: int = 0) -> str:
    """All that one copy says, thoughts included."""
    if len(got.choices) <= at:
        return ""
    return got.choices[at].thought() + (got.choices[at].message.content or "")


def thought_of(got: Got) -> int:
    """Tokens of thought in the first copy: as told, or about four bytes each."""
    if not got.choices:
        return 0
    details = got.said.completion_tokens_details
    told = (details and details.reasoning_tokens) or 0
    aloud = got.choices[0].thought()
    _, marked, inside = (got.choices[0].message.content or "").partition("<think>")
    if marked:
        aloud += inside.partition("</think>")[0]
    return told or -(-len(aloud.strip().encode()) // 4)


def own(got: Got, most: int) -> int:
    """Tokens of the first copy: counted or told, whichever is more."""
    if not got.choices:
        return 0
    said = got.said.completion_tokens or 0 if len(got.choices) == 1 else 0
    return max(len(got.choices[0].entries()), said) or got.choices[0].tokens(most)


def cut(got: Got) -> bool:
    """Whether its cap ended it."""
    return bool(got.choices) and got.choices[0].finish_reason == "length"


def brief(said: str) -> str:
    """A text, quoted, in a few words."""
    flat = " ".join(said.split())
    return repr(flat if len(flat) <= 32 else f"{flat[:32]}…")
