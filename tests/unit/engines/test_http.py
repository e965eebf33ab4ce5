import asyncio
import json
import socket
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from outlay.engines.http import Http, Patience, chat
from outlay.engines.http.post import retry_after
from outlay.errors import UpstreamError, UsageError
from outlay.types import Arm, Ask, Call, Delivery, Message, Price, Prompt, Test, Usage

KEY = "sk-canary-0123456789"
QUICK = Patience(backoff_s=0.01, timeout_s=1.2)
ASK = Ask((Message("system", "Answer the question."), Message("user", "What is six times seven? " * 4)))
READ = 4 + 3 + 4 + 20


def call(model: str, n: int = 1, *, seed: int = 5, max_tokens: int = 32, **about: Any) -> Call:
    arm = Arm("small", "http", model=model, max_tokens=64, price=Price(1_000_000, 2_000_000), **about)
    return Call(arm, ASK, key="k", prompt_id="p", n=n, seed=seed, max_tokens=max_tokens)


def deliver(
    url: str, *calls: Call, key: str = KEY, patience: Patience = QUICK, **knobs: Any
) -> list[Delivery]:
    async def ask() -> list[Delivery]:
        engine = Http(url, key, patience=patience, **knobs)
        try:
            return [(await engine.complete([one]))[0] for one in calls]
        finally:
            await engine.close()

    done = asyncio.run(ask())
    for one, asked in zip(done, calls, strict=True):
        assert KEY not in repr(one)
        assert len(one.completions) == asked.n or one.error
        worst = Http(url).worst(asked)
        assert one.usage.input + one.usage.output <= worst.tok
        assert one.usage.output <= worst.outtok
    return done


