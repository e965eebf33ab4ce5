"""An endpoint that speaks the OpenAI chat API and misbehaves on demand, in a process of its own.

The name of the model says how: `NAME` or `NAME:K`, where only the first K requests for that very name misbehave; a
field `fault` in the body overrides it, and `cli-` before a name only makes another name of it. A text is a function of
(seed, index among n). A token is a word with the space after it. `GET /seen/MODEL` lists the requests for a model.

`openai_server.py LOG` also writes one JSON line an event to the file LOG: `{"id", "event", "model", "seed", "n",
"prompt", …}`. The event is `asked` as a request comes in, `served` once a sound or unsound 200 is out in full (with the
tokens that it claims), `fault` for all else. `id` counts requests and is also sent as `x-request-id`.
"""

import contextlib
import hashlib
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SEEN: dict[str, list[dict]] = defaultdict(list)
LOCK = threading.Lock()
IDS = itertools.count(1)
LOG: list[int] = []
"""The file descriptor of the log, if there is one."""
WORDS = ("so", "then", "answer", "is", "forty", "two", "because", "of", "the", "rule")


def choice(body: dict, index: int) -> dict:
    """One copy: 3 to 12 words, cut at the cap."""
    digest = hashlib.blake2b(f"{body.get('seed')} {index}".encode()).digest()
    words = [WORDS[byte % len(WORDS)] + " " for byte in digest[: 3 + digest[20] % 10]]
    most = body.get("max_tokens") or body.get("max_completion_tokens") or 16
    made = {
        "index": index,
        "message": {"role": "assistant", "content": "".join(words[:most])},
        "finish_reason": "length" if len(words) > most else "stop",
    }
    if body.get("logprobs"):
        made["logprobs"] = {"content": [{"token": w, "logprob": -len(w) / 10} for w in words[:most]]}
    return made


def reply(body: dict, copies: int) -> dict:
    """A sound answer, with true usage."""
    choices = [choice(body, index) for index in range(copies)]
    written = sum(len(one["message"]["content"].split()) for one in choices)
    read = sum(4 + len(message["content"].split()) for message in body["messages"])
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {"object": "chat.completion", "model": body["model"], "choices": choices, "usage": usage}


def long(body: dict, copies: int, tokens: int) -> dict:
    """An answer of so many tokens a copy, whatever was asked for, with true usage."""
    made = reply({**body, "max_tokens": 16}, copies)
    for one in made["choices"]:
        words = [WORDS[at % len(WORDS)] + " " for at in range(tokens)]
        one["message"]["content"], one["finish_reason"] = "".join(words), "stop"
        if "logprobs" in one:
            one["logprobs"] = {"content": [{"token": word, "logprob": -0.1} for word in words]}
    made["usage"]["completion_tokens"] = tokens * copies
    return made


def note(event: str, number: int, body: dict, **more: object) -> None:
    """One line of the log; short lines are appended whole."""
    if LOG:
        about = {name: body.get(name) for name in ("model", "seed", "n")}
        prompt = str(body["messages"][-1]["content"])[:100]
        line = {"id": number, "event": event, **about, "prompt": prompt, **more}
        os.write(LOG[0], json.dumps(line).encode() + b"\n")


