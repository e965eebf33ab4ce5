"""Batched generation: requests in, samples out, each a function of its own request.

The noise of a sample is a hash of (seed, index among n, position in the completion), so neither batch-mates
nor the order of requests can reach it; with `model`'s rules a sample is the same, bit for bit, in every batch
of one machine.

Shape suffixes: `R` rows (one per sample), `V` vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np
import numpy.typing as npt

from outlay.pocket.model import CONTEXT, SPAN, Cache, Floats, Ints, Model, decode, prefill
from outlay.pocket.threads import one_thread
from outlay.pocket.tokenizer import BOS, EOS, MODES, PAD, SHORT, THINK, Tokenizer, load_tokenizer

Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_NEVER: Final = np.array([PAD, BOS, SHORT, THINK])
"""Control tokens that belong to the prompt; a completion never holds them."""
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_KEPT_SHARE: Final = 0.75
"""Finished rows are dropped from the batch when fewer than this share are live: dropping copies the whole
cache."""


@final
@dataclass(frozen=True, slots=True)
class Request:
    """What to generate.

    Attributes:
        prompt: The user's text.
        mode: "short" or "think", the control token that the completion starts with.
        temperature: 0 is greedy.
        top_p: Sample from the smallest set of likeliest tokens that holds this probability.
        seed: With the index among `n`, decides the sample.
        n: Samples drawn from one reading of the prompt.
        max_tokens: Cap on output tokens, the end token included.
        stop: Strings that end the text; it is cut before the first of them.
        prefix: Completion text so far, which the samples continue. It counts as prompt.
    """

    prompt: str
    mode: str
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    n: int = 1
    max_tokens: int = 96
    stop: tuple[str, ...] = ()
    prefix: str = ""


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """One completion.

    Attributes:
        text: New text only: no prefix, no control token, nothing from a stop string on.
        logprobs: Log probability of each output token at temperature 1, whatever it was sampled at.
        finish: "stop" at the end token or a stop string, "length" at `max_tokens` or the end of the context.
        output_tokens: Tokens generated, the end token and those of a stop string included.
        prompt_tokens: Tokens read, control tokens and prefix included.
    """

    text: str
    logprobs: tuple[float, ...]
    finish: Literal["stop", "length"]
    output_tokens: int
    prompt_tokens: int


@final
@dataclass(slots=True)
class _Row:
    """One sample in the making."""

    request: int
    index: int
    cap: int
    stop: tuple[str, ...]
    tokens: list[int]
    logprobs: list[float]
    finish: Literal["stop", "length"] | None = None


@final
@dataclass(frozen=True, slots=True)
class _Prompt:
    """Token ids of a request; the last `given` of them are its prefix."""

    ids: tuple[int, ...]
    given: int


def generate(model: Model, requests: Sequence[Request], batch: int = 64) -> list[tuple[Sample, ...]]:
    """Generate the samples of all requests, `batch` rows at a time.

    Returns:
        One tuple per request, of its `n` samples in order of their index.

    Raises:
        ValueError: A request has an unknown mode or a setting out of range, or its prompt fills the context.
    """
    tokenizer = load_tokenizer()
    prompts = [_encode(tokenizer, request) for request in requests]
    samples: list[list[Sample]] = [[] for _ in requests]
    # Prompts of like length together: their completions end at about the same time.
    order = sorted(
        range(len(requests)), key=lambda at: (requests[at].mode, len(prompts[at].ids), prompts[at].ids)
    )
    work = [(at, index) for at in order for index in range(requests[at].n)]
    for start in range(0, len(work), batch):
        chunk = sorted(
            work[start : start + batch], key=lambda item: (len(prompts[item[0]].ids), prompts[item[0]].ids)
        )
        with one_thread():
            rows = _generate_batch(model, tokenizer, requests, prompts, chunk)
        for row in rows:
            assert row.finish is not None
            samples[row.request].append(
                Sample(
                    text=_text(tokenizer, row),
                    logprobs=tuple(row.logprobs),
                    finish=row.finish,
                    output_tokens=len(row.tokens),
                    prompt_tokens=len(prompts[row.request].ids),
                )
            )
    return [tuple(drawn) for drawn in samples]


def count_tokens(prompt: str, mode: str) -> int:
    """Return the prompt tokens of a request without prefix, control tokens included."""
    return len(_encode(load_tokenizer(), Request(prompt, mode)).ids)


def _encode(tokenizer: Tokenizer, request: Request) -> _Prompt:
    if request.mode not in MODES:
        raise ValueError(f"unknown mode {request.mode!r}; choose one of {', '.join(MODES)}")
    if request.temperature < 0 or not 0 < request.top_p <= 1:
        raise ValueError(
            f"temperature must be >= 0 and top_p in (0, 1], not {request.temperature}, {request.top_p}"
        )
    if request.n < 1 or request.max_tokens < 1 or "" in request.stop:
        raise ValueError(
            f"n and max_tokens must be at least 1 and stop strings not empty, "
            f"not {request.n}, {request.max_tokens}, {request.stop}"
        )
    prefix = tokenizer.encode(request.prefix)
    # Prompt and prefix are encoded apart: the control token stands between them.
    ids = (BOS, *tokenizer.encode(request.prompt), MODES[request.mode], *prefix)
    if len(ids) >= CONTEXT:
        raise ValueError(f"the prompt has {len(ids)} tokens and the context {CONTEXT}; shorten the prompt")
    return _Prompt(ids, len(prefix))


def _generate_batch(
    model: Model,
    tokenizer: Tokenizer,
    requests: Sequence[Request],
    prompts: Sequence[_Prompt],
    work: Sequence[tuple[int, int]],
) -> list[_Row]:
    """Generate the rows of one batch; `work` holds (request, index), shortest prompt first."""
    rows = [
        _Row(
            at, index, min(requests[at].max_tokens, CONTEXT - len(prompts[at].ids)), requests[at].stop, [], []
        )
        for at, index in work
    ]
    distinct = list(dict.fromkeys(prompts[at].ids for at, _ in work))
    place = {ids: at for at, ids in enumerate(distinct)}
    logits, read = prefill(model, distinct)
    row_R = np.array([place[prompts[at].ids] for at, _ in work])
    logits_RV = logits[row_R]
    cache = read.take(row_R, _capacity(read, rows))
    draw = _Draw.start(
        [requests[at] for at, _ in work], [index for _, index in work], [prompts[at].given for at, _ in work]
    )
    live, alive_R = rows, np.ones(len(rows), bool)
    while True:
        token_R, logprob_R = draw.step(logits_RV)
        for at in np.flatnonzero(alive_R).tolist():
            row = live[at]
            row.tokens.append(int(token_R[at]))
            row.logprobs.append(float(logprob_R[at]))
            row.finish = _finish(tokenizer, row)
            alive_R[at] = row.finish is None
        count = int(alive_R.sum())
        if not count:
            return rows
        if count < _KEPT_SHARE * len(live):
            row_R = np.flatnonzero(alive_R)
            live = [live[at] for at in row_R.tolist()]
            cache = cache.take(row_R, _capacity(cache, live))
            draw = draw.take(row_R)
            token_R, alive_R = token_R[row_R], alive_R[row_R]
        logits_RV = decode(model, token_R, cache)


def _capacity(cache: Cache, rows: Sequence[_Row]) -> int:
    """Return the positions that a cache needs.

    Finished rows stay in the batch for a while and keep filling theirs, hence the longest row with the
    largest cap.
    """
    left = max(row.cap - len(row.tokens) for row in rows)
    return -(-(int(cache.length_R.max()) + left) // SPAN) * SPAN


def _finish(tokenizer: Tokenizer, row: _Row) -> Literal["stop", "length"] | None:
    if row.tokens[-1] == EOS:
        return "stop"
    if row.stop and any(stop in tokenizer.decode(row.tokens) for stop in row.stop):
        return "stop"
    return "length" if len(row.tokens) >= row.cap else None


def _text(tokenizer: Tokenizer, row: _Row) -> str:
    text = tokenizer.decode(row.tokens)
    return text[: min([text.find(stop) for stop in row.stop if stop in text], default=len(text))]


@final
@dataclass(slots=True)
class _Draw:
    """Chooses the next token of every row.

    Attributes:
        key_R: Hash of (seed, index among n).
        step_R: Position in the completion, its prefix included: continuing a completion continues its noise.
        temperature_R, top_p_R: Settings of each row.
    """

    key_R: Words
    step_R: Words
    temperature_R: Doubles
    top_p_R: Doubles

    @classmethod
    def start(cls, requests: Sequence[Request], index_R: Sequence[int], given_R: Sequence[int]) -> "_Draw":
        seed_R = np.array([request.seed % 2**64 for request in requests], np.uint64)
        return cls(
            key_R=_mix(_mix(seed_R) + np.array(index_R, np.uint64)),
            step_R=np.array(given_R, np.uint64),
            temperature_R=np.array([request.temperature for request in requests]),
            top_p_R=np.array([request.top_p for request in requests]),
        )

    def take(self, row_R: Ints) -> "_Draw":
        return _Draw(self.key_R[row_R], self.step_R[row_R], self.temperature_R[row_R], self.top_p_R[row_R])

    def step(self, logits_RV: Floats) -> tuple[Ints, Doubles]:
        """Return the chosen tokens and their log probabilities at temperature 1."""
        at_R = np.arange(len(logits_RV))
        score_RV = logits_RV.astype(np.float64)
        score_RV -= score_RV.max(1, keepdims=True)
        normal_R = np.log(np.exp(score_RV).sum(1))
        allowed_RV = score_RV.copy()
        allowed_RV[:, _NEVER] = -np.inf
        token_R = allowed_RV.argmax(1)
        warm_R = np.flatnonzero(self.temperature_R > 0)
        if len(warm_R):
            token_R[warm_R] = self._sample(allowed_RV[warm_R], warm_R)
        self.step_R = self.step_R + np.uint64(1)
        return token_R, score_RV[at_R, token_R] - normal_R

    def _sample(self, score_RV: Doubles, row_R: Ints) -> Ints:
        """Invert the distribution function at one uniform number per row."""
        score_RV = score_RV - score_RV.max(1, keepdims=True)
        weight_RV = np.exp(score_RV / self.temperature_R[row_R, None])
        if (self.top_p_R[row_R] < 1).any():
            order_RV = np.argsort(-weight_RV, 1, kind="stable")
            sorted_RV = np.take_along_axis(weight_RV, order_RV, 1)
            before_RV = np.cumsum(sorted_RV, 1) - sorted_RV
            dropped_RV = before_RV >= self.top_p_R[row_R, None] * sorted_RV.sum(1, keepdims=True)
            # top_p = 1 drops nothing: rounding could make the last of the sums reach the total.
            sorted_RV[dropped_RV & (self.top_p_R[row_R, None] < 1)] = 0
            np.put_along_axis(weight_RV, order_RV, sorted_RV, 1)
        total_RV = np.cumsum(weight_RV, 1)
        uniform_R = (_mix(self.key_R[row_R] + self.step_R[row_R] * _GOLDEN) >> np.uint64(11)) * 2.0**-53
        token_R: Ints = (total_RV <= uniform_R[:, None] * total_RV[:, -1:]).sum(1)
        return token_R


def _mix(value: Words) -> Words:
    """Return the output function of splitmix64 (Steele, Lea, Flood 2014) on a counter."""
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
