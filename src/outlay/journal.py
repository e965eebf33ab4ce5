"""What happened, durable: the one truth, from which answers and receipts are exported.

One SQLite file in WAL mode with `synchronous=NORMAL`: what was committed survives a killed process; a power cut may
lose the last moments. Lines are only ever appended, many in one transaction.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, final

import msgspec

from outlay.errors import ResumeError
from outlay.types import NOTHING

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lines (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL);
"""

ENDPOINTS = "endpoints"
"""The part of a fingerprint that is noted and may differ: a local server gets another port each time it is started."""

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


class JournalLine(NamedTuple):
    """`kind` is `step`, `sent`, `learn`, `done`, `answer` or `topup`; `key` that of a call or prompt; `body` JSON."""

    kind: str
    key: str
    body: bytes


@final
class Journal:
    """One run's journal; `path` may be `:memory:`."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self._lock: IO[bytes] | None = None
        with self._told():
            if self.path != ":memory:":
                with suppress(OSError):  # what is wrong with the path, the database tells
                    private(Path(path))  # SQLite gives its other files the mode of the first
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database says, in our words: a full disk, a file that is no journal or may not be written."""
        try:
            yield
        except sqlite3.Error as error:
            raise ResumeError(
                f"{self.path} cannot be used as a journal ({error}); mend that and give the same command to go on, "
                "or give another directory with -o to start anew"
            ) from None

    def identify(self, fingerprint: Mapping[str, str], apart: str = "") -> bool:
        """Bind the journal to a run, and to this process until it is closed; True where it already holds a run.

        A journal of a run that has sent nothing yet holds nothing that could be lost, and is begun anew. If nothing
        but the part `apart` differs, it stays as it is, and whoever asks for it looks at it (`part`).

        Raises:
            ResumeError: It holds another run, and what differs; or another process is at work on it.
        """
        self.claim()
        with self._told():
            known = dict(self._db.execute("SELECT key, value FROM meta"))
            if not known or (known != fingerprint and self._holds_nothing()):
                with self._db:
                    self._db.execute("BEGIN")
                    if known:
                        self._db.execute("DELETE FROM meta")
                        self._db.execute("DELETE FROM lines")
                    self._db.executemany("INSERT INTO meta VALUES (?, ?)", list(fingerprint.items()))
                return False
        changed = sorted(
            key for key in {*known, *fingerprint} - {ENDPOINTS} if known.get(key) != fingerprint.get(key)
        )
        if changed not in ([], [apart]):
            if "input" in changed:  # which checks apply is kept by prompt
                changed = [key for key in changed if key != "checks"]
            what = "; ".join(
                f"{key} was {_short(known.get(key))}, now {_short(fingerprint.get(key))}" for key in changed
            )
            raise ResumeError(
                f"{self.path} belongs to another run ({what}); give the same command to resume it, or another "
                "directory with -o to start anew"
            )
        return True

    def _holds_nothing(self) -> bool:
        """Whether nothing came back and nothing was sent to an endpoint: what was bought costs nothing before that."""
        found = self._db.execute("SELECT 1 FROM lines WHERE kind IN ('done', 'sent') LIMIT 1")
        return found.fetchone() is None

    def claim(self) -> None:
        """Two processes would each spend the whole budget. The lock ends with its process, however that ends."""
        if self.path == ":memory:" or self._lock is not None:
            return
        private(Path(f"{self.path}-lock"))
        lock = Path(f"{self.path}-lock").open("wb")  # noqa: SIM115 (it is held until `close`)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ResumeError(
                f"another process is at work on {self.path}; wait until it ends, or give another directory with -o"
            ) from None
        self._lock = lock

    def part(self, key: str) -> str:
        """One part of the fingerprint that it is bound to."""
        with self._told():
            ((value,),) = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,))
        return str(value)

    def append(self, lines: Iterable[JournalLine], now: Mapping[str, str] = NOTHING) -> None:
        """Append all in one transaction; `now` are parts of the fingerprint that change with it."""
        rows = list(lines)
        if not (rows or now):
            return
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT INTO lines (kind, key, body) VALUES (?, ?, ?)", rows)
                self._db.executemany(
                    "UPDATE meta SET value = ? WHERE key = ?", [(v, k) for k, v in now.items()]
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    def read(self, kind: str = "") -> Iterator[JournalLine]:
        """All lines in order, or those of one kind."""
        where, values = (" WHERE kind = ?", (kind,)) if kind else ("", ())
        with self._told():
            for row in self._db.execute(f"SELECT kind, key, body FROM lines{where} ORDER BY seq", values):
                yield JournalLine(*row)

    @contextmanager
    def understood(self, number: int, line: JournalLine) -> Iterator[None]:
        """While a line is read: what is wrong with it, in our words."""
        try:
            yield
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, ResumeError) as error:
            raise ResumeError(
                f"{self.path}: line {number}, {line.kind} {line.key!r}, is damaged ({error}); what it settled is not "
                "known, so the run cannot go on; its answers so far are in answers.jsonl, and another directory with "
                "-o starts anew"
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _short(value: str | None) -> str:
    text = "absent" if value is None else value
    return text if len(text) <= 60 else text[:57] + "..."


def private(path: Path) -> None:
    """A file that nobody else may read: prompts and answers are the user's. One that is there keeps its content."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def export(journal: Journal, answers: Path, only: Collection[str] | None = None) -> int:
    """Write the answer rows of a journal to a file, replacing it whole, or `only` those of some prompts; the last row
    of a prompt counts. Returns how many.
    """
    last = {line.key: place for place, line in enumerate(journal.read("answer"))}
    part = answers.with_suffix(".part")
    private(part)
    count = 0
    with part.open("wb") as out:
        for place, line in enumerate(journal.read("answer")):
            if last[line.key] == place and (only is None or line.key in only):
                out.write(line.body + b"\n")
                count += 1
    part.replace(answers)
    return count


def _of(directory: Path) -> Journal:
    """The journal in a run directory."""
    path = directory / "journal.db"
    if not path.exists():
        raise ResumeError(
            f"{directory} is no run directory: it has no journal.db; give the directory of a run"
        )
    return Journal(path)


def noted(directory: Path, key: str) -> str:
    """One part of the fingerprint of the run in a directory; empty where there is no run, or it has no such part. What
    is wrong with the file, the run says that uses it.
    """
    path = directory / "journal.db"
    if not path.is_file():
        return ""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db,
    ):
        for (value,) in db.execute("SELECT value FROM meta WHERE key = ?", (key,)):
            return str(value)
    return ""


def receipt(directory: Path, prompt_id: str) -> dict[str, Any] | None:
    """The answer row of one prompt in a run directory, receipt included; None where it has none."""
    journal = _of(directory)
    try:
        rows = [line.body for line in journal.read("answer") if line.key == prompt_id]
    finally:
        journal.close()
    return json.loads(rows[-1]) if rows else None


FILES = ("answers.jsonl", "answers.part", "errors.jsonl")
"""What a run keeps beside its journal."""


def forget(directory: Path) -> tuple[Path, ...]:
    """Delete the files of a run, and the directory if nothing else is in it; which files there were.

    Raises:
        ResumeError: It is no run directory, or a process is at work on it.
    """
    journal = _of(directory)
    try:
        journal.claim()
    finally:
        journal.close()
    names = (*FILES, "journal.db-wal", "journal.db-shm", "journal.db-lock", "journal.db")
    gone = tuple(directory / name for name in names if (directory / name).exists())
    # The journal last: what is left of a deletion that was cut short is still a run directory.
    for file in gone:
        file.unlink()
    if not any(directory.iterdir()):
        directory.rmdir()
    return gone