def seen(url: str, model: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/seen/{model}") as got:
        return json.load(got)


def words(done: Delivery) -> int:
    return sum(len(copy.text.split()) for copy in done.completions)


def test_a_call_comes_back_with_copies_usage_and_confidence(endpoint: str):
    [done] = deliver(endpoint, call("sound", 4))
    assert len({copy.text for copy in done.completions}) == 4
    assert done.usage == Usage(READ, words(done))
    for copy in done.completions:
        assert copy.output_tokens == len(copy.text.split())
        assert copy.confidence is not None
        assert copy.confidence.mean < 0
    [sent] = seen(endpoint, "sound")
    assert (sent["n"], sent["seed"], sent["max_tokens"], sent["temperature"], sent["top_p"]) == (
        4,
        5,
        32,
        1.0,
        1,
    )
    assert not {"top_k", "min_p", "stop", "reasoning_effort"} & set(sent)


def test_the_same_seed_gives_the_same_text_and_another_another(endpoint: str):
    first, same, other = deliver(endpoint, call("sound"), call("sound"), call("sound", seed=6))
    assert first.completions == same.completions != other.completions


def test_what_was_asked_for_is_sent(endpoint: str):
    ask = replace(ASK, stop=("END",), prefix="So ")
    asked = replace(call("sound:0", mode="low", deterministic=True), payload=ask)
    deliver(endpoint, asked, extra=chat.LLAMA_PLAIN)
    [sent] = seen(endpoint, "sound:0")
    assert (sent["stop"], sent["temperature"], sent["reasoning_effort"]) == (["END"], 0.0, "low")
    assert (sent["top_k"], sent["min_p"]) == (0, 0.0)
    assert sent["messages"][-1] == {"role": "assistant", "content": "So "}


@pytest.mark.parametrize("logprobs", [True, False])
def test_a_prefix_is_not_part_of_the_text_whether_the_server_repeats_it_or_not(endpoint: str, logprobs: bool):
    ask = replace(ASK, prefix="Well then ")
    repeated, plain = deliver(
        endpoint,
        *(replace(call(model), payload=ask) for model in ("repeats-the-prefix", "sound")),
        extra={"logprobs": logprobs},
    )
    assert repeated.completions[0].text == plain.completions[0].text


def test_a_prefix_that_the_model_says_again_stays(endpoint: str):
    said = deliver(endpoint, call("sound"))[0].completions[0].text
    ask = replace(ASK, prefix=said[:3])
    assert deliver(endpoint, replace(call("sound"), payload=ask))[0].completions[0].text == said


def test_half_a_surrogate_pair_does_not_break_the_request(endpoint: str):
    asked = replace(call("sound"), payload=Ask((Message("user", "broken \ud83d"),)))
    assert not deliver(endpoint, asked)[0].error


def test_a_cut_copy_says_so(endpoint: str):
    [done] = deliver(endpoint, call("sound", max_tokens=2))
    assert (done.completions[0].finish, done.usage.output) == ("length", 2)


# What came back is counted.


def test_usage_of_one_choice_is_corrected_by_the_own_count(endpoint: str):
    [done] = deliver(endpoint, call("one-choice-counted", 4))
    assert done.usage == Usage(READ, words(done), estimated=True)


def test_usage_of_one_choice_is_noticed_without_logprobs_too(endpoint: str):
    [done] = deliver(endpoint, call("one-choice-counted-no-logprobs", 4))
    assert done.usage.output >= words(done)
    assert done.usage.estimated


@pytest.mark.parametrize("model", ["no-usage", "no-usage-no-logprobs", "zero-usage"])
def test_missing_usage_is_never_settled_as_nothing(endpoint: str, model: str):
    [done] = deliver(endpoint, call(model, 2))
    assert done.usage.estimated
    assert done.usage.output >= words(done) > 0
    assert done.usage.input >= READ


def test_cached_and_reasoning_tokens_are_parts(endpoint: str):
    [done] = deliver(endpoint, call("details", max_tokens=64))
    assert done.usage == Usage(100, 50, cached=64, reasoning=40)
    assert done.completions[0].reasoning == "let me think"
    assert done.completions[0].confidence is None


@pytest.mark.parametrize(("model", "requests"), [("n-ignored", 4 + 4), ("n-at-most-two", 3 + 4)])
def test_copies_that_did_not_come_are_asked_for_one_by_one_and_the_server_is_remembered(
    endpoint: str, model: str, requests: int
):
    first, second = deliver(endpoint, call(model, 4), call(model, 4, seed=50))
    for done in (first, second):
        assert len({copy.text for copy in done.completions}) == 4
        assert done.usage.output == words(done)
    assert second.usage.input == 4 * READ
    assert len(seen(endpoint, model)) == requests


def test_surplus_copies_are_charged_and_dropped(endpoint: str):
    [done] = deliver(endpoint, call("too-many", 2))
    assert len(done.completions) == 2
    assert done.usage.output > words(done)


def test_until_n_is_honoured_every_copy_may_read_the_prompt(endpoint: str):
    async def ask() -> tuple[int, int]:
        engine = Http(endpoint)
        before = engine.worst(call("sound", 4)).tok
        await engine.complete([call("sound", 4)])
        after = engine.worst(call("sound", 4)).tok
        await engine.close()
        return before, after

    before, after = asyncio.run(ask())
    bound = chat.most_input(call("sound"))
    assert (before, after) == (4 * bound + 4 * 32, bound + 4 * 32)


# Fields that a server does not know.


@pytest.mark.parametrize(
    ("model", "field"),
    [("wants-completion-tokens", "max_tokens"), ("knows-no-logprobs", "logprobs"), ("knows-no-n", "n")],
)
def test_a_field_that_is_refused_is_left_out_from_then_on(endpoint: str, model: str, field: str):
    first, second = deliver(endpoint, call(model, 2), call(model, 2, seed=50))
    assert len(first.completions) == len(second.completions) == 2
    sent = seen(endpoint, model)
    assert field in sent[0]
    assert not any(field in one for one in sent[1:])
    if field == "max_tokens":
        assert sent[1]["max_completion_tokens"] == 32


def test_a_value_that_is_refused_is_an_error_not_a_field_to_drop(endpoint: str):
    [done] = deliver(endpoint, call("max-tokens-too-large"))
    assert "too large" in done.error
    assert len(seen(endpoint, "max-tokens-too-large")) == 1


# Faults.


def test_a_limit_is_waited_for_as_long_as_the_server_says_and_costs_nothing(endpoint: str):
    [done] = deliver(endpoint, call("limited:2"))
    assert not done.error
    assert done.usage == Usage(READ, words(done))
    assert done.ms >= 400
    assert [": 429 " in why for why in done.repeated] == [True, True], "and what cost the time is told"


@pytest.mark.parametrize(
    ("model", "requests", "word"),
    [("limited-long", 1, "gave up after 1 attempt"), ("limited-silently", 7, "gave up after 7 attempts")],
)
def test_patience_with_limits_ends(endpoint: str, model: str, requests: int, word: str):
    [done] = deliver(endpoint, call(model), patience=replace(QUICK, backoff_s=0.001))
    assert word in done.error
    assert done.usage == Usage()
    assert len(seen(endpoint, model)) == requests


@pytest.mark.parametrize("model", ["broken:1", "bad-gateway:1", "reset:1", "stall:1", "error-in-200:1"])
def test_after_one_fault_the_call_succeeds_and_the_failed_attempt_is_charged(endpoint: str, model: str):
    [done] = deliver(endpoint, call(model))
    assert not done.error
    assert done.usage.input == READ + chat.guessed_input(call(model))
    assert done.usage.output >= words(done)
    assert done.usage.estimated
    assert len(done.repeated) == 1
    assert endpoint.removeprefix("http://").split("/")[0] in done.repeated[0]


def test_output_that_a_fault_used_is_charged_and_leaves_a_shorter_attempt(endpoint: str):
    [done] = deliver(endpoint, call("broken-with-usage:1"))
    assert not done.error
    assert done.usage == Usage(READ + 7, words(done) + 3)
    assert [sent["max_tokens"] for sent in seen(endpoint, "broken-with-usage:1")] == [32, 29]


def test_output_that_a_fault_used_up_leaves_no_room_for_another_attempt(endpoint: str):
    [done] = deliver(endpoint, call("malformed:1"))
    assert done.usage == Usage(chat.guessed_input(call("")), 32, estimated=True)
    assert "no room for another attempt" in done.error


def test_an_attempt_that_was_turned_away_is_free(endpoint: str):
    [done] = deliver(endpoint, call("overloaded:2"))
    assert done.usage == Usage(READ, words(done))


BRISK = replace(QUICK, timeout_s=8, silent_s=0.8, trickle_s=1.2)


@pytest.mark.parametrize("model", ["cut:1", "reset:01", "stall-in-body:1", "drip:1"])
def test_an_answer_that_stops_midway_is_charged_for_what_was_seen_and_asked_for_again(
    endpoint: str, model: str
):
    [done] = deliver(endpoint, call(model, max_tokens=64), patience=BRISK)
    assert not done.error
    assert done.usage.input == READ + chat.guessed_input(call(model))
    assert done.usage.output >= words(done)
    assert done.usage.estimated
    first, second = seen(endpoint, model)
    assert 32 <= second["max_tokens"] <= first["max_tokens"] == 64


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("stall-in-body", "stopped midway: nothing more for 0.8 s"),
        ("drip", "not whole 1.2 s after it began"),
        ("cut", "connection broke after"),
        ("closes", "connection broke (ServerDisconnectedError)"),
    ],
)
def test_how_an_answer_was_lost_is_said(endpoint: str, model: str, word: str):
    [done] = deliver(endpoint, call(model), patience=replace(BRISK, lost=0))
    assert word in done.error
    assert done.ms < 8_000


