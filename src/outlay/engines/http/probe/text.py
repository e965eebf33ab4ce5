"""One text, looked at closely: asked again, stopped, continued, put into a form."""

from collections.abc import Mapping
from typing import Any

import msgspec

from outlay.engines.http.asking import Got
from outlay.engines.http.probe.findings import Status
from outlay.engines.http.probe.subject import COUNT, FORM, NEXT, Subject, brief, content, cut, no_answer, text
from outlay.techniques import probe as words


async def greedy(subject: Subject) -> None:
    """Twice the same, at temperature 0; then with a stop string out of the middle of what came."""
    fields = {"temperature": 0.0, **subject.quiet}
    most = subject.room(COUNT)
    first = await subject.ask(words.COUNT, most, fields)
    again = await subject.ask(words.COUNT, most, fields)
    if first.error or again.error:
        for name in ("greedy", "cached tokens", "stop"):
            subject.failed(name, first if first.error else again)
        return
    if "temperature" in first.refused:
        remedy = "Write temperature = 1 in the config: its answers are samples."
        subject.refused("greedy", first, "temperature", remedy)
    elif text(first) == text(again):
        subject.say("greedy", "honoured", "Twice at temperature 0, the same text came back.")
    else:
        subject.say(
            "greedy",
            "ignored",
            "Twice at temperature 0, two texts came back.",
            "It still serves: a greedy answer is bought once at most.",
        )
    _note_cached(subject, again)
    await _stop(subject, first, most, fields)


async def prefix(subject: Subject) -> None:
    """The beginning of an answer, whose next word is known."""
    fields = {"temperature": 0.0, **subject.quiet}
    got = await subject.ask(words.COUNT, subject.room(NEXT), fields, begun=words.BEGUN)
    remedy = "A cut answer is asked for anew and not continued."
    if got.error:
        status: Status = "refused" if got.error[:1] == "4" else "unknown"
        subject.say(
            "prefix", status, f"{got.error.rstrip('.') if status == 'refused' else no_answer(got)}.", remedy
        )
        return
    said = content(got).strip()
    new = said.removeprefix(words.BEGUN).strip(" ,.!\n*").upper()
    if new.startswith(words.NEXT):
        subject.say("prefix", "honoured", f"An answer that was begun went on with {words.NEXT!r}.")
    else:
        subject.say("prefix", "ignored", f"A new answer began: {brief(said)}.", remedy)


async def schema(subject: Subject) -> None:
    """A form that no greeting has by chance."""
    fields = {"temperature": 0.0, **subject.quiet, "response_format": words.FORMAT}
    got = await subject.ask(words.GREETING, subject.room(FORM), fields, beside=len(words.FORMAT_TEXT))
    remedy = "Write the form into the prompt; check the answers."
    if "response_format" in got.refused:
        subject.refused("json schema", got, "response_format", remedy)
        return
    if got.error:
        subject.failed("json schema", got)
        return
    said = content(got).strip()
    try:
        value = msgspec.json.decode(said.encode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    if value == {"code": words.SECRET}:
        subject.say("json schema", "honoured", "The answer has the form that was asked for.")
    elif cut(got):
        subject.say("json schema", "unknown", "The answer was cut before it was whole.", remedy)
    else:
        subject.say("json schema", "ignored", f"It answered {brief(said)}.", remedy)


def _note_cached(subject: Subject, got: Got) -> None:
    details = got.said.prompt_tokens_details
    told = None if details is None else details.cached_tokens
    if told:
        subject.say("cached tokens", "honoured", f"{told} of {got.said.prompt_tokens} when asked again.")
    elif told == 0:
        subject.say("cached tokens", "unknown", "It tells 0; some endpoints cache from 1,024 tokens on.")
    else:
        subject.say(
            "cached tokens",
            "ignored",
            "The counts do not tell them.",
            "All input is booked at its full price.",
        )


async def _stop(subject: Subject, whole: Got, most: int, fields: Mapping[str, Any]) -> None:
    remedy = "Answers are read all the same, but cost more."
    full = content(whole)
    rest = full[len(full) // 2 :].split()
    sign = rest[1] if len(rest) > 2 else full[len(full) // 2 :][:4].strip()
    if not sign or full.find(sign) == 0:
        subject.say("stop", "unknown", f"{brief(full)} has no middle to stop in.")
        return
    before = full.partition(sign)[0].rstrip()
    got = await subject.ask(words.COUNT, most, {**fields, "stop": [sign]})
    said = content(got)
    if "stop" in got.refused:
        subject.refused("stop", got, "stop", remedy)
    elif got.error:
        subject.failed("stop", got)
    elif sign in said:
        subject.say("stop", "ignored", f"It went on beyond {sign!r}.", remedy)
    elif said.rstrip() == before:
        subject.say("stop", "honoured", f"It stopped before {sign!r}.")
    else:
        subject.say("stop", "unknown", f"Another text came back, without {sign!r}.")
