"""The models that an endpoint lists, and what it tells about them and itself."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from outlay.engines.http.asking import Line
from outlay.engines.http.chat import LLAMA_PLAIN
from outlay.errors import UpstreamError
from outlay.types import MILLION, NANO, NOTHING, Price

LLAMA = "llama.cpp"


class Listed(NamedTuple):
    """One model as the endpoint lists it.

    Attributes:
        name: What requests call it.
        server: The program that serves it, where it can be told; else empty.
        context: Tokens that prompt and answer may have together; 0 where it is not told.
        parameters: Size of the model in parameters; 0 where it is not told.
        price: In nano-dollars per million tokens, where it is listed.
    """

    name: str
    server: str = ""
    context: int = 0
    parameters: int = 0
    price: Price = Price()


async def served(line: Line) -> list[Listed]:
    """The models of an endpoint, in its own order.

    Raises:
        UpstreamError: It cannot be reached, refuses the key, or lists nothing that can be read.
    """
    try:
        status, _, raw = await line.get("/models")
    except (TimeoutError, ConnectionError) as error:
        why = str(error) or "no answer"
        raise UpstreamError(f"{line.shown} cannot be reached: {why}; is {line.url_env} right?") from None
    if status != 200:
        remedy = f"check {line.key_env}" if status in (401, 403) else "name models with --models"
        raise UpstreamError(f"{line.shown} answers {status} when asked for its models; {remedy}")
    try:
        return [_listed(one) for one in msgspec.json.decode(raw)["data"]]
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError, AttributeError):
        raise UpstreamError(
            f"{line.shown} lists no models in OpenAI's form; name them with --models"
        ) from None


class Llama(NamedTuple):
    """What llama.cpp's server tells beside the API; 0 where it does not.

    Attributes:
        context: Tokens of prompt and answer together, of one slot.
        sampler: What it samples with unless a request says otherwise, as far as it cuts the distribution.
    """

    context: int = 0
    sampler: Mapping[str, float] = NOTHING


async def llama(line: Line) -> Llama:
    """Ask llama.cpp's server for its properties."""
    try:
        status, _, raw = await line.get(f"{line.url.removesuffix('/v1')}/props")
        told = msgspec.json.decode(raw)["default_generation_settings"] if status == 200 else {}
        params = told.get("params", told)
        sampler = {name: params[name] for name in LLAMA_PLAIN if isinstance(params.get(name), int | float)}
        return Llama(_count(told.get("n_ctx")), sampler)
    except (
        OSError,
        UpstreamError,
        msgspec.DecodeError,
        UnicodeDecodeError,
        LookupError,
        TypeError,
        AttributeError,
    ):
        return Llama()


def _listed(one: dict[str, Any]) -> Listed:
    meta = one.get("meta") if isinstance(one.get("meta"), dict) else {}
    assert isinstance(meta, dict)
    owner = str(one.get("owned_by", "")).lower()
    server = {"llamacpp": LLAMA, "vllm": "vLLM", "sglang": "SGLang"}.get(owner, "")
    context = next((_count(one[k]) for k in ("max_model_len", "context_length") if k in one), 0)
    return Listed(str(one["id"]), server, context, _count(meta.get("n_params")), _price(one.get("pricing")))


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _price(told: object) -> Price:
    """Dollars per token, as some endpoints list them."""
    if not isinstance(told, dict):
        return Price()
    try:
        sides = [float(told[side]) for side in ("prompt", "completion")]
    except (LookupError, TypeError, ValueError):
        return Price()
    if not all(0 <= side < 1 for side in sides):
        return Price()
    return Price(*(round(side * NANO * MILLION) for side in sides))
