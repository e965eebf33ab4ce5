"""Which protections hold on this machine, found by trying to get past each from where an answer runs."""

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from outlay.engines.checker.kinds import Limits, spec_of
from outlay.engines.checker.process import Worker
from outlay.types import Prompt


class Protection(NamedTuple):
    """One of them.

    Attributes:
        name: What is kept from an answer.
        holds: Whether the attempt failed.
        otherwise: What an answer that means harm could do where it does not hold.
    """

    name: str
    holds: bool
    otherwise: str


_REFUSED: Final = ("PermissionError", "OSError", "FileNotFoundError", "ProcessLookupError")


class _Probe(NamedTuple):
    name: str
    code: str
    otherwise: str
    by: tuple[str, ...] = _REFUSED  # how the words begin that say that it was stopped
    linux: bool = False  # elsewhere the attempt proves nothing


_LIMITS: Final = Limits(timeout_s=5, cpu_s=1, memory_mb=512, file_mb=4, files=100, processes=8, output_kb=64)

_PROBES: Final = (
    _Probe(
        "network",
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)\n",
        "it can send what it reads to others; run outlay in a container without a network",
    ),
    _Probe(
        "network other than TCP",
        "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))\n",
        "it can send what it reads to others, say in names that it looks up",
    ),
    _Probe(
        "environment and memory of other processes",
        "open('/proc/{pid}/environ', 'rb').read()\n",
        "it can read keys; run outlay as a user of its own, with keys in nothing but its environment",
        linux=True,
    ),
    _Probe("signals to other processes", "import os\nos.kill({pid}, 0)\n", "it can end your processes"),
    _Probe(
        "files outside its folder: writing",
        "open({path!r}, 'a').write('x')\n",
        "it can change and delete what you can; run outlay as a user of its own",
    ),
    _Probe(
        "files outside its folder: reading (kind tests)",
        "open({path!r}).read()\n",
        "it can read what you can, and what it prints goes back to a model with revise",
    ),
    _Probe("memory", "x = bytearray(1 << 30)\n", "it can fill the memory", ("needed more memory",)),
    _Probe(
        "size of files",
        "for k in range(64):\n open(str(k), 'wb').write(bytes(1 << 20))\nimport time; time.sleep(1)\n",
        "it can fill the disk",
        ("OSError", "wrote more than"),
    ),
    _Probe(
        "number of files",
        "for k in range(500):\n open(str(k), 'w').close()\nimport time; time.sleep(1)\n",
        "it can fill the disk's table of files",
        ("OSError", "made more than"),
    ),
    _Probe(
        "number of processes",
        "import os, time\nfor k in range(40):\n if os.fork() == 0:\n  time.sleep(9); os._exit(0)\ntime.sleep(1)\n",
        "a fork bomb slows the machine until the time limit",
        ("BlockingIOError", "started more than"),
    ),
    _Probe("output", "while True: print('x' * 9999)\n", "it can fill a pipe", ("printed more than",)),
)


def in_force(without: Sequence[str] = ()) -> tuple[Protection, ...]:
    """Try each protection of `tests` and `command` in the process that an answer would get; takes half a second.

    Args:
        without: Walls that are left out, as for `Checker`.

    Raises:
        CheckError: Nothing can be run here at all.
    """
    worker = Worker(spec_of("tests:probe"), _LIMITS, without)
    with _outside() as values:
        with worker:
            takes = worker.started().takes
            requests = []
            for probe in _PROBES:
                code = probe.code.format(**values)
                prompt = Prompt("probe", (), metadata={"probe": code})
                row = {"id": prompt.id, "messages": (), "answer": "code", "worth": 1.0}
                given = {"answer": "", "prompt": {**row, "metadata": {"probe": code}}}
                requests.append({name: given[name] for name in takes})
            said = worker.ask(requests)
        worker.stop()
    return tuple(
        Protection(
            probe.name,
            one.passed is False
            and one.message.startswith(probe.by)
            and (not probe.linux or sys.platform == "linux"),
            probe.otherwise,
        )
        for probe, one in zip(_PROBES, said, strict=True)
    )


@contextlib.contextmanager
def _outside() -> Iterator[dict[str, object]]:
    """A process, a port and a file that an answer must not reach."""
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder) / "outside"
        path.write_text("outside")
        path.chmod(0o666)
        yield {"port": server.getsockname()[1], "pid": os.getpid(), "path": str(path)}
