"""The models of a run, and those that an endpoint offers."""

import json
from collections.abc import Sequence
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.markup import escape

from outlay.cli.console import out, table
from outlay.errors import UpstreamError
from outlay.types import NANO, Arm


def show(arms: Sequence[Arm], *, as_json: bool) -> int:
    """Print each way in which a model would be asked."""
    if as_json:
        print(json.dumps([_row(arm) for arm in arms]))
        return 0
    made = table("name", "answers by", "mode", "temperature", "at most", "$/Mtok in", "out", right="defg")
    for arm in arms:
        by = "the package" if arm.engine == "pocket" else f"{arm.model} at {arm.engine}"
        prices = (_price(arm.price.input), _price(arm.price.output))
        made.add_row(
            escape(arm.name),
            escape(by),
            escape(arm.mode),
            f"{arm.temperature:g}",
            f"{arm.max_tokens:,} tok",
            *prices,
        )
    console = out()
    console.print(made)
    console.print(
        "[dim]Cheap to dear, as --models takes them. A price that is not known is never read as free.[/]"
    )
    return 0


def show_served(url: str, key: str, *, as_json: bool) -> int:
    """Print the names that an endpoint offers.

    Raises:
        UpstreamError: It cannot be reached, or refuses the key.
    """
    names = served(url, key)
    if as_json:
        print(json.dumps([{"name": name} for name in names]))
        return 0
    console = out()
    for name in names:
        console.print(escape(name))
    console.print(
        f"\n[dim]{len(names)} models at {escape(url)}; name those to use, cheap to dear: --models A,B[/]"
    )
    return 0


def served(url: str, key: str) -> list[str]:
    """Names of the models of an endpoint, in its own order.

    Raises:
        UpstreamError: It cannot be reached, refuses the key, or lists nothing that can be read.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urlopen(Request(f"{url.rstrip('/')}/models", headers=headers), timeout=20) as reply:
            return [str(one["id"]) for one in json.load(reply)["data"]]
    except HTTPError as error:
        remedy = "check OPENAI_API_KEY" if error.code in (401, 403) else "name models with --models"
        raise UpstreamError(f"{url} answers {error.code} when asked for its models; {remedy}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UpstreamError(f"{url} cannot be reached: {reason}; is OPENAI_BASE_URL right?") from None
    except (ValueError, LookupError, TypeError):
        raise UpstreamError(f"{url} lists no models in OpenAI's form; name them with --models") from None


def _price(nano: int | None) -> str:
    return "unknown" if nano is None else f"{nano / NANO:g}"


def _row(arm: Arm) -> dict[str, object]:
    row = {"name": arm.name, "model": arm.model, "engine": arm.engine, "mode": arm.mode}
    return {
        **row,
        "temperature": arm.temperature,
        "max_tokens": arm.max_tokens,
        "price_in": _dollars(arm.price.input),
        "price_out": _dollars(arm.price.output),
    }


def _dollars(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO
