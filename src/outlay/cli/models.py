"""`outlay models`: who would answer, and at what price."""

import argparse

from outlay.cli import options as shared

HELP = "list the models that would answer, and their prices"
USAGE = "[options]"
ABOUT = """\
List the models that would answer: those of the config file, of the endpoint in OPENAI_BASE_URL, or
the one in the package. Asks the endpoint for its list; spends nothing."""
EXAMPLES = """\
examples:
  outlay models
  outlay models --config outlay.toml

a config file, cheap to dear; flags go before it:
  budget = ["2usd", "10min"]      # also check, answer, strategy, policy, seed, abstain, on_crash, …
  prices = "table"                # `outlay prices` count for every endpoint; or a FILE of prices
  [[model]]
  name = "small"                  # also model, max_tokens
  price_in = 0.15                 # dollars per million tokens; also price_cached
  price_out = 0.60
  [[model]]
  name = "big"
  temperature = [0, 0.5, 1]       # each is a way to ask; 0 is greedy
  mode = "think"                  # an effort, or what fields or modes say how to ask for
  fields = {chat_template_kwargs = {enable_thinking = true}}
  endpoint = "other"              # without it, the one in OPENAI_BASE_URL
  [[judge]]                       # looks at answers; a [[model]] otherwise
  name = "big-judge"
  model = "big"
  endpoint = "other"
  [[endpoint]]
  name = "other"
  url = "http://localhost:8000/v1"
  key_env = "OTHER_KEY"           # the variable that holds the key
  extra = {top_k = 0}             # fields added to every request; also modes, concurrency, rpm, tpm
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.add_models(parser)
    shared.end(shared.output(parser), "the list")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from os import environ

    from outlay.api import BASE_URL
    from outlay.cli.lineup import show
    from outlay.cli.options import settings_from
    from outlay.cli.roster import show_served
    from outlay.config import arms_for, is_address
    from outlay.errors import UsageError

    settings = settings_from(args)
    if not settings.models and not settings.pick and BASE_URL in environ:
        if not is_address(environ[BASE_URL]):
            raise UsageError(
                f"{BASE_URL} is no address of an endpoint; write it like http://localhost:8000/v1"
            )
        return show_served(environ[BASE_URL], environ.get("OPENAI_API_KEY", ""), as_json=args.json)
    return show(arms_for(settings, endpoint=BASE_URL in environ), settings, environ, as_json=args.json)
