import json

import pytest

from outlay.answers import kind
from outlay.errors import UsageError
from outlay.study import recording
from outlay.study.bench_log import ALONE, EXCLUSIVE, log_of


@pytest.fixture
def read(tmp_path):
    def read(rows, labels=(), prompts=(), **more):
        for end, made in (("", rows), ("_labels", labels), ("_prompts", prompts)):
            (tmp_path / f"log{end}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in made))
            if end and not made:
                (tmp_path / f"log{end}.jsonl").unlink()
        return log_of(recording.load(tmp_path / "log.jsonl"), **more)

    return read


def row(answer=None, draw=0, prompt="p", arm="small", **more):
    return {"prompt": prompt, "arm": arm, "draw": draw, "output": 9, "answer": answer, **more}


def texts(log):
    return [one.text for one in log.rows]


def test_equal_answers_are_one_class_and_no_answer_is_none(read):
    log = read([row("A", 0), row("B", 1), row("A", 2), row(None, 3), row("B", 0, prompt="q")])
    assert texts(log) == ["00000000", "00000001", "00000000", "", "00000000"]


def test_a_class_is_read_back_whole_or_not_at_all():
    form = kind(EXCLUSIVE)
    assert form.extract("00000012") == "00000012"
    assert form.extract("0000001") is None
    assert form.extract("") is None


def test_texts_are_read_by_the_kind_that_the_log_or_the_user_names(read):
    rows = [row(text="so 1,000"), row(draw=1, text="it is 1e3"), row(draw=2, text="7")]
    named = read(rows, prompts=[{"id": "p", "prompt": "?", "answer": "number"}])
    assert texts(named) == texts(read(rows, answer="number")) == ["00000000", "00000000", "00000001"]
    with pytest.raises(UsageError, match="--answer"):
        read(rows)


def test_programs_stand_alone_and_choices_exclude_each_other(read):
    rows = [row("x = 1"), row("B", prompt="q")]
    kinds = [{"id": "p", "prompt": "?", "answer": "code"}, {"id": "q", "prompt": "?", "answer": "choice:A-D"}]
    log = read(rows, prompts=kinds)
    assert [prompt.answer for prompt in log.prompts] == [ALONE, EXCLUSIVE]
    assert [kind(prompt.answer).exclusive for prompt in log.prompts] == [False, True]


def test_prompts_with_the_same_text_stay_apart(read):
    same = [{"id": name, "prompt": "?", "answer": "number"} for name in ("p", "q")]
    log = read([row("1"), row("2", prompt="q")], prompts=same)
    assert len({prompt.messages for prompt in log.prompts}) == 2


def test_a_label_holds_for_every_draw_of_the_same_answer(read):
    marks = [
        {"prompt": "p", "arm": "small", "draw": d, "right": right} for d, right in ((0, True), (1, False))
    ]
    log = read([row("A", 0), row("B", 1), row("A", 0, arm="big")], marks)
    assert log.score("p", texts(log)[2]) == 1.0
    assert log.score("p", texts(log)[1]) == 0.0


def test_no_answer_is_wrong_and_an_unlabelled_prompt_is_not_graded(read):
    log = read([row("A"), row("A", prompt="q")], [{"prompt": "p", "gold": "A"}])
    assert log.score("p", "00000000") == 1.0
    assert log.score("p", None) == 0.0
    assert log.score("p", "0000001") == 0.0  # cut short by a cap
    assert log.score("q", "00000000") is None
