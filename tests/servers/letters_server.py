"""The endpoint of the examples, in a process of its own: its models, `small` and `big`, answer with the letter B."""

import runpy
import sys
from pathlib import Path

BASE = runpy.run_path(str(Path(__file__).with_name("openai_server.py")), run_name="openai_server")


class Handler(BASE["Handler"]):
    """One connection."""

    def small(self, body: dict) -> None:
        made = BASE["reply"]({**body, "logprobs": False}, body.get("n", 1))
        for choice in made["choices"]:
            choice["message"]["content"] = "The answer is B."
        self.say(200, made)

    big = small


if __name__ == "__main__":
    running = BASE["Server"](("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{running.server_port}\n")
    sys.stdout.flush()
    running.serve_forever()