def fault(message: str, kind: str, **other: object) -> dict:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None, **other}}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with LOCK:
            seen = list(SEEN[self.path.removeprefix("/seen/")])
        self.say(200, seen)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.number = next(IDS)
        note("asked", self.number, body)
        name, _, times = str(body.get("fault") or body["model"]).removeprefix("cli-").partition(":")
        with LOCK:
            SEEN[body["model"]].append(body)
            sick = not times or len(SEEN[body["model"]]) <= int(times)
        if self.path != "/v1/chat/completions":
            self.say(404, fault(f"no such path {self.path}", "invalid_request_error"))
        else:
            self.status, self.claimed = 0, None
            getattr(self, name.replace("-", "_") if sick else "sound")(body)
            self.wfile.flush()
            done = self.status == 200 and self.claimed is not None
            note("served" if done else "fault", self.number, body, status=self.status, usage=self.claimed)

    def sound(self, body: dict) -> None:
        self.say(200, reply(body, body.get("n", 1)))

    def one_choice_counted(self, body: dict) -> None:
        made = reply(body, body.get("n", 1))
        made["usage"]["completion_tokens"] = len(made["choices"][0]["message"]["content"].split())
        self.say(200, made)

    def one_choice_counted_no_logprobs(self, body: dict) -> None:
        self.one_choice_counted({**body, "logprobs": False})

    def no_usage(self, body: dict) -> None:
        made = reply(body, body.get("n", 1))
        del made["usage"]
        self.say(200, made)

    def no_usage_no_logprobs(self, body: dict) -> None:
        self.no_usage({**body, "logprobs": False})

    def zero_usage(self, body: dict) -> None:
        made = reply({**body, "logprobs": False}, body.get("n", 1))
        made["usage"] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        self.say(200, made)

    def details(self, body: dict) -> None:
        made = reply({**body, "logprobs": False}, 1)
        made["choices"][0]["message"]["reasoning_content"] = "let me think"
        made["usage"] = {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 40},
        }
        self.say(200, made)

    def refusal(self, body: dict) -> None:
        made = reply(body, 1)
        made["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "I will not."}
        self.say(200, made)

    def n_ignored(self, body: dict) -> None:
        self.say(200, reply(body, 1))

    def n_at_most_two(self, body: dict) -> None:
        self.say(200, reply(body, min(2, body.get("n", 1))))

    def too_many(self, body: dict) -> None:
        self.say(200, reply(body, body.get("n", 1) + 1))

    def limited(self, body: dict) -> None:
        self.say(429, fault("slow down", "rate_limit_error"), {"Retry-After": "0.2"})

    def limited_until(self, body: dict) -> None:
        # A date has whole seconds.
        self.say(
            429,
            fault("slow down", "rate_limit_error"),
            {"Retry-After": formatdate(time.time() + 1, usegmt=True)},  # noqa: TID251 (a server has a clock)
        )

    def limited_long(self, body: dict) -> None:
        self.say(429, fault("come back tomorrow", "rate_limit_error"), {"Retry-After": "86400"})

    def limited_silently(self, body: dict) -> None:
        self.say(429, fault("slow down", "rate_limit_error"))

    def out_of_credit(self, body: dict) -> None:
        self.say(429, fault("you exceeded your quota", "insufficient_quota", code="insufficient_quota"))

    def broken(self, body: dict) -> None:
        self.say(500, fault("internal", "server_error"))

    def broken_with_usage(self, body: dict) -> None:
        self.say(
            500, {**fault("internal", "server_error"), "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
        )

    def overloaded(self, body: dict) -> None:
        self.say(503, fault("overloaded", "server_error"))

    def bad_gateway(self, body: dict) -> None:
        self.send(502, b"<html><body>Bad Gateway</body></html>", {"Content-Type": "text/html"})

    def malformed(self, body: dict) -> None:
        self.send(200, json.dumps(reply(body, body.get("n", 1))).encode()[:-40])

    def error_in_200(self, body: dict) -> None:
        self.say(200, fault("upstream provider failed", "server_error"))

    def reset(self, body: dict) -> None:
        raw = json.dumps(reply(body, body.get("n", 1))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2])
        self.wfile.flush()
        # Lingering for no time sends a reset instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def stall(self, body: dict) -> None:
        time.sleep(2)
        self.close_connection = True

    def closes(self, body: dict) -> None:
        """An orderly end where an answer was due."""
        self.close_connection = True

    def cut(self, body: dict) -> None:
        """Half a body, then an orderly end."""
        self.begin(body)
        self.close_connection = True

    def stall_in_body(self, body: dict) -> None:
        """Half a body, then silence."""
        self.begin(body)
        time.sleep(60)
        self.close_connection = True

    def drip(self, body: dict) -> None:
        """A byte now and then, never silent for long."""
        raw = json.dumps(reply(body, body.get("n", 1))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with contextlib.suppress(OSError):
            for at in range(len(raw)):
                self.wfile.write(raw[at : at + 1])
                self.wfile.flush()
                time.sleep(0.15)

    def blank_while_it_computes(self, body: dict) -> None:
        """Headers and empty lines long before the answer, as some providers keep a connection open."""
        raw = json.dumps(reply(body, body.get("n", 1))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw) + 8))
        self.end_headers()
        for _ in range(8):
            self.wfile.write(b"\n")
            self.wfile.flush()
            time.sleep(0.1)
        self.wfile.write(raw)

    def begin(self, body: dict) -> None:
        raw = json.dumps(reply(body, body.get("n", 1))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2])
        self.wfile.flush()

    def cap_ignored(self, body: dict) -> None:
        """`max_tokens` ignored: three times as much, all billed."""
        self.say(200, long(body, body.get("n", 1), 3 * body.get("max_tokens", 16)))

    def truncated(self, body: dict) -> None:
        made = long(body, body.get("n", 1), body.get("max_tokens", 16))
        for one in made["choices"]:
            one["finish_reason"] = "length"
        self.say(200, made)

    def effort_ignored(self, body: dict) -> None:
        """Thinks without end, whatever `reasoning_effort` and `max_tokens` say, shows nothing of it, and bills it."""
        made = reply({**body, "logprobs": False}, body.get("n", 1))
        thought = 4 * body.get("max_tokens", 16)
        made["usage"]["completion_tokens"] += thought
        made["usage"]["completion_tokens_details"] = {"reasoning_tokens": thought}
        self.say(200, made)

    def only_thoughts(self, body: dict) -> None:
        """The cap is used up by thinking: no text."""
        most = body.get("max_tokens", 16)
        made = reply({**body, "logprobs": False}, body.get("n", 1))
        for one in made["choices"]:
            one["message"] = {"role": "assistant", "content": "", "reasoning_content": "hmm " * most}
            one["finish_reason"] = "length"
        made["usage"]["completion_tokens"] = most * len(made["choices"])
        self.say(200, made)

    def far_too_few(self, body: dict) -> None:
        """A megabyte of text, said to be seven tokens."""
        made = long({**body, "logprobs": False}, 1, 200_000)
        made["usage"]["completion_tokens"] = 7
        self.say(200, made)

    def usage_as_text(self, body: dict) -> None:
        self.miscounted(body, str)

    def usage_as_fraction(self, body: dict) -> None:
        self.miscounted(body, lambda count: count + 0.5)

    def usage_as_null(self, body: dict) -> None:
        self.miscounted(body, lambda count: None)

    def miscounted(self, body: dict, wrong: Callable[[int], object]) -> None:
        made = reply({**body, "logprobs": False}, body.get("n", 1))
        made["usage"] = {name: wrong(count) for name, count in made["usage"].items()}
        self.say(200, made)

    def filtered_midway(self, body: dict) -> None:
        made = reply(body, body.get("n", 1))
        for one in made["choices"]:
            one["finish_reason"] = "content_filter"
        self.say(200, made)

    def near_its_limit(self, body: dict) -> None:
        """Twice as many requests a second as it says are left."""
        headers = {
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "60s",
        }
        self.say(200, reply(body, body.get("n", 1)), headers)

    def overflow(self, body: dict) -> None:
        about = {"n_prompt_tokens": 9000, "n_ctx": 4096}
        self.say(
            400, fault("the request exceeds the available context size", "exceed_context_size_error", **about)
        )

    def filtered(self, body: dict) -> None:
        self.say(
            400, fault("the prompt triggered the filter", "invalid_request_error", code="content_filter")
        )

    def wants_completion_tokens(self, body: dict) -> None:
        self.without(body, "max_tokens", "Use 'max_completion_tokens' instead.")

    def knows_no_logprobs(self, body: dict) -> None:
        self.without(body, "logprobs")

    def knows_no_n(self, body: dict) -> None:
        self.without(body, "n")

    def max_tokens_too_large(self, body: dict) -> None:
        self.say(400, fault("max_tokens is too large", "invalid_request_error", param="max_tokens"))

    def repeats_the_key(self, body: dict) -> None:
        self.say(
            401, fault(f"Incorrect API key provided: {self.headers['Authorization']}", "invalid_api_key")
        )

    def forbidden(self, body: dict) -> None:
        self.say(403, fault("not for you", "permission_error"))

    def repeats_the_key_in_400(self, body: dict) -> None:
        self.say(400, fault(f"what is {self.headers['Authorization']}?", "invalid_request_error"))

    def repeats_the_key_late(self, body: dict) -> None:
        """So that it stands where a long message is cut."""
        self.say(400, fault("x" * 285 + self.headers["Authorization"], "invalid_request_error"))

    def reads_more_than_it_was_given(self, body: dict) -> None:
        """A system prompt of its own, which is billed."""
        made = reply(body, body.get("n", 1))
        made["usage"]["prompt_tokens"] += 3_000
        self.say(200, made)

    def unknown_model(self, body: dict) -> None:
        self.say(404, fault("no such model", "invalid_request_error", code="model_not_found"))

    def elsewhere(self, body: dict) -> None:
        self.send(307, b"", {"Location": "http://127.0.0.1:9/v1/chat/completions"})

    def repeats_the_prefix(self, body: dict) -> None:
        made = reply(body, 1)
        made["choices"][0]["message"]["content"] = (
            body["messages"][-1]["content"] + made["choices"][0]["message"]["content"]
        )
        self.say(200, made)

    def slow(self, body: dict) -> None:
        time.sleep(0.1)
        self.sound(body)

    def without(self, body: dict, name: str, hint: str = "") -> None:
        if name in body:
            message = f"Unsupported parameter: '{name}' is not supported with this model. {hint}"
            self.say(400, fault(message, "invalid_request_error", param=name, code="unsupported_parameter"))
        else:
            self.sound(body)

    def say(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        if status == 200 and isinstance(value, dict) and "choices" in value:
            self.claimed = value.get("usage", {})
        self.send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send(self, status: int, raw: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def send_response(self, code: int, message: str | None = None) -> None:
        super().send_response(code, message)
        self.status = code
        if self.command == "POST":
            self.send_header("x-request-id", f"req-{self.number}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(log: Path | None = None) -> Iterator[str]:
    """Run the server as a process; gives its base URL."""
    command = [sys.executable, str(Path(__file__)), *([str(log)] if log else [])]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


class Server(ThreadingHTTPServer):
    """Many calls at once."""

    request_queue_size = 128


if __name__ == "__main__":
    if len(sys.argv) > 1:
        LOG.append(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    running = Server(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{running.server_port}\n")
    sys.stdout.flush()
    running.serve_forever()
