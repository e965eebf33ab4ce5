"""Each answer as it is settled, and what came of the run at the end."""

import asyncio

import outlay

SUMS = [f"Tom has {n} nuts, buys 8, gives 5, doubles them, eats 7. How many?" for n in range(3, 11)]


async def main() -> None:
    answers = outlay.stream(SUMS, budget="1ktok", answer="number")
    async for answer in answers:
        print(f"{answer.id}: {answer.answer}, confidence {answer.confidence:.2f}, {answer.cost.tok} tokens")
    print(answers.result.summary)


asyncio.run(main())
