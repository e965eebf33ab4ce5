"""Whether an endpoint is down: nothing gets through for long, whoever asks.

A prompt that fails again and again may be to blame itself. Where several prompts in a row have failed and nothing
has come through between them, the endpoint is suspected, and calls that ran out of patience wait instead of
failing. Has that lasted long enough too, the engine says that the endpoint is down: the run ends, and
its rows stay open.
No clock: `now` is an argument, in seconds.
"""

from typing import final

PROMPTS = 8
"""That failed since anything came through; fewer may well be at fault themselves."""


@final
class Outage:
    """Failures since the last reply that was one."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._since = self.worked_at = 0.0

    @property
    def suspected(self) -> bool:
        """Whether enough prompts have failed."""
        return len(self._failing) >= PROMPTS

    def failed(self, now: float, prompt_id: str) -> None:
        """An attempt for a prompt was turned away, lost, or cannot be read."""
        if not self._failing:
            self._since = now
        self._failing.add(prompt_id)

    def worked(self, now: float) -> None:
        """Something came through: an answer, or a complaint about one prompt."""
        self._failing.clear()
        self.worked_at = now

    def lasted(self, now: float) -> float:
        """Seconds since the first failure; 0 without any."""
        return now - self._since if self._failing else 0.0
