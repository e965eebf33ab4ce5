"""An endpoint that honours, ignores or refuses what it is asked, as the name of the model says, in a process.

`sound` honours what a plain server does; `n-ignored+seed-refused` is `sound` but for that. A token is a word with
the space after it. Thought has 60 tokens; at low effort 20, at high 150. `GET /seen` counts requests by model.
"""

import contextlib
import hashlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SEEN: Counter[str] = Counter()
LOCK = threading.Lock()
TURN = itertools.count()
WORDS = (
    "a",
    "heron",
    "that",
    "sings",
    "under",
    "blue",
    "ice",
    "met",
    "seven",
    "quiet",
    "foxes",
    "at",
    "noon",
)
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
OPTIONS = json.loads(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else {}
EFFORTS = {"low": 20, "high": 150}
REFUSABLE = {
    "n": "n",
    "seed": "seed",
    "logprobs": "logprobs",
    "effort": "reasoning_effort",
    "kwargs": "chat_template_kwargs",
    "cap": "thinking_token_budget",
    "stop": "stop",
    "schema": "response_format",
}


class Refused(Exception):
    """A request that is not served: status and body."""


def refusal(switches: set[str], name: str, message: str = "") -> Refused:
    """A 400 about one field, in the shape that the switches say."""
    if "shape-detail" in switches:
        said = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
        return Refused(422, {"detail": [said]})
    if "shape-silent" in switches:
        return Refused(400, {"error": "bad request"})
    message = message or f"Unsupported parameter: '{name}' is not supported with this model."
    return Refused(400, {"error": {"message": message, "type": "invalid_request_error", "param": name}})


def refuse(body: dict, switches: set[str]) -> None:
    """Raise what the switches refuse."""
    for short, name in REFUSABLE.items():
        if f"{short}-refused" in switches and name in body:
            raise refusal(switches, name)
    if "cap-refused" in switches:
        for name in ("thinking_budget_tokens", "reasoning_budget_tokens"):
            if name in body:
                raise refusal(switches, name)
    if "max-completion" in switches and "max_tokens" in body:
        raise refusal(switches, "max_tokens", "Use 'max_completion_tokens' instead of 'max_tokens'.")
    if "greedy-refused" in switches and body.get("temperature") == 0:
        raise refusal(switches, "temperature", "temperature does not support 0 with this model")
    if "prefix-refused" in switches and body["messages"][-1]["role"] == "assistant":
        raise Refused(400, {"message": "the last message must come from the user"})
    if "key-missing" in switches:
        raise Refused(401, {"error": {"message": "no key", "type": "invalid_api_key"}})
    if "gone" in switches:
        raise Refused(404, {"error": {"message": "no such model", "code": "model_not_found"}})
    if "broken" in switches:
        raise Refused(500, {"error": {"message": "out of memory", "type": "server_error"}})


def thought(body: dict, switches: set[str], question: str) -> list[str]:
    """What is thought before the answer."""
    length = 60 if switches & {"think", "think-switch"} else 0
    if "effort-honoured" in switches and body.get("reasoning_effort"):
        length = EFFORTS[body["reasoning_effort"]]
    if "effort-once" in switches and body.get("reasoning_effort"):
        length = EFFORTS[body["reasoning_effort"]] if "sheep" in question else 60
    if "think-switch" in switches and not body.get("chat_template_kwargs", {}).get("enable_thinking", True):
        length = 0
    if "cap-honoured" in switches:
        length = min(length, body.get("thinking_token_budget", length))
    return [f"hm{at} " for at in range(length)]


def answer(body: dict, switches: set[str], index: int) -> list[str]:
    """The words of one copy."""
    messages = body["messages"]
    asked = next(m["content"] for m in reversed(messages) if m["role"] == "user")
    if body.get("response_format") and "schema-ignored" not in switches:
        schema = body["response_format"]["json_schema"]["schema"]
        return [json.dumps({name: rule["enum"][0] for name, rule in schema["properties"].items()})]
    if asked.startswith("Count"):
        noise = [f"turn{next(TURN)} "] if "greedy-noisy" in switches else []
        begun = messages[-1]["content"].split() if messages[-1]["role"] == "assistant" else []
        keeps = "prefix-ignored" not in switches
        said = [f"{word}, " for word in (NUMBERS[len(begun) :] if keeps else NUMBERS)]
        return [*([word + " " for word in begun] if "prefix-repeats" in switches else []), *noise, *said]
    if asked.startswith("Say hello"):
        return ["Hello ", "there, ", "my ", "friend."]
    if "End with" in asked:
        return ["The ", "answer ", "is ", "12."]
    seed = next(TURN) if "seed-ignored" in switches else 0 if "seed-dull" in switches else body.get("seed")
    place = 0 if switches & {"n-alike", "seed-dull"} else index
    digest = hashlib.blake2b(f"{seed} {place}".encode()).digest()
    return [WORDS[byte % len(WORDS)] + " " for byte in digest[:40]]


def choice(body: dict, switches: set[str], index: int) -> dict:
    """One copy, with `written` tokens in all, thought first."""
    question = body["messages"][-1]["content"]
    mind, said = thought(body, switches, question), answer(body, switches, index)
    for stop in body.get("stop", []) if "stop-ignored" not in switches else []:
        said = (
            [word + " " for word in "".join(said).partition(stop)[0].split()]
            if stop in "".join(said)
            else said
        )
    most = body.get("max_completion_tokens") or body.get("max_tokens") or 16
    most = 10_000 if "max-ignored" in switches else most
    cut = len(mind) + len(said) > most
    mind, said = mind[:most], said[: max(0, most - len(mind))]
    message: dict[str, object] = {"role": "assistant", "content": "".join(said)}
    if "inline" in switches and mind:
        message["content"] = f"<think>{''.join(mind)}</think>{message['content']}"
    elif "hidden" not in switches and mind:
        message["reasoning_content"] = "".join(mind)
    made = {"index": index, "message": message, "finish_reason": "length" if cut else "stop"}
    if body.get("logprobs") and "logprobs-ignored" not in switches:
        made["logprobs"] = {"content": [{"token": word, "logprob": -0.5} for word in (*mind, *said)]}
    return {**made, "thought": len(mind), "written": len(mind) + len(said)}


def reply(body: dict, switches: set[str]) -> dict:
    """A chat completion."""
    copies = 1 if "n-ignored" in switches else body.get("n", 1)
    choices = [choice(body, switches, index) for index in range(copies)]
    read = sum(4 + len(message["content"].split()) for message in body["messages"])
    counted = choices[:1] if "usage-one" in switches else choices
    usage = {
        "prompt_tokens": read,
        "completion_tokens": sum(one["written"] for one in counted),
        "completion_tokens_details": {"reasoning_tokens": sum(one["thought"] for one in counted)},
    }
    if "cached" in switches:
        usage["prompt_tokens_details"] = {"cached_tokens": read - 1}
    if "usage-zero" in switches:
        usage = {"prompt_tokens": 0, "completion_tokens": 0}
    for one in choices:
        del one["thought"], one["written"]
    made = {"object": "chat.completion", "model": body["model"], "choices": choices}
    return made if "usage-none" in switches else {**made, "usage": usage}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self) -> None:
        if self.path == "/seen":
            self.say(200, dict(SEEN))
        elif self.path == "/props" and OPTIONS.get("llama"):
            self.say(
                200, {"default_generation_settings": {"n_ctx": 2048, "params": {"top_k": 40, "min_p": 0.05}}}
            )
        elif self.path != "/v1/models" or OPTIONS.get("no_list"):
            self.say(404, {"error": {"message": f"no such path {self.path}"}})
        elif self.key_is_right():
            owner = "llamacpp" if OPTIONS.get("llama") else "somebody"
            listed = OPTIONS.get("models", ["sound"])
            rows = [one if isinstance(one, dict) else {"id": one, "owned_by": owner} for one in listed]
            self.say(200, {"object": "list", "data": rows})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.key_is_right():
            return
        switches = set(body["model"].split("+"))
        with LOCK:
            SEEN[body["model"]] += 1
            first = SEEN[body["model"]] == 1
        if "slow" in switches:
            time.sleep(0.4)
        if "limited" in switches and first:
            self.say(
                429, {"error": {"message": "slow down", "type": "rate_limit_error"}}, {"Retry-After": "0.01"}
            )
            return
        try:
            refuse(body, switches)
            self.say(200, reply(body, switches))
        except Refused as error:
            self.say(*error.args, {"Retry-After": "0.01"})

    def key_is_right(self) -> bool:
        """Say 401 where it is not, with the key in it, as some servers do."""
        sent = self.headers.get("Authorization", "")
        if not OPTIONS.get("key") or sent == f"Bearer {OPTIONS['key']}":
            return True
        self.say(
            401, {"error": {"message": f"Incorrect API key provided: {sent}", "type": "invalid_api_key"}}
        )
        return False

    def say(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        for name, said in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, said)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(**options: object) -> Iterator[str]:
    """Run the server as a process; gives its base URL. Options: `key`, `models` (listed), `llama`, `no_list`."""
    command = [sys.executable, str(Path(__file__)), json.dumps(options)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


if __name__ == "__main__":
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{running.server_port}\n")
    sys.stdout.flush()
    running.serve_forever()
