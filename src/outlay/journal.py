"""What happened, durable: the one truth, from which answers and receipts are exported.

One SQLite file in WAL mode with `synchronous=NORMAL`: what was committed survives a killed process; a power cut may
lose the last moments. Lines are only ever appended, many in one transaction.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, final

import msgspec

from outlay.errors import ResumeError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lines (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL);
"""

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


class JournalLine(NamedTuple):
    """`kind` is `step`, `learn`, `done` or `answer`; `key` that of a call or prompt; `body` JSON."""

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

    def identify(self, fingerprint: Mapping[str, str]) -> bool:
        """Bind the journal to a run, and to this process until it is closed; True where it already holds a run.

        Raises:
            ResumeError: It holds another run, and what differs; or another process is at work on it.
        """
        self._claim()
        with self._told():
            known = dict(self._db.execute("SELECT key, value FROM meta"))
            if not known:
                with self._db:
                    self._db.execute("BEGIN")
                    self._db.executemany("INSERT INTO meta VALUES (?, ?)", list(fingerprint.items()))
                return False
        changed = sorted(key for key in {*known, *fingerprint} if known.get(key) != fingerprint.get(key))
        if changed:
            what = "; ".join(
                f"{key} was {_short(known.get(key))}, now {_short(fingerprint.get(key))}" for key in changed
            )
            raise ResumeError(
                f"{self.path} belongs to another run ({what}); give the same command to resume it, or another "
                "directory with -o to start anew"
            )
        return True

    def _claim(self) -> None:
        """Two processes would each spend the whole budget. The lock ends with its process, however that ends."""
        if self.path == ":memory:" or self._lock is not None:
            return
        lock = Path(f"{self.path}-lock").open("wb")  # noqa: SIM115 (it is held until `close`)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ResumeError(
                f"another process is at work on {self.path}; wait until it ends, or give another directory with -o"
            ) from None
        self._lock = lock

    def append(self, lines: Iterable[JournalLine]) -> None:
        """Append all in one transaction."""
        rows = list(lines)
        if not rows:
            return
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT INTO lines (kind, key, body) VALUES (?, ?, ?)", rows)
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

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _short(value: str | None) -> str:
    text = "absent" if value is None else value
    return text if len(text) <= 60 else text[:57] + "..."


def export(journal: Journal, answers: Path) -> int:
    """Write the answer rows of a journal to a file, replacing it whole; returns how many."""
    part = answers.with_suffix(".part")
    count = 0
    with part.open("wb") as out:
        for line in journal.read("answer"):
            out.write(line.body + b"\n")
            count += 1
    part.replace(answers)
    return count


def receipt(directory: Path, prompt_id: str) -> dict[str, Any] | None:
    """The answer row of one prompt in a run directory, receipt included; None where it has none."""
    path = directory / "journal.db"
    if not path.exists():
        raise ResumeError(
            f"{directory} is no run directory: it has no journal.db; give the directory of a run"
        )
    journal = Journal(path)
    try:
        for line in journal.read("answer"):
            if line.key == prompt_id:
                row: dict[str, Any] = json.loads(line.body)
                return row
    finally:
        journal.close()
    return None
