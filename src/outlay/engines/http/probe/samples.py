"""Copies, seeds and counts: the same seed twice, then another seed and two copies."""

from collections.abc import Mapping, Sequence
from typing import Final

from outlay.engines.http.asking import Got
from outlay.engines.http.chat import LLAMA_PLAIN
from outlay.engines.http.probe.subject import STORY, Stopped, Subject, no_answer, own, text
from outlay.techniques import probe as words

SEED: Final = 7
OTHER: Final = 8
COUNTS: Final = "outlay counts for itself and books the larger count."


async def samples(subject: Subject) -> None:
    """The same seed twice, then another seed and two copies."""
    fields = {"temperature": 1.0, "logprobs": True, "seed": SEED}
    first = await subject.ask(words.STORY, STORY, fields)
    if first.error:
        raise Stopped(no_answer(first))
    again = await subject.ask(words.STORY, STORY, fields)
    two = await subject.ask(words.STORY, STORY, fields | {"seed": OTHER, "n": 2})
    _note_cap(subject, first)
    _note_logprobs(subject, first)
    _note_usage(subject, first)
    texts = [text(got) for got in (first, again, two)]
    _note_seed(subject, first, [first, again, two], texts)
    _note_copies(subject, two, varied=len(set(texts)) > 1)


def _note_cap(subject: Subject, got: Got) -> None:
    name = subject.asker.cap_name
    if got.choices[0].finish_reason == "length":
        as_name = "" if name == "max_tokens" else f", as {name}"
        subject.say("max_tokens", "honoured", f"Cut at {STORY} tokens, as asked{as_name}.")
    else:
        subject.say(
            "max_tokens",
            "unknown",
            f"The answer ended by itself within {STORY} tokens.",
            "Watch the first run: an answer above its cap is named in the summary.",
        )


def _note_logprobs(subject: Subject, got: Got) -> None:
    count = len(got.choices[0].entries())
    remedy = "No confidence in single answers: add a check if you can."
    if "logprobs" in got.refused:
        subject.refused("logprobs", got, "logprobs", remedy)
    elif not count:
        subject.say("logprobs", "ignored", "No log-probabilities came back.", remedy)
    else:
        subject.say("logprobs", "honoured", f"{count} came back for {own(got, STORY)} tokens.")


def _note_usage(subject: Subject, got: Got) -> None:
    said, counted = got.said.completion_tokens, len(got.choices[0].entries())
    if not said or not got.said.prompt_tokens:
        subject.say(
            "usage",
            "ignored",
            "No count of tokens came back." if said is None else f"It says {said} tokens.",
            COUNTS,
        )
    elif counted and abs(said - counted) > 1:
        subject.say(
            "usage",
            "ignored",
            f"It says {said} tokens, and {counted} log-probabilities came back.",
            COUNTS,
        )
    else:
        subject.say("usage", "honoured", f"{got.said.prompt_tokens} tokens in, {said} out.")


def _note_seed(subject: Subject, first: Got, replies: Sequence[Got], texts: Sequence[str]) -> None:
    if "seed" in first.refused:
        subject.refused("seed", first, "seed", "It is left out: no run repeats word for word.")
    elif any(got.error for got in replies):
        subject.failed("seed", next(got for got in replies if got.error))
    elif texts[0] != texts[1]:
        subject.say(
            "seed",
            "ignored",
            "The same seed gave two texts.",
            "No run repeats word for word; a stopped one goes on all the same.",
        )
    elif texts[0] == texts[2]:
        subject.say(
            "seed",
            "unknown",
            "Every seed gave the same text.",
            "Samples may not differ here: votes would count one opinion several times.",
        )
    else:
        subject.say("seed", "honoured", "Same seed, same text; another seed, another text.")


def _note_copies(subject: Subject, two: Got, *, varied: bool) -> None:
    count, remedy = len(two.choices), "Copies are asked for one by one; each pays its prompt."
    if "n" in two.refused:
        subject.refused("n", two, "n", remedy)
        subject.say("usage with n", "unknown", "n is refused.")
        return
    if two.error:
        subject.failed("n", two)
        return
    if count < 2:
        subject.say("n", "ignored", f"2 copies were asked for, {count} came back.", remedy)
        subject.say("usage with n", "unknown", "Only one copy came back.")
        return
    alike = text(two, 0) == text(two, 1)
    if alike and varied:
        subject.say(
            "n",
            "ignored",
            "2 copies came back with the same text, though another seed gives another.",
            "Votes would count one opinion twice: choose --policy uniform:1, or another server.",
        )
    else:
        subject.say("n", "honoured", f"2 copies came back{', alike' if alike else ', and they differ'}.")
    cut = all(choice.finish_reason == "length" for choice in two.choices)
    counted = sum(len(choice.entries()) for choice in two.choices) or (2 * STORY if cut else 0)
    said = two.said.completion_tokens or 0
    if not said:
        subject.say("usage with n", "ignored", "No count of tokens came back.", COUNTS)
    elif not counted:
        subject.say("usage with n", "unknown", f"It says {said} tokens; there is nothing to compare.")
    elif said < counted - 2:
        subject.say(
            "usage with n",
            "ignored",
            f"It says {said} tokens, and the two copies hold {counted}.",
            COUNTS,
        )
    else:
        subject.say("usage with n", "honoured", f"{said} tokens for both copies.")


def note_context(subject: Subject) -> None:
    """Say what the endpoint tells about the length of prompt and answer."""
    if subject.context:
        subject.say("context", "honoured", f"It tells {subject.context:,} tokens for prompt and answer.")
    else:
        subject.say(
            "context",
            "unknown",
            "The endpoint does not tell.",
            "A prompt that is too long fails when it is sent.",
        )


def note_sampler(subject: Subject, cuts: Mapping[str, object]) -> None:
    """Say whether samples come from the whole distribution; only llama.cpp tells."""
    told = {name: cuts[name] for name in LLAMA_PLAIN if name in cuts}
    if len(told) < len(LLAMA_PLAIN):
        subject.say("plain samples", "unknown", "The endpoint does not tell how it samples.")
        return
    shown = " and ".join(
        f"{name} {value:g}" for name, value in told.items() if isinstance(value, int | float)
    )
    if told == LLAMA_PLAIN:
        subject.say("plain samples", "honoured", f"It samples with {shown}.")
    else:
        plain = ", ".join(f"{name} = {value}" for name, value in LLAMA_PLAIN.items())
        subject.say(
            "plain samples",
            "ignored",
            f"Unless told otherwise it cuts its samples, by {shown}.",
            f"Write extra = {{{plain}}} in [[endpoint]] of a config; outlay init does.",
        )