def test_empty_lines_before_an_answer_are_waited_for(endpoint: str):
    patience = replace(QUICK, timeout_s=5, silent_s=0.05, trickle_s=0.1)
    [done] = deliver(endpoint, call("blank-while-it-computes"), patience=patience)
    assert not done.error
    assert done.ms >= 800


def test_a_date_to_come_back_at_is_waited_for(endpoint: str):
    [done] = deliver(endpoint, call("limited-until:1"))
    assert done.usage == Usage(READ, words(done))


@pytest.mark.parametrize(("model", "output"), [("cap-ignored", 96), ("effort-ignored", 128)])
def test_a_cap_that_the_server_ignores_is_found_out_and_not_promised_again(
    endpoint: str, model: str, output: int
):
    async def ask() -> tuple[int, int, int]:
        engine = Http(endpoint)
        before = engine.worst(call(model)).outtok
        [done] = await engine.complete([call(model, mode="low")])
        after = engine.worst(call(model)).outtok
        await engine.close()
        return before, done.usage.output, after

    before, used, after = asyncio.run(ask())
    assert before == 32
    assert after == used >= output


def test_a_prompt_that_is_billed_above_its_bound_raises_the_worst_case(endpoint: str):
    async def ask() -> tuple[int, int, int]:
        engine, asked = Http(endpoint), call("reads-more-than-it-was-given")
        before = engine.worst(asked).tok
        [done] = await engine.complete([asked])
        after = engine.worst(asked).tok
        await engine.close()
        return before, done.usage.input + 32, after

    before, used, after = asyncio.run(ask())
    assert before < used == after


