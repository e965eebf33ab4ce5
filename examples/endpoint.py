"""Prompts, two models of one endpoint, and a sum of money. Set OPENAI_BASE_URL, and OPENAI_API_KEY if it wants one."""

import outlay

reviews = ["Too loud.", "Does what it says.", "Broke after a week."]
asked = [f"Is this review A good, B bad or C neither? Answer with the letter. {review}" for review in reviews]
models = ["small@0.15/0.60", "big@2/8"]  # cheap to dear; dollars per million tokens in and out
print(outlay.run(asked, models=models, budget="0.01usd", answer="choice:A-C"))
