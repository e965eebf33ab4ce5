"""What was committed is there, whole and in order, whatever happens to the process that wrote it."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import ResumeError
from outlay.journal import Journal, JournalLine, decode, encode, export, receipt

RUN = {"version": "1", "input": "abc", "budget": "100 tok"}


def lines(count: int, kind: str = "done") -> list[JournalLine]:
    return [JournalLine(kind, f"k{number}", encode({"number": number})) for number in range(count)]


@given(
    st.lists(
        st.lists(
            st.builds(
                JournalLine,
                st.sampled_from(["step", "learn", "done", "answer"]),
                st.text(st.characters(exclude_categories=["Cs"])),
                st.binary(),
            )
        )
    )
)
def test_lines_come_back_as_they_were_written_in_order(commits: list[list[JournalLine]]):
    journal = Journal(":memory:")
    for commit in commits:
        journal.append(commit)
    written = [line for commit in commits for line in commit]
    assert list(journal.read()) == written
    assert list(journal.read("answer")) == [line for line in written if line.kind == "answer"]
    journal.close()


def test_a_commit_is_all_or_nothing(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    journal.append(lines(3))
    with pytest.raises(ResumeError, match="cannot be used"):
        journal.append([*lines(2), JournalLine("done", "k", None)])  # type: ignore[arg-type]
    assert list(journal.read()) == lines(3)
    journal.append(lines(1))
    assert len(list(journal.read())) == 4, "the journal goes on after a commit that failed"
    journal.close()


def test_many_lines_are_one_commit(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    other = sqlite3.connect(tmp_path / "journal.db")
    count = "SELECT count(*) FROM lines"

    def slowly():
        for line in lines(50):
            yield line
            assert other.execute(count).fetchone() == (0,)

    journal.append(slowly())
    assert other.execute(count).fetchone() == (50,)
    other.close()
    journal.close()


WRITER = """
import itertools, os, sys
from outlay.journal import Journal, JournalLine, encode

journal = Journal(sys.argv[1])
journal.identify({"run": "it"})
for commit in itertools.count():
    size = 1 + commit * 7 % 40
    journal.append(JournalLine("done", f"{commit}.{at}", encode({"pad": "x" * 300})) for at in range(size))
    os.write(1, b"%d\\n" % commit)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_loses_no_commit_and_leaves_none_torn(tmp_path: Path, seed: int):
    path = tmp_path / "journal.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.15))
        process.kill()
        said = [0, *map(int, process.stdout.read().split())]
    assert process.returncode == -signal.SIGKILL
    journal = Journal(path)
    assert journal.identify({"run": "it"})
    found: dict[int, int] = {}
    for line in journal.read():
        commit, at = map(int, line.key.split("."))
        assert at == found.get(commit, 0), "in order"
        found[commit] = at + 1
        assert len(decode(line.body)["pad"]) == 300
    assert all(size == 1 + commit * 7 % 40 for commit, size in found.items()), "a torn commit"
    assert list(found) == list(range(len(found))), "a gap"
    assert max(said) <= max(found), "what the writer was told is committed is there"
    journal.append(lines(1))
    journal.close()


def test_a_journal_is_bound_to_its_run_and_knows_it_again(tmp_path: Path):
    for again in (False, True, True):
        journal = Journal(tmp_path / "journal.db")
        assert journal.identify(RUN) is again
        journal.close()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({**RUN, "budget": "200 tok"}, "budget was 100 tok, now 200 tok"),
        ({**RUN, "seed": "1"}, "seed was absent, now 1"),
        ({"version": "1", "budget": "100 tok"}, "input was abc, now absent"),
        ({**RUN, "input": "x" * 100}, "input was abc, now " + "x" * 57 + r"\.\.\.\)"),
    ],
)
def test_another_run_is_refused_with_what_changed_and_what_to_do(
    tmp_path: Path, other: dict[str, str], said: str
):
    journal = Journal(tmp_path / "journal.db")
    journal.identify(RUN)
    journal.append(lines(1))
    with pytest.raises(ResumeError, match=said) as refused:
        journal.identify(other)
    assert "-o" in str(refused.value)
    assert journal.identify(RUN), "and it still belongs to the first"
    journal.close()


