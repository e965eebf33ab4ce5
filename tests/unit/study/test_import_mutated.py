"""Sources that were damaged or written by somebody else: a recording or a clear error, never another exception."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlay.errors import OutlayError
from outlay.study import recording_files
from outlay.study.recording import load as load_recording
from outlay.study.recording import scorer
from outlay.study.recordings import Options, load

USAGE = {"input_tokens": 3, "output_tokens": 4}
SAID = {"role": "assistant", "content": "It is 4."}
SOURCES: dict[str, list[Any]] = {
    "log.json": [
        {
            "status": "success",
            "eval": {"task": "t", "model": "m", "model_generate_config": {"temperature": 0.5}},
            "samples": [
                {
                    "id": 1, "epoch": 1, "input": "2 + 2?", "target": "4", "messages": [SAID],
                    "output": {"choices": [{"message": SAID, "stop_reason": "stop"}], "usage": USAGE, "time": 1.0},
                    "scores": {"match": {"value": "C", "answer": "4"}}, "model_usage": {"m": USAGE}, "total_time": 2.0,
                }
            ],
        }
    ],
    "batch.jsonl": [
        {"custom_id": id_, "response": {"status_code": 200, "body": {"model": "m", "choices": [
            {"message": {"content": "4"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4}}}}
        for id_ in ("a", "b")
    ],
    "table.jsonl": [
        {"prompt": 0, "arm": arm, "answer": "A", "correct": 1, "output_tokens": 5, "logprob_confidence": 0.5}
        for arm in ("a", "b")
    ],
    "hub.jsonl": [
        {"task": "t", "prompt_id": "p", "run_id": "r", "epoch": 1, "correct": 1.0, "billed_output_tokens": 5.0,
         "answer": "7", "working_time_s": 1.0}
    ],
}  # fmt: skip
ODD = [
    None,
    -1,
    1e308,
    "",
    [],
    {},
    True,
    3.5,
    -(2**70),
    "\ud800",
    "\0",
    [1],
    {"a": 1},
    float("nan"),
    float("inf"),
]


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([above] if above else []), *(at for key, one in inside for at in places(one, (*above, key)))]


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    rows = json.loads(json.dumps(SOURCES[name]))
    row = draw(st.sampled_from(rows))
    place = draw(st.sampled_from(places(row)))
    at = row
    for key in place[:-1]:
        at = at[key]
    if draw(st.booleans()):
        at[place[-1]] = draw(st.sampled_from(ODD))
    else:
        del at[place[-1]]
    raw = "".join(json.dumps(one) + "\n" for one in rows).encode()
    if draw(st.integers(0, 4)) == 0:
        cut = draw(st.integers(0, len(raw)))
        raw = raw[:cut] + draw(st.binary(max_size=3)) + raw[cut + draw(st.integers(0, 9)) :]
    return raw


@pytest.mark.parametrize("name", SOURCES)
def test_a_recording_or_a_clear_error(tmp_path: Path, name: str):
    path, out = tmp_path / name, tmp_path / "made.jsonl"

    @given(mutated(name))
    @settings(max_examples=60)
    def check(raw: bytes) -> None:
        path.write_bytes(raw)
        try:
            made = load([path], Options())
            recording_files.write(out, made.rows, labels=made.labels, prompts=made.prompts)
            found = load_recording(out)
        except OutlayError:
            return
        scorer(found)
        assert found.facts()

    check()
