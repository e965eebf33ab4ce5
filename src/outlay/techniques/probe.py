"""What an endpoint is asked to find out what it honours: own words, short on purpose.

Each asks for something whose answer tells whether a field took effect, not whether the model is clever.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

STORY: Final = "Write a short story about a surprising animal. Begin at once."
"""Open: other seeds give other beginnings, and no model stops within 16 tokens."""

COUNT: Final = "Count from one to twenty in words, separated by commas. Write nothing else."
"""Known word by word: shows where a stop string cuts, and fits a beginning to be continued."""
BEGUN: Final = "ONE! TWO! THREE! FOUR!"
NEXT: Final = "FIVE"
"""A beginning that no model would choose: one that starts anew does not look as if it went on."""

PUZZLES: Final = (
    "A farmer has 17 sheep. All but 9 run away. He buys twice as many as are left, then sells a third of all"
    " his sheep. How many has he now? End with the number.",
    "A train leaves at 9:40 and needs 2 h 35 min. It waits 17 min on the way, and the clock at the"
    " destination is one hour ahead. What does that clock show when it arrives? End with the time.",
)
"""A few steps each: more thought can be seen in tokens, and little of it is enough."""

GREETING: Final = "Say hello."
SECRET: Final = "zq7"
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"code": {"type": "string", "enum": [SECRET]}},
    "required": ["code"],
    "additionalProperties": False,
}
"""Nobody says hello in this form unless it is enforced."""
FORMAT: Final[Mapping[str, Any]] = {
    "type": "json_schema",
    "json_schema": {"name": "greeting", "strict": True, "schema": SCHEMA},
}
FORMAT_TEXT: Final = json.dumps(FORMAT)