def test_a_part_that_may_differ_stays_until_it_changes_with_a_line(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    journal.identify(RUN)
    journal.append(lines(1))
    assert journal.identify({**RUN, "budget": "200 tok"}, apart="budget")
    assert journal.part("budget") == "100 tok"
    with pytest.raises(ResumeError, match="budget was 100 tok, now 200 tok; input was abc, now def"):
        journal.identify({**RUN, "budget": "200 tok", "input": "def"}, apart="budget")
    with pytest.raises(ResumeError, match="cannot be used"):
        journal.append([JournalLine("topup", "", None)], {"budget": "200 tok"})  # type: ignore[arg-type]
    assert journal.part("budget") == "100 tok", "one commit, all or nothing"
    journal.append(lines(1, "topup"), {"budget": "200 tok"})
    assert journal.part("budget") == "200 tok"
    journal.close()


def test_of_other_prompts_it_is_not_said_that_their_checks_are_others(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    journal.identify({**RUN, "checks": "abc"})
    journal.append([JournalLine("done", "p/1", b"{}")])
    with pytest.raises(ResumeError, match=r"another run \(input was [^;]*\)"):
        journal.identify({**RUN, "input": "def", "checks": "def"})
    with pytest.raises(ResumeError, match="checks was abc, now def"):
        journal.identify({**RUN, "checks": "def"})
    journal.close()


def test_an_export_can_leave_out_whose_answers_no_longer_count(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    journal.append(JournalLine("answer", name, encode(name)) for name in "abca")
    assert export(journal, tmp_path / "answers.jsonl", only={"a", "c"}) == 2
    assert (tmp_path / "answers.jsonl").read_bytes() == b'"c"\n"a"\n'
    journal.close()


def test_an_export_rebuilds_the_answers_byte_for_byte(tmp_path: Path):
    rows = [encode({"id": f"é{number}", "text": "a\nb", "x": 0.1 * number}) for number in range(30)]
    journal = Journal(tmp_path / "journal.db")
    for number, row in enumerate(rows):
        journal.append([*lines(2), JournalLine("answer", f"é{number}", row)])
    path = tmp_path / "answers.jsonl"
    assert export(journal, path) == 30
    first = path.read_bytes()
    assert first == b"".join(row + b"\n" for row in rows)
    path.write_bytes(first[:100])  # torn by a crash
    export(journal, path)
    assert path.read_bytes() == first
    path.unlink()
    export(journal, path)
    assert path.read_bytes() == first
    assert sorted(each.name for each in tmp_path.glob("answers*")) == ["answers.jsonl"]
    journal.close()


def test_a_receipt_is_found_by_prompt_id(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    journal.append([JournalLine("answer", "a", encode({"id": "a", "receipt": {"stopped": "x"}}))])
    assert receipt(tmp_path, "a") == {"id": "a", "receipt": {"stopped": "x"}}, "also while a run is writing"
    journal.close()
    assert receipt(tmp_path, "b") is None
    with pytest.raises(ResumeError, match="no run directory"):
        receipt(tmp_path / "elsewhere", "a")


def test_a_file_that_is_no_journal_is_named_with_what_to_do(tmp_path: Path):
    path = tmp_path / "journal.db"
    path.write_text("this is not a database, it is a letter to a friend. " * 40)
    with pytest.raises(ResumeError, match=r"journal\.db cannot be used as a journal .*not a database.*-o"):
        Journal(path)


def test_a_directory_in_its_place_is_named_with_what_to_do(tmp_path: Path):
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(ResumeError, match="cannot be used as a journal"):
        Journal(tmp_path / "journal.db")


def test_a_journal_with_a_damaged_page_is_named_when_it_is_read(tmp_path: Path):
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.append(JournalLine("done", str(number), b"x" * 900) for number in range(200))
    journal.close()
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(os.urandom(4096 * 20))
    damaged = Journal(path)
    with pytest.raises(ResumeError, match="cannot be used as a journal"):
        list(damaged.read())
    damaged.close()


def test_a_journal_that_may_not_be_written_is_named_when_it_is_bound(tmp_path: Path):
    """Told by the database itself: a user who may write everything would not notice file modes."""
    journal = Journal(tmp_path / "journal.db")
    journal.append(lines(1))
    journal._db.execute("PRAGMA query_only=ON")
    for write in (lambda: journal.append(lines(1)), lambda: journal.identify(RUN)):
        with pytest.raises(ResumeError, match="readonly"):
            write()
    assert list(journal.read()) == lines(1)
    journal.close()


def test_a_disk_that_is_full_loses_nothing_that_was_committed(tmp_path: Path):
    journal = Journal(tmp_path / "journal.db")
    journal.append(lines(3))
    (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(ResumeError, match="full"):
        journal.append(JournalLine("done", str(number), b"x" * 900) for number in range(200))
    journal._db.execute("PRAGMA max_page_count=100000")
    journal.append(lines(2))
    assert list(journal.read()) == [*lines(3), *lines(2)]
    journal.close()