def test_thoughts_that_use_up_the_cap_are_charged_and_leave_an_empty_text(endpoint: str):
    [done] = deliver(endpoint, call("only-thoughts"))
    assert (done.completions[0].text, done.completions[0].finish) == ("", "length")
    assert done.usage.output == 32


def test_what_the_endpoint_says_of_its_limits_slows_the_next_request(endpoint: str):
    first, second = deliver(endpoint, call("near-its-limit"), call("near-its-limit"))
    # 600 a minute, none of them left.
    assert second.ms >= 90 > first.ms


# An outage.


def together(url: str, calls: list[Call], patience: Patience) -> list[Delivery]:
    async def ask() -> list[Delivery]:
        engine = Http(url, KEY, patience=patience)
        try:
            return await engine.complete(calls)
        finally:
            await engine.close()

    return asyncio.run(ask())


def different(model: str, count: int) -> list[Call]:
    return [replace(call(model), key=f"p{at}/s", prompt_id=f"p{at}", seed=at) for at in range(count)]


@pytest.mark.parametrize(
    ("model", "word"),
    [("overloaded", "503"), ("broken", "500"), ("limited-silently", "429"), ("closes", "broke")],
)
def test_where_nothing_comes_through_for_many_prompts_the_run_ends_and_no_call_fails(
    endpoint: str, model: str, word: str
):
    patience = replace(QUICK, backoff_s=0.002, outage_s=0.3)
    with pytest.raises(UpstreamError, match=f"endpoint unavailable: .*{word}.*same command") as caught:
        together(endpoint, different(model, 10), patience)
    assert caught.value.usage is not None
    charged = model in ("broken", "closes")
    assert (caught.value.usage.input > 0) == charged


def test_what_all_copies_had_used_is_told_when_the_run_ends(endpoint: str):
    """Copies asked for one by one fail together: none of their attempts is forgotten."""
    patience = replace(QUICK, backoff_s=0.002, outage_s=0.2)

    async def ask() -> list[BaseException | list[Delivery]]:
        engine = Http(endpoint, KEY, patience=patience)
        await engine.complete([replace(call("n-ignored:2", 2), prompt_id="first")])
        calls = [replace(one, n=2) for one in different("n-ignored:2", 9)]
        engine._extra["fault"] = "broken"
        try:
            return await asyncio.gather(*(engine.complete([one]) for one in calls), return_exceptions=True)
        finally:
            await engine.close()

    ends = asyncio.run(ask())
    assert all(isinstance(end, UpstreamError) for end in ends)
    one_attempt = chat.guessed_input(call(""))
    assert all(
        end.usage.input >= 2 * one_attempt for end in ends if isinstance(end, UpstreamError) and end.usage
    )


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form(said: str, wait: float | None):
    assert retry_after({"Retry-After": said}) == wait


def test_a_few_prompts_that_fail_are_their_own_fault(endpoint: str):
    done = together(endpoint, different("overloaded", 5), replace(QUICK, backoff_s=0.002, outage_s=0.1))
    assert all("gave up after 4 attempts" in one.error for one in done)


def test_prompts_that_fail_beside_others_that_succeed_are_their_own_fault(endpoint: str):
    calls = [*different("broken", 10), *different("slow", 40)]
    done = together(endpoint, calls, replace(QUICK, backoff_s=0.02, outage_s=20))
    assert [bool(one.error) for one in done] == [True] * 10 + [False] * 40


def test_an_outage_that_ends_in_time_fails_nobody(endpoint: str):
    done = together(endpoint, different("overloaded:60", 10), replace(QUICK, backoff_s=0.002, outage_s=20))
    assert not any(one.error for one in done)


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("broken", "500"),
        ("bad-gateway", "502"),
        ("malformed", "no chat completion"),
        ("reset", "connection broke"),
        ("stall", "no answer within 0.1 s"),
        ("overloaded", "503"),
    ],
)
def test_an_endless_fault_becomes_a_value_within_the_worst_case(endpoint: str, model: str, word: str):
    [done] = deliver(endpoint, call(model), patience=replace(QUICK, timeout_s=0.1 if model == "stall" else 2))
    assert not done.completions
    assert word in done.error
    assert endpoint in done.error


def test_a_prompt_too_long_is_a_value_that_names_the_reason(endpoint: str):
    [done] = deliver(endpoint, call("overflow", 2))
    assert "exceed_context_size_error" in done.error
    assert "context size" in done.error
    assert done.usage == Usage()


