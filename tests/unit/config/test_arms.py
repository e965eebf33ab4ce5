from pathlib import Path
from typing import Any

import pytest

from outlay.config import Settings, arms_for, checked, load, model_name, settings_of
from outlay.errors import UsageError
from outlay.types import Arm, Price


def arms(**raw: Any) -> tuple[Arm, ...]:
    return arms_for(settings_of(raw), endpoint=True)


@pytest.mark.parametrize(
    "text",
    [
        f"a@{price}"
        for price in ("", "x/y", "1", "15", "0.15", ".5", "1/2/3", "1/", "/2", "-1/2", "1e3/2", "1/2usd")
    ]
    + ["a@0.1.5/2", "a@$1/$2"],
)
def test_a_mistyped_price_is_no_name(text: str):
    with pytest.raises(UsageError, match=r"small@0\.15/0\.60|write 0\.15"):
        arms_for(Settings(pick=(text,)), endpoint=True)


@pytest.mark.parametrize(
    "name", ["claude@20240620", "bison@001", "codestral@latest", "@cf/meta/llama-3", "org/big", "qwen:7b"]
)
def test_a_version_after_an_at_is_part_of_the_name(name: str):
    assert {arm.model for arm in arms_for(Settings(pick=(name,)), endpoint=True)} == {name}


@pytest.mark.parametrize(
    ("text", "name"), [("a@1/2", "a"), ("a@b@0.1/2", "a@b"), ("@cf/a@1/2", "@cf/a"), ("x/y@.5/1.", "x/y")]
)
def test_a_price_is_what_follows_the_last_at(text: str, name: str):
    arm = arms_for(Settings(pick=(text,)), endpoint=True)[1]
    assert arm.name == name
    assert arm.price.known()


@pytest.mark.parametrize("pick", [("",), ("a", " "), ("a", "")])
def test_a_model_without_a_name_is_refused(pick: tuple[str, ...]):
    with pytest.raises(UsageError, match="without a name"):
        checked(Settings(pick=pick))


def test_a_price_beside_the_name_of_a_configured_model_is_told_its_place():
    with pytest.raises(UsageError, match="price_in, price_out"):
        arms(model=[{"name": "small"}], models="small@1/2")


def test_each_temperature_is_an_arm_greedy_first():
    made = arms(model=[{"name": "a", "temperature": [1, 0, 0.5]}, {"name": "b", "temperature": [0, 1]}])
    assert [(arm.name, arm.temperature, arm.deterministic) for arm in made] == [
        ("a:greedy", 0, True),
        ("a:t0.5", 0.5, False),
        ("a:t1", 1, False),
        ("b:greedy", 0, True),
        ("b", 1, False),
    ]
    assert [model_name(arm.name) for arm in made] == ["a", "a", "a", "b", "b"]


def test_a_model_is_picked_with_all_its_temperatures_or_by_one():
    tables = [{"name": "a", "temperature": [0, 0.5, 1]}, {"name": "b"}]
    assert [arm.name for arm in arms(model=tables, models="a")] == ["a:greedy", "a:t0.5", "a:t1"]
    assert [arm.name for arm in arms(model=tables, models=["b", "a:t1"])] == ["b:greedy", "b", "a:t1"]


@pytest.mark.parametrize("heat", [[], [0, 0], [3], ["hot"], [True], "warm", -1, [0.5, 0.50]])
def test_temperatures_that_mean_nothing_are_refused(heat: Any):
    with pytest.raises(UsageError, match="temperature"):
        arms(model=[{"name": "a", "temperature": heat}])


def test_judges_come_after_the_models_whichever_are_picked():
    tables = {"model": [{"name": "a"}, {"name": "b"}], "judge": [{"name": "look", "model": "b"}]}
    assert [(arm.name, arm.role) for arm in arms(**tables, models="a")] == [
        ("a:greedy", "model"),
        ("a", "model"),
        ("look", "judge"),
    ]
    judge = arms(**tables)[-1]
    assert (judge.model, judge.deterministic, judge.max_tokens) == ("b", True, 64)


def test_a_judge_serves_beside_models_of_flags_and_of_the_package():
    judge = [{"name": "look", "price_in": 1, "price_out": 2}]
    by_flag = arms_for(settings_of({"judge": judge, "models": "small"}), endpoint=True)
    assert [arm.name for arm in by_flag] == ["small:greedy", "small", "look"]
    alone = arms_for(settings_of({"judge": judge}), endpoint=False)
    assert [arm.role for arm in alone] == ["model"] * 4 + ["judge"]
    assert alone[-1].price == Price(10**9, 2 * 10**9)


