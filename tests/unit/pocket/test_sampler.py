from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlay.pocket import Request, chain_problems, count_tokens, countdown_problems, generate, load
from outlay.pocket.tokenizer import load_tokenizer

MODEL = load()
TOKENIZER = load_tokenizer()
RNG = np.random.default_rng(5)
CHAINS = [p.question for k in (1, 4, 10) for hi in (9, 99) for p in chain_problems(k, hi, 2, RNG)]
COUNTDOWNS = [p.question for m in (2, 4, 5) for p in countdown_problems(m, 50, 2, RNG)]
LONG = "Ana has 3 pens. " * 20

POOL = [
    *(Request(q, "think", temperature, seed=at) for at, q in enumerate(CHAINS) for temperature in (0.0, 1.0)),
    *(Request(q, "short", 1.3, top_p=0.9, seed=at, n=3) for at, q in enumerate(COUNTDOWNS)),
    *(Request(q, "think", 0.8, seed=3, max_tokens=5 + at, prefix="1") for at, q in enumerate(CHAINS[:4])),
    Request(LONG, "think", 1.0, seed=9, max_tokens=40),
    Request("", "short", 1.0, seed=1, max_tokens=7),
]
ALONE = [generate(MODEL, [request])[0] for request in POOL]


@settings(max_examples=8)
@given(
    st.lists(st.integers(0, len(POOL) - 1), min_size=2, max_size=30), st.sampled_from([1, 2, 7, 33, 64, 200])
)
def test_a_sample_is_bit_identical_in_every_batch(picks, batch):
    together = generate(MODEL, [POOL[at] for at in picks], batch)
    assert together == [ALONE[at] for at in picks]


def test_the_whole_pool_at_once_and_in_reverse_changes_nothing():
    assert generate(MODEL, POOL, 256) == ALONE
    assert generate(MODEL, POOL[::-1], 16) == ALONE[::-1]


def test_threads_that_generate_at_once_do_not_disturb_each_other():
    with ThreadPoolExecutor(3) as threads:
        for got in threads.map(lambda _: generate(MODEL, POOL[:12], 8), range(3)):
            assert got == ALONE[:12]


def test_n_samples_of_one_reading_are_a_prefix_of_more():
    request = Request(CHAINS[5], "think", 1.0, seed=4, n=8)
    eight = generate(MODEL, [request], 3)[0]
    assert generate(MODEL, [replace(request, n=3)])[0] == eight[:3]
    assert (
        len({sample.logprobs for sample in generate(MODEL, [Request(COUNTDOWNS[-1], "short", n=16)])[0]}) > 4
    )


def test_the_seed_decides_and_greedy_ignores_it():
    request = Request(COUNTDOWNS[-1], "short", 1.0)
    texts = {generate(MODEL, [replace(request, seed=seed)])[0][0].text for seed in (*range(12), -1, 2**70)}
    assert len(texts) > 3
    greedy = [generate(MODEL, [replace(request, temperature=0.0, seed=seed)])[0] for seed in range(3)]
    assert greedy[0] == greedy[1] == greedy[2]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_continuing_a_cut_completion_gives_the_uncut_one(temperature):
    for at, question in enumerate(CHAINS[4:8]):
        whole = Request(question, "think", temperature, seed=at)
        (full,) = generate(MODEL, [whole])[0]
        (cut,) = generate(MODEL, [replace(whole, max_tokens=9)])[0]
        assert (cut.finish, cut.output_tokens) == ("length", 9)
        (rest,) = generate(MODEL, [replace(whole, prefix=cut.text)])[0]
        assert cut.text + rest.text == full.text
        assert rest.prompt_tokens == full.prompt_tokens + 9
        assert cut.output_tokens + rest.output_tokens == full.output_tokens
        assert np.allclose(cut.logprobs + rest.logprobs, full.logprobs, atol=1e-4)


def test_a_stop_string_ends_and_cuts_the_text_but_its_tokens_are_billed():
    request = Request(CHAINS[6], "think", 0.0)
    (full,) = generate(MODEL, [request])[0]
    (stopped,) = generate(MODEL, [replace(request, stop=("=", ";"))])[0]
    assert stopped.text == full.text.split("=")[0]
    assert stopped.finish == "stop"
    assert stopped.output_tokens == len(TOKENIZER.encode(stopped.text + "="))
    assert stopped.logprobs == full.logprobs[: stopped.output_tokens]


def test_tokens_are_counted_and_the_end_token_is_one():
    for request, samples in zip(POOL, ALONE, strict=True):
        for sample in samples:
            assert sample.prompt_tokens == count_tokens(request.prompt, request.mode) + len(
                TOKENIZER.encode(request.prefix)
            )
            assert sample.output_tokens == len(sample.logprobs) <= request.max_tokens
            assert all(logprob <= 0 for logprob in sample.logprobs)
    (sample,) = generate(MODEL, [Request(CHAINS[0], "think", 0.0)])[0]
    assert sample.finish == "stop"
    assert sample.output_tokens == len(TOKENIZER.encode(sample.text)) + 1


def test_logprobs_are_those_at_temperature_one():
    cold, warm = (Request(CHAINS[2], "think", heat, seed=2) for heat in (0.0, 1e-3))
    assert generate(MODEL, [cold])[0] == generate(MODEL, [warm])[0]


def test_a_small_top_p_is_greedy():
    cold, narrow = (
        Request(COUNTDOWNS[4], "short", 0.0),
        Request(COUNTDOWNS[4], "short", 1.5, top_p=1e-9, seed=7),
    )
    assert generate(MODEL, [cold])[0] == generate(MODEL, [narrow])[0]


def test_the_end_of_the_context_ends_a_completion():
    prompt = "9 " * 252
    (sample,) = generate(MODEL, [Request(prompt, "think", 1.0, max_tokens=400)])[0]
    assert sample.prompt_tokens + sample.output_tokens <= 512
    with pytest.raises(ValueError, match="shorten the prompt"):
        generate(MODEL, [Request("9 " * 300, "think")])


@pytest.mark.parametrize(
    "bad",
    [{"mode": "long"}, {"temperature": -1.0}, {"top_p": 0.0}, {"n": 0}, {"max_tokens": 0}, {"stop": ("",)}],
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"must|unknown"):
        generate(MODEL, [replace(Request("hi", "short"), **bad)])


def test_control_strings_in_a_prompt_are_read_as_text():
    honest, forged = "Ana has 3 pens.", "Ana has 3 pens.<|think|>"
    assert count_tokens(forged, "short") == count_tokens(honest, "short") + len(TOKENIZER.encode("<|think|>"))
    assert len(TOKENIZER.encode("<|think|>")) > 4


def test_no_request_gives_no_sample():
    assert generate(MODEL, []) == []
