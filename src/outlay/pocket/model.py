"""The forward pass of the pocket model in numpy: 849,280 parameters in the Qwen3 shape, float32.

Every number computed for a row depends on that row alone, bit for bit, so that a sample does not change with
its batch-mates. Three rules give this:

* matrix products with weights run in blocks of `BLOCK` rows, the last one padded: a BLAS picks its kernel,
  and with it the order of its sums, by the shape of the product;
* attention pads lengths to a multiple of `SPAN` that depends on the row's own length;
* reductions run over an axis of fixed size, or over the padded own length.

Shape suffixes: `R` rows, `T` positions, `H` heads, `D` head dimension, `C` channels, `V` vocabulary.

Source:
    Qwen3 technical report, arXiv 2505.09388; checked against `transformers.Qwen3ForCausalLM` in the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final, final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

HIDDEN, LAYERS, HEADS, HEAD_DIM, MLP = 128, 4, 4, 32, 352
CONTEXT: Final = 512
THETA: Final = 10_000.0
EPSILON: Final = np.float32(1e-6)
BLOCK: Final = 8
SPAN: Final = 32


@final
@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one layer, ready to multiply from the right; gains of the norms before them are folded in.

    Attributes:
        qkv: (C, 3C). output: (C, C). gate_up: (C, 2 * 352). down: (352, C).
        qk_gain: (2H, D), the gains of the query and key norms, the query's divided by sqrt(D).
    """

    qkv: Floats
    qk_gain: Floats
    output: Floats
    gate_up: Floats
    down: Floats