def test_a_judge_with_the_name_of_a_model_is_told_how_to_be_named():
    with pytest.raises(UsageError, match='name = "a-judge", model = "a"'):
        arms(model=[{"name": "a", "temperature": 1}], judge=[{"name": "a"}])


FILE = """
prices = "table"
on_crash = "release"

[[endpoint]]
name = "local"
url = "http://localhost:8000/v1"
concurrency = 4
rpm = 60
tpm = 100_000
extra = {top_k = 20}
modes = {short = {chat_template_kwargs = {enable_thinking = false}}}

[[model]]
name = "small"
endpoint = "local"
mode = "think"
fields = {chat_template_kwargs = {enable_thinking = true}}
"""


def test_an_endpoint_is_told_what_its_requests_say(tmp_path: Path):
    (tmp_path / "c.toml").write_text(FILE)
    settings = load(tmp_path / "c.toml")
    (endpoint,) = settings.endpoints
    assert (endpoint.concurrency, endpoint.rpm, endpoint.tpm) == (4, 60, 100_000)
    assert endpoint.extra == {"top_k": 20}
    assert endpoint.modes == {
        "short": {"chat_template_kwargs": {"enable_thinking": False}},
        "think": {"chat_template_kwargs": {"enable_thinking": True}},
    }
    assert (settings.prices, settings.on_crash) == ("table", "release")


def test_fields_of_a_model_at_the_endpoint_of_the_environment_are_kept():
    settings = settings_of({"model": [{"name": "a", "mode": "think", "fields": {"reasoning": True}}]})
    assert [(one.name, one.url, dict(one.modes)) for one in settings.endpoints] == [
        ("http", "", {"think": {"reasoning": True}})
    ]


LOCAL = {"name": "here", "url": "http://x"}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"endpoint": [LOCAL | {"extra": {"model": "b"}}]}, "may not set model"),
        ({"endpoint": [LOCAL | {"extra": 3}]}, "extra is 3; it must be a table"),
        ({"endpoint": [LOCAL | {"extra": {"a": float("nan")}}]}, "JSON cannot say"),
        ({"endpoint": [LOCAL | {"modes": {"think": 1}}]}, "mode 'think' is 1"),
        ({"endpoint": [LOCAL | {"modes": {"think": {"n": 4}}}]}, "may not set n"),
        ({"endpoint": [LOCAL | {"rpm": 0}]}, "rpm is 0"),
        ({"endpoint": [LOCAL | {"concurrency": 9999}]}, "concurrency is 9999"),
        ({"endpoint": [LOCAL | {"concurency": 9}]}, "did you mean 'concurrency'"),
        ({"endpoint": [LOCAL, LOCAL]}, "one name"),
        ({"model": [{"name": "a", "fields": {"x": 1}}]}, "name it: mode"),
        ({"model": [{"name": "a", "fields": {"max_tokens": 1}, "mode": "m"}]}, "may not set max_tokens"),
        ({"model": [{"name": "a", "fields": {}, "mode": "m", "role": "x"}]}, "unknown key 'role'"),
        ({"model": [{"name": "a", "endpoint": "pocket", "fields": {"x": 1}, "mode": "m"}]}, "no fields"),
        ({"model": [{"name": n, "mode": "m", "fields": {"x": n}} for n in "ab"]}, 'mode = "m-b"'),
        ({"model": [{"name": "a", "price_cached": 1}]}, "price_cached"),
        ({"model": [{"name": "a", "price_in": 1, "price_out": 1, "price_cached": 2}]}, "price_cached"),
        ({"model": [{"name": " "}]}, "no name"),
        ({"model": [{"name": "a\u202eb"}]}, r"model 1: name is 'a\\u202eb'; use 1 to 200 printable"),
        ({"endpoint": [LOCAL | {"name": "\0"}]}, "endpoint 1: name is"),
        ({"endpoint": [LOCAL | {"url": "http://["}]}, "write http://localhost"),
        ({"endpoint": [LOCAL | {"url": "http://x:99999"}]}, "write http://localhost"),
        ({"judge": [{"name": "a", "temprature": 1}]}, "judge a: unknown key 'temprature'"),
        ({"judge": {"name": "a"}}, r"\[\[judge\]\]"),
        ({"on_crash": "forget"}, "charge or release"),
        ({"prices": ""}, "prices is empty"),
    ],
)
def test_what_an_endpoint_model_or_judge_cannot_be_is_refused(raw: dict[str, Any], problem: str):
    with pytest.raises(UsageError, match=problem):
        settings_of(raw)