def test_filters_and_refusals_are_completions(endpoint: str):
    filtered, refused = deliver(endpoint, call("filtered", 2), call("refusal"))
    assert [copy.finish for copy in filtered.completions] == ["content_filter"] * 2
    assert (refused.completions[0].finish, refused.completions[0].text) == ("refusal", "I will not.")


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        ("repeats-the-key", "set OPENAI_API_KEY"),
        ("forbidden", "another key"),
        ("unknown-model", "name of the model"),
        ("out-of-credit", "pay its bill"),
        ("elsewhere", "final address"),
    ],
)
def test_what_no_prompt_can_mend_names_endpoint_and_remedy_and_never_the_key(
    endpoint: str,
    model: str,
    remedy: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    with caplog.at_level("DEBUG"), pytest.raises(UpstreamError) as caught:
        deliver(endpoint, call(model))
    assert endpoint in str(caught.value)
    assert remedy in str(caught.value)
    out, err = capfd.readouterr()
    assert KEY not in "".join((str(caught.value), repr(caught.value), caplog.text, out, err))
    assert caught.value.__cause__ is None


def test_a_key_that_a_server_repeats_in_a_fault_is_blotted_out(endpoint: str):
    [done] = deliver(endpoint, call("repeats-the-key-in-400"))
    assert "***" in done.error


def test_a_key_where_a_long_message_is_cut_is_blotted_out_whole(endpoint: str):
    [done] = deliver(endpoint, call("repeats-the-key-late"))
    assert "***" in done.error
    assert KEY[:6] not in done.error


def test_nobody_there_names_the_address_without_its_password():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = held.getsockname()[1]
        url = f"http://me:secret@127.0.0.1:{port}/v1"
        with pytest.raises(UpstreamError) as caught:
            deliver(url, call("sound"), key="")
    assert f"http://127.0.0.1:{port}/v1" in str(caught.value)
    assert "start the server" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_login_in_the_address_and_a_key_exclude_each_other():
    with pytest.raises(UsageError, match="drop one") as caught:
        Http("http://me:secret@127.0.0.1/v1", KEY)
    assert "secret" not in str(caught.value)


def test_one_fault_does_not_touch_the_other_calls(endpoint: str):
    async def ask() -> list[Delivery]:
        engine = Http(endpoint, patience=QUICK)
        done = await engine.complete([call("sound"), call("overflow"), call("sound", seed=9)])
        await engine.close()
        return done

    assert [bool(done.error) for done in asyncio.run(ask())] == [False, True, False]


def test_no_more_than_the_limit_is_in_flight(endpoint: str):
    async def ask(concurrency: int) -> float:
        engine = Http(endpoint, concurrency=concurrency)
        clock = asyncio.get_running_loop().time
        began = clock()
        await engine.complete([call("slow")] * 4)
        took = clock() - began
        await engine.close()
        return took

    assert asyncio.run(ask(1)) >= 0.4
    assert asyncio.run(ask(4)) < 0.35


# Settings.


def test_the_endpoint_comes_from_the_environment(endpoint: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="set OPENAI_BASE_URL"):
        Http.from_env()
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint + "/")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    async def ask() -> str:
        engine = Http.from_env()
        try:
            await engine.complete([call("repeats-the-key-in-400")])
            await engine.complete([call("repeats-the-key")])
        except UpstreamError as error:
            return str(error)
        finally:
            await engine.close()
        return ""

    assert "Bearer ***" in asyncio.run(ask())


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", ""])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(UsageError, match="write it like"):
        Http(url)


def test_a_mode_that_cannot_take_effect_is_refused(endpoint: str):
    with pytest.raises(UsageError, match="'think'"):
        deliver(endpoint, call("sound", mode="think"))
    [done] = deliver(
        endpoint,
        call("sound:1", mode="think"),
        modes={"think": {"chat_template_kwargs": {"enable_thinking": True}}},
    )
    assert not done.error
    assert seen(endpoint, "sound:1")[-1]["chat_template_kwargs"] == {"enable_thinking": True}


def test_extra_may_not_change_what_the_run_decides():
    with pytest.raises(UsageError, match="max_tokens"):
        Http("http://x/v1", extra={"max_tokens": 7})


def test_checks_are_misplaced(endpoint: str):
    asked = replace(call("sound"), payload=Test(Prompt("p", ()), "", ""))
    assert "give checks" in deliver(endpoint, asked)[0].error