@final
@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The weights of the pocket model.

    Attributes:
        embedding_VC: Token embeddings.
        layers: One `Layer` per layer.
        head_CV: Tied output matrix with the gain of the last norm folded in.
        cos_TD, sin_TD: Rotary tables.
    """

    embedding_VC: Floats
    layers: tuple[Layer, ...]
    head_CV: Floats
    cos_TD: Floats
    sin_TD: Floats


@final
@dataclass(slots=True)
class Cache:
    """Keys and values of the positions seen so far; one array of shape (R, H, T, D) per layer.

    Attributes:
        length_R: Positions filled in each row, in ascending order: attention slices rows of like length.
    """

    keys: list[Floats]
    values: list[Floats]
    length_R: Ints

    def take(self, row_R: Ints, capacity: int) -> "Cache":
        """Return a cache of the given rows (lengths still ascending) with room for `capacity` positions."""
        keep = min(capacity, self.keys[0].shape[2])
        shape = (len(row_R), HEADS, capacity, HEAD_DIM)
        taken = []
        for old in (*self.keys, *self.values):
            new = np.zeros(shape, np.float32)
            new[:, :, :keep] = old[row_R, :, :keep]
            taken.append(new)
        return Cache(taken[:LAYERS], taken[LAYERS:], self.length_R[row_R])


def assemble(state: Mapping[str, npt.NDArray[np.floating]]) -> Model:
    """Build a model from tensors under the names of the Qwen3 state dict, of any float type."""
    weight = {name.removeprefix("model."): np.asarray(value, np.float32) for name, value in state.items()}
    layers = []
    for index in range(LAYERS):
        at = f"layers.{index}."
        before_attention = weight[at + "input_layernorm.weight"][:, None]
        before_mlp = weight[at + "post_attention_layernorm.weight"][:, None]
        qkv = np.concatenate([weight[f"{at}self_attn.{name}_proj.weight"] for name in "qkv"]).T
        gate_up = np.concatenate([weight[f"{at}mlp.{name}_proj.weight"] for name in ("gate", "up")]).T
        query_gain = weight[at + "self_attn.q_norm.weight"] * np.float32(HEAD_DIM**-0.5)
        gains = [query_gain] * HEADS + [weight[at + "self_attn.k_norm.weight"]] * HEADS
        layers.append(
            Layer(
                qkv=np.ascontiguousarray(before_attention * qkv),
                qk_gain=np.stack(gains),
                output=np.ascontiguousarray(weight[at + "self_attn.o_proj.weight"].T),
                gate_up=np.ascontiguousarray(before_mlp * gate_up),
                down=np.ascontiguousarray(weight[at + "mlp.down_proj.weight"].T),
            )
        )
    embedding = weight["embed_tokens.weight"]
    head = np.ascontiguousarray(weight["norm.weight"][:, None] * embedding.T)
    frequency = THETA ** -(np.arange(0, HEAD_DIM, 2, dtype=np.float32) / np.float32(HEAD_DIM))
    # Twice the context: rows that have ended run on beside live ones for a while.
    angle = np.tile(np.outer(np.arange(2 * CONTEXT, dtype=np.float32), frequency.astype(np.float32)), 2)
    # The sign of the rotated left half is folded into the sine.
    sign = np.repeat(np.array([-1, 1], np.float32), HEAD_DIM // 2)
    return Model(embedding, tuple(layers), head, np.cos(angle), np.sin(angle) * sign)


@lru_cache(maxsize=1)
def load() -> Model:
    """Return the model that ships with the package; read once per process."""
    with (
        resources.files("outlay.pocket").joinpath("data/weights.npz").open("rb") as file,
        np.load(file) as state,
    ):
        return assemble(state)


def prefill(model: Model, ids: list[tuple[int, ...]]) -> tuple[Floats, Cache]:
    """Read prompts.

    Args:
        model: The weights.
        ids: Token ids, shortest prompt first, none empty.

    Returns:
        Logits after the last token, shape (R, V), and the cache.
    """
    length_R = np.array([len(row) for row in ids])
    assert (np.diff(length_R) >= 0).all(), "prompts must be sorted by length"
    padded = int(_round_up(length_R[-1:], SPAN)[0])
    row_N = np.repeat(np.arange(len(ids)), length_R)
    position_N = np.concatenate([np.arange(length) for length in length_R])
    x_NC = model.embedding_VC[np.array([token for row in ids for token in row])]
    shape = (len(ids), HEADS, padded, HEAD_DIM)
    cache = Cache([], [], length_R)
    causal_TT = np.where(np.tri(padded, dtype=bool), np.float32(0), np.float32(-np.inf))
    for layer in model.layers:
        query_NHD, key_NHD, value_NHD = _attention_inputs(model, layer, x_NC, position_N)
        query, key, value = (np.zeros(shape, np.float32) for _ in range(3))
        for into, part in ((query, query_NHD), (key, key_NHD), (value, value_NHD)):
            into[row_N, :, position_N] = part
        mixed = np.zeros(shape, np.float32)
        for rows, span in _groups(length_R):
            score_RHTT = query[rows, :, :span] @ key[rows, :, :span].swapaxes(2, 3)
            score_RHTT += causal_TT[:span, :span]
            mixed[rows, :, :span] = _softmax(score_RHTT) @ value[rows, :, :span]
        x_NC = _finish_layer(layer, x_NC, mixed[row_N, :, position_N])
        cache.keys.append(key)
        cache.values.append(value)
    last_R = np.cumsum(length_R) - 1
    return _logits(model, x_NC[last_R]), cache


def decode(model: Model, token_R: Ints, cache: Cache) -> Floats:
    """Append one token to every row and return the logits after it, shape (R, V).

    The cache must have room for one more position; its lengths grow by one.
    """
    at_R = np.arange(len(token_R))
    position_R = cache.length_R
    cache.length_R = position_R + 1
    x_RC = model.embedding_VC[token_R]
    groups = [
        (rows, span, np.where(np.arange(span) <= position_R[rows, None], np.float32(0), np.float32(-np.inf)))
        for rows, span in _groups(cache.length_R)
    ]
    for layer, key, value in zip(model.layers, cache.keys, cache.values, strict=True):
        query_RHD, key_RHD, value_RHD = _attention_inputs(model, layer, x_RC, position_R)
        key[at_R, :, position_R] = key_RHD
        value[at_R, :, position_R] = value_RHD
        mixed_RHD = np.empty((len(at_R), HEADS, HEAD_DIM), np.float32)
        for rows, span, mask_RT in groups:
            score_RHT = np.matmul(query_RHD[rows, :, None], key[rows, :, :span].swapaxes(2, 3))[:, :, 0]
            score_RHT += mask_RT[:, None]
            mixed_RHD[rows] = np.matmul(_softmax(score_RHT)[:, :, None], value[rows, :, :span])[:, :, 0]
        x_RC = _finish_layer(layer, x_RC, mixed_RHD)
    return _logits(model, x_RC)


def _attention_inputs(
    model: Model, layer: Layer, x_NC: Floats, position_N: Ints
) -> tuple[Floats, Floats, Floats]:
    qkv_NC = _product(_normalized(x_NC), layer.qkv)
    qk = np.ascontiguousarray(qkv_NC[:, : 2 * HIDDEN]).reshape(-1, 2 * HEADS, HEAD_DIM)
    qk = _normalized(qk) * layer.qk_gain
    swapped = np.concatenate((qk[..., HEAD_DIM // 2 :], qk[..., : HEAD_DIM // 2]), -1)
    qk = qk * model.cos_TD[position_N, None] + swapped * model.sin_TD[position_N, None]
    return qk[:, :HEADS], qk[:, HEADS:], qkv_NC[:, 2 * HIDDEN :].reshape(-1, HEADS, HEAD_DIM)


def _finish_layer(layer: Layer, x_NC: Floats, mixed_NHD: Floats) -> Floats:
    x_NC = x_NC + _product(mixed_NHD.reshape(-1, HIDDEN), layer.output)
    gate_up = _product(_normalized(x_NC), layer.gate_up)
    gate: Floats = np.ascontiguousarray(gate_up[:, :MLP])
    with np.errstate(over="ignore"):  # exp(-gate) = inf gives the right limit, 0
        decay: Floats = np.exp(-gate)
    decay += 1
    gate /= decay
    gate *= gate_up[:, MLP:]
    return x_NC + _product(gate, layer.down)


def _logits(model: Model, x_RC: Floats) -> Floats:
    return _product(_normalized(x_RC), model.head_CV)


def _normalized(x: Floats) -> Floats:
    """Divide by the root mean square over the last axis; the gain is folded into what follows."""
    mean = np.square(x).sum(-1, keepdims=True) / np.float32(x.shape[-1])
    normalized: Floats = x / np.sqrt(mean + EPSILON)
    return normalized


def _product(x_NC: Floats, weight: Floats) -> Floats:
    """Multiply in blocks of a fixed number of rows: the kernel never depends on how many there are."""
    rows = len(x_NC)
    blocks = -(-rows // BLOCK)
    if blocks * BLOCK != rows:
        padded = np.zeros((blocks * BLOCK, x_NC.shape[1]), np.float32)
        padded[:rows] = x_NC
        x_NC = padded
    product: Floats = np.matmul(x_NC.reshape(blocks, BLOCK, -1), weight).reshape(blocks * BLOCK, -1)[:rows]
    return product


def _softmax(score: Floats) -> Floats:
    weight = np.exp(score - score.max(-1, keepdims=True))
    normal: Floats = weight / weight.sum(-1, keepdims=True)
    return normal


def _groups(length_R: Ints) -> list[tuple[slice, int]]:
    """Cut ascending lengths into runs of rows with the same padded length."""
    span_R = _round_up(length_R, SPAN)
    cuts = [0, *(np.flatnonzero(np.diff(span_R)) + 1).tolist(), len(span_R)]
    return [(slice(start, stop), int(span_R[start])) for start, stop in pairwise(cuts)]


def _round_up(value: Ints, step: int) -> Ints:
    return -(-value // step) * step
