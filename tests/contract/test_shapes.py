"""Five differently shaped strategies in the one market, on engines of known truth.

Vote with confidence; judged best-of-n; code with a check and a bigger model; 200 equal steps; plan and solve as a
sub-flow inside `auto`. What is asserted is what a market must get right whatever is sold in it.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from outlay.beliefs import Prior
from outlay.engines.simulated import Simulated
from outlay.flow import Arms, Call, Candidate, Decision, Evidence, Flow, Leg, Offer, Start, Sub
from outlay.market import Market, Setting, Settled
from outlay.policies import policy
from outlay.pricing import Clearing, Fixed, Pricing
from outlay.strategies import best_of, union, vote
from outlay.strategies.best_of import offers as best_of_offers
from outlay.types import FREE, Arm, Ask, Budget, Completion, Confidence, Cost, Message, Prompt, Test, Usage

RIGHT = "7"
NO_LIMIT = Budget()


def chance(*parts: object) -> random.Random:
    """A generator of its own for each thing that is drawn, so that the truth does not depend on the order asked."""
    return random.Random("|".join(map(str, parts)))


def prompts(count: int, kind: str = "number", **metadata: str) -> list[Prompt]:
    return [Prompt(f"p{i}", (Message("user", f"question {i}"),), kind, metadata) for i in range(count)]


def play(
    strategy: Start, rows: Sequence[Prompt], arms: Arms, engine: Simulated, *, budget: Budget = NO_LIMIT,
    price: Pricing | None = None, known: dict[str, tuple[float, float]] | None = None, rule: str = "priced",
    seed: int = 0, open_points: int = 10_000,
) -> Market:  # fmt: skip
    """Run a market to its end; the budget is looked at after every step."""
    models = [arm.name for arm in arms if arm.role == "model"]
    setting = Setting(
        arms, {"sim": engine}, strategy, policy(rule, models), Prior({n: i for i, n in enumerate(models)}, known),
        price or Clearing(budget), budget, seed, open_points=open_points,
    )  # fmt: skip
    market = Market(setting, list(rows))
    while not market.finished:
        calls = market.step()
        assert calls or market.finished, "nothing moves and not all is settled"
        for call, delivery in zip(calls, asyncio.run(engine.complete(calls)), strict=True):
            market.deliver(call.key, delivery)
        for unit, limit in budget.limits().items():
            assert getattr(market.ledger.spent, unit) + getattr(market.ledger.held, unit) <= limit, unit
    market.ledger.audit()
    assert market.ledger.held == FREE, "every hold ends"
    return market


def flat(call: Call, tokens: int) -> Cost:
    return FREE if isinstance(call.payload, Test) else Cost(call.n * tokens, call.n * tokens)


def right(settled: Settled) -> bool:
    answer = settled.candidate.answer if settled.candidate is not None else None
    return answer is not None and answer.split(" ")[0] == RIGHT


def bought(settled: Settled, kind: str, arm: str = "") -> int:
    return sum(line["copies"] for line in settled.lines if line["kind"] == kind and arm in ("", line["arm"]))


SMALL, BIG = Arm("small", "sim", "s"), Arm("big", "sim", "b")
CHECK = Arm("check", "sim", role="check")
JUDGE = Arm("judge", "sim", "j", role="judge")


# ── vote with confidence ───────────────────────────────────────────────────────────────────────────


def voter(success: Callable[[str], float], *, loved: float = 0.0, told: float = 0.0) -> Simulated:
    """Answers right with a chance of the prompt's own; wrong answers spread over ten classes, none above .3, or `loved`
    of them over one. `told` separates the confidence of right and wrong answers, in standard deviations."""

    def answer(call: Call, ordinal: int) -> Completion:
        r = chance(call.prompt_id, call.arm.name, ordinal)
        hit = r.random() < success(call.prompt_id)
        wrong = 99 if r.random() < loved else 20 + min(int(r.expovariate(0.28)), 9)
        confidence = -float(np.exp(r.gauss(-2.0 - told * hit, 1.0)))
        return Completion(
            RIGHT if hit else str(wrong), output_tokens=10, confidence=Confidence(confidence, 0, 0)
        )

    return Simulated(answer, lambda call: flat(call, 10), Cost(10, 10))


def beta(call_id: str) -> float:
    return chance("difficulty", call_id).betavariate(2.0, 1.2)


def calibration(market: Market) -> str:
    """Asserts what a belief must keep, and returns it as a line."""
    belief = np.array([settled.belief for settled in market.settled])
    truth = np.array([right(settled) for settled in market.settled], dtype=float)
    thirds = np.array_split(np.argsort(belief, kind="stable"), 3)
    gaps = [abs(belief[t].mean() - truth[t].mean()) for t in thirds]
    brier, constant = ((belief - truth) ** 2).mean(), truth.mean() * (1 - truth.mean())
    line = f"belief {belief.mean():.3f} accuracy {truth.mean():.3f} thirds {np.round(gaps, 3)} {brier / constant:.2f}"
    assert abs(belief.mean() - truth.mean()) <= 0.04, line
    assert max(gaps) <= 0.08, line
    assert brier <= 0.9 * constant, line
    return line


@pytest.mark.parametrize(("told", "votes"), [(0.0, 8), (0.8, 5)])
def test_the_belief_in_votes_is_as_good_as_the_votes(told: float, votes: int) -> None:
    engine = voter(beta, told=told)
    market = play(vote, prompts(2000), (SMALL,), engine, budget=Budget(outtok=2000 * 10 * votes))
    print(calibration(market))


def test_a_wrong_answer_that_the_model_loves_looks_right_and_is_reported() -> None:
    engine = voter(beta, loved=0.8)
    market = play(vote, prompts(600), (SMALL,), engine, budget=Budget(outtok=600 * 45))
    belief = np.mean([settled.belief for settled in market.settled])
    print(f"attractor: belief {belief:.3f}, accuracy {np.mean([right(s) for s in market.settled]):.3f}")


def test_two_units_are_both_obeyed_and_the_binding_one_is_used() -> None:
    def answer(call: Call, ordinal: int) -> Completion:
        p = beta(call.prompt_id) if call.arm is SMALL else min(0.97, beta(call.prompt_id) + 0.15)
        hit = chance(call.prompt_id, call.arm.name, ordinal).random() < p
        return Completion(RIGHT if hit else str(chance(call.key, ordinal).randint(20, 40)), output_tokens=10)

    def usage(call: Call, copies: int) -> Usage:
        reads = 100 if call.arm is BIG else 10  # the big one reads much and the small one writes much
        return Usage(input=reads, output=copies * (10 if call.arm is BIG else 20))

    def cost(call: Call) -> Cost:
        used = usage(call, call.n)
        return Cost(used.input + used.output, used.output)

    engine = Simulated(answer, cost, cost, lambda call, copies: usage(call, len(copies)))
    for budget, binding in (
        (Budget(tok=30_000, outtok=60_000), "tok"),
        (Budget(tok=900_000, outtok=9_000), "outtok"),
    ):
        market = play(vote, prompts(300), (SMALL, BIG), engine, budget=budget)
        assert getattr(market.ledger.spent, binding) >= 0.95 * budget.limits()[binding], binding


# ── judged best-of-n ───────────────────────────────────────────────────────────────────────────────


def either(prompt_id: str) -> float:
    """Mostly very likely or very unlikely to be right."""
    return chance("difficulty", prompt_id).betavariate(0.7, 0.5)


def judged(quality: float, kind: str) -> Simulated:
    """Texts that are right or not, or numbers, and a judge that is right with chance `quality`."""

    def answer(call: Call, ordinal: int) -> Completion:
        r = chance(call.prompt_id, call.arm.name, ordinal, call.key)
        if call.arm is JUDGE:
            assert isinstance(call.payload, Ask)
            says = f"answer:\n{RIGHT}" in call.payload.messages[-1].content
            return Completion("yes" if says == (r.random() < quality) else "no", output_tokens=2)
        hit = r.random() < (either if kind == "text" else beta)(call.prompt_id)
        if kind == "text":
            return Completion(f"{RIGHT if hit else 'no'} {r.randint(0, 10**9)}", output_tokens=10)
        return Completion(RIGHT if hit else str(r.randint(20, 29)), output_tokens=10)

    return Simulated(
        answer, lambda c: flat(c, 2 if c.arm is JUDGE else 10), lambda c: flat(c, 2 if c.arm is JUDGE else 10)
    )


def test_the_belief_in_judged_texts_is_as_good_as_the_judge() -> None:
    engine = judged(0.85, "text")
    known = {"judge": (0.85, 0.85)}
    market = play(
        best_of, prompts(2000, "text"), (SMALL, JUDGE), engine, budget=Budget(outtok=2000 * 40), known=known
    )
    calibration(market)


@pytest.mark.parametrize(
    ("quality", "kind"), [(0.85, "text"), (0.5, "text"), (0.85, "number"), (0.5, "number")]
)
def test_a_judge_is_bought_where_it_tells_and_only_there(quality: float, kind: str) -> None:
    """Its quality is given for texts; for numbers it is learned from what the votes say."""
    known = {"judge": (quality, quality)} if kind == "text" else None
    market = play(
        best_of, prompts(500, kind), (SMALL, JUDGE), judged(quality, kind), budget=Budget(outtok=500 * 30), known=known,
        open_points=50,
    )  # fmt: skip
    late = [s for s in market.settled[250:] if not any("even" in line for line in s.lines)]
    looks = sum(bought(settled, "judge") for settled in late) / len(late)
    assert looks > 0.4 if quality > 0.5 else looks < (0.001 if known else 0.25), looks


def test_two_texts_that_pass_do_not_halve_each_other() -> None:
    belief = Prior()
    market_row = [(0, belief.slot("sample", "small"), float("nan"), float("nan")) for _ in range(2)]
    from outlay.batch import DrawRow, PointRow, VerdictRow, pack

    look = belief.slot("check", "check")
    draws = [DrawRow(i, row[1], row[2], row[3]) for i, row in enumerate(market_row)]
    both = pack([PointRow(0, False, 1.0, 2)], [draws], [[VerdictRow(i, look, 1.0) for i in range(2)]], [()])
    one = pack([PointRow(0, False, 1.0, 1)], [draws[:1]], [[VerdictRow(0, look, 1.0)]], [()])
    assert belief.value(both, 1.0).best_P[0] >= belief.value(one, 1.0).best_P[0] > 0.9


# ── code with a check, and a bigger model ──────────────────────────────────────────────────────────


def coder(success: Callable[[str, str], float], tokens: dict[str, int]) -> Simulated:
    """Programs that are right or not, all different; the check knows."""

    def answer(call: Call, ordinal: int) -> Completion:
        if isinstance(call.payload, Test):
            return Completion("", passed=call.payload.answer.startswith(RIGHT))
        r = chance(call.prompt_id, call.arm.name, ordinal)
        hit = r.random() < success(call.prompt_id, call.arm.name)
        return Completion(f"{RIGHT if hit else 'no'} {r.random()}", output_tokens=tokens[call.arm.name])

    def cost(call: Call) -> Cost:
        return flat(call, tokens.get(call.arm.name, 0))

    return Simulated(answer, cost, cost)


def tier(prompt_id: str, arm: str) -> float:
    """A third easy for both, a third for the big one only, a third hopeless."""
    third = int(prompt_id[1:]) % 3
    return {0: 0.9, 1: 0.05 if arm == "small" else 0.7, 2: 0.0}[third]


def test_code_is_drawn_until_it_passes_escalates_and_gives_up_where_nothing_helps() -> None:
    engine = coder(tier, {"small": 10, "big": 40})
    rows = prompts(300, "text")
    market = play(best_of, rows, (SMALL, BIG, CHECK), engine, budget=Budget(outtok=300 * 70))
    by_third = [[s for s in market.settled if int(s.prompt.id[1:]) % 3 == third] for third in range(3)]
    solved = [np.mean([right(s) for s in third]) for third in by_third]
    spent = [np.mean([s.cost.outtok for s in third]) for third in by_third]
    assert solved[0] > 0.97
    assert solved[1] > 0.7
    assert spent[0] < 25 < spent[1]
    assert all(bought(s, "sample", "big") > 0 for s in by_third[1] if right(s) and s.cost.outtok > 40)
    # What failed a check is not hopeless yet: those that passed in the end had failed before.
    late = [s for s in by_third[1] if right(s) and s.drawn > 1]
    assert len(late) > 50
    # Hopeless: they stop although the budget is there for more.
    assert spent[2] < 300


def test_a_fresh_prompt_can_buy_the_dear_model_straight() -> None:
    """The cheap look costs .3 of the dear model and is hardly ever right."""
    engine = coder(lambda _, arm: 0.12 if arm == "small" else 0.85, {"small": 30, "big": 100})
    rows = prompts(600, "text")
    market = play(best_of, rows, (SMALL, BIG, CHECK), engine, budget=Budget(outtok=600 * 130), open_points=60)
    late = [
        s
        for s in market.settled
        if int(s.prompt.id[1:]) >= 200 and not any("even" in line for line in s.lines)
    ]
    straight = [s for s in late if s.lines and s.lines[0]["arm"] == "big"]
    assert len(straight) >= 0.6 * len(late), len(straight) / len(late)


# ── 200 equal steps ────────────────────────────────────────────────────────────────────────────────

STEPS = 200


def walk(prompt: Prompt, arms: Arms) -> Flow:
    """Every step is a vote of its own, from the state that the last one reached."""
    state = prompt.messages[-1].content
    for done in range(STEPS):
        part = Prompt(prompt.id, (Message("user", f"{done} {state}"),), "number")
        left = STEPS - 1 - done
        rest = (Leg("step", "vote", left),) if left else ()
        got = yield (Offer("step", "vote", Sub(vote, part), "note", rest=rest),)
        if isinstance(got, Decision):
            return got.candidate
        state = got.notes[-1].text
    return Candidate(state, state)


def walker(success: float) -> Simulated:
    def answer(call: Call, ordinal: int) -> Completion:
        assert isinstance(call.payload, Ask)
        done, state = call.payload.messages[-1].content.split()
        hit = chance(call.prompt_id, done, ordinal).random() < success
        return Completion(str(int(state) + 1 if hit else 0), output_tokens=1)  # all wrong votes are equal

    return Simulated(answer, lambda call: flat(call, 1), Cost(1, 1))


def test_two_hundred_equal_steps_come_out_clean() -> None:
    chains, success = 50, 0.9
    rows = [Prompt(f"c{i}", (Message("user", "1000"),), "number") for i in range(chains)]
    market = play(walk, rows, (SMALL,), walker(success), price=Fixed(5e-4))
    clean = sum(s.candidate is not None and s.candidate.text == str(1000 + STEPS) for s in market.settled)
    votes = market.ledger.spent.outtok / (chains * STEPS)
    assert clean >= 45
    assert votes <= 6


# ── chains that the budget cannot all pay for ──────────────────────────────────────────────────────

CALLS = 10


def chain(prompt: Prompt, arms: Arms) -> Flow:
    """Nine notes and an answer, one after another."""
    arm = arms[0]
    got: Evidence | Decision = Evidence()
    for done in range(CALLS):
        notes_left = CALLS - 2 - done
        rest = ((Leg("note", arm.name, notes_left),) if notes_left > 0 else ()) + (Leg("answer", arm.name),)
        last = done == CALLS - 1
        call = Call(arm, Ask(prompt.messages))
        got = yield (
            Offer(
                "answer" if last else "note",
                arm.name,
                call,
                "draw" if last else "note",
                rest=() if last else rest,
            ),
        )
        if isinstance(got, Decision):
            return got.candidate
    assert isinstance(got, Evidence)
    return Candidate(got.draws[-1].answer, got.draws[-1].text)


@pytest.mark.parametrize("factor", [3, 10])
def test_chains_that_are_begun_are_finished(factor: int) -> None:
    """200 chains of 10 calls, all open at once, money for 60; the worst case is `factor` times the expected."""
    finished, half_paid = [], []
    for seed in range(20):

        def answer(call: Call, ordinal: int, seed: int = seed) -> Completion:
            return Completion(RIGHT, output_tokens=round(100 * chance(seed, call.key).uniform(0.5, 1.5)))

        engine = Simulated(answer, lambda call: flat(call, 100 * factor), Cost(100, 100))
        budget = Budget(outtok=60 * CALLS * 100)
        market = play(chain, prompts(200), (SMALL,), engine, budget=budget, seed=seed)
        finished.append(sum(settled.candidate is not None for settled in market.settled))
        half_paid.append(sum(settled.candidate is None and bool(settled.lines) for settled in market.settled))
    assert sum(count >= 55 for count in finished) >= 18, finished
    assert max(half_paid) <= 1, half_paid


# ── plan and solve inside auto ─────────────────────────────────────────────────────────────────────


def plan_and_solve(prompt: Prompt, arms: Arms) -> Flow:
    """A plan names two parts, which are voted on side by side."""
    planner = arms[0]
    plan = Call(planner, Ask((Message("user", f"plan {prompt.id}"),)))
    got = yield (Offer("plan", planner.name, plan, "note", rest=(Leg("part", "vote", 2),)),)
    if isinstance(got, Decision):
        return got.candidate
    parts = tuple(
        Sub(vote, Prompt(prompt.id, (Message("user", line),), "number"))
        for line in got.notes[-1].text.split("\n")
    )
    got = yield (Offer("part", "vote", parts, "note"),)
    if isinstance(got, Decision):
        return got.candidate
    total = sum(int(line) for line in got.notes[-1].text.split("\n") if line)
    return Candidate(str(total), str(total))


def divide(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    if any(draw.kind == "divide" for draw in evidence.draws):
        return ()
    return (Offer("divide", "plan_and_solve", Sub(plan_and_solve, prompt)),)


def test_auto_divides_where_parts_are_easy_and_the_whole_is_not() -> None:
    def answer(call: Call, ordinal: int) -> Completion:
        assert isinstance(call.payload, Ask)
        text = call.payload.messages[-1].content
        r = chance(call.prompt_id, call.arm.name, text, ordinal)
        hard = int(call.prompt_id[1:]) % 2 == 1
        if text.startswith("plan"):
            return Completion("part 3\npart 4", output_tokens=10)
        if text.startswith("part"):
            return Completion(text[5:] if r.random() < 0.95 else str(r.randint(20, 30)), output_tokens=10)
        hit = r.random() < ((0.15 if call.arm is SMALL else 0.25) if hard else 0.93)
        return Completion(
            RIGHT if hit else str(r.randint(20, 40)), output_tokens=20 if call.arm is SMALL else 60
        )

    def cost(call: Call) -> Cost:
        assert isinstance(call.payload, Ask)
        whole = call.payload.messages[-1].content.startswith("question")
        return flat(call, (20 if call.arm is SMALL else 60) if whole else 10)

    rows = [
        Prompt(
            f"p{i}", (Message("user", f"question {i}"),), "number", {"group": "whole" if i % 2 else "plain"}
        )
        for i in range(700)
    ]
    strategy = union(best_of_offers, divide)
    market = play(
        strategy,
        rows,
        (SMALL, BIG),
        Simulated(answer, cost, cost),
        budget=Budget(outtok=700 * 95),
        open_points=60,
    )
    late = [
        s
        for s in market.settled
        if int(s.prompt.id[1:]) >= 100 and not any("even" in line for line in s.lines)
    ]
    whole = [s for s in late if s.prompt.metadata["group"] == "whole"]
    plain = [s for s in late if s.prompt.metadata["group"] == "plain"]
    opened = [np.mean([bought(s, "divide") > 0 for s in group]) for group in (whole, plain)]
    solved = [np.mean([right(s) for s in group]) for group in (whole, plain)]
    print(f"divide opened for {opened}, solved {solved}")
    assert opened[0] >= 0.8
    assert opened[1] <= 0.1
