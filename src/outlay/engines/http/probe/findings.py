"""What was found out about a model, in values: one finding per capability."""

from dataclasses import dataclass
from typing import Final, Literal, final

from outlay.types import Cost

Status = Literal["honoured", "ignored", "refused", "unknown"]

CAPABILITIES: Final = (
    "max_tokens",
    "n",
    "seed",
    "logprobs",
    "usage",
    "usage with n",
    "plain samples",
    "greedy",
    "cached tokens",
    "stop",
    "prefix",
    "json schema",
    "effort",
    "think mode",
    "thinking cap",
    "context",
)


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One capability.

    Attributes:
        capability: What was looked at; one of `CAPABILITIES`.
        status: Whether it took effect.
        evidence: What came back, in a sentence.
        remedy: What to do, in a sentence; empty where nothing needs doing.
    """

    capability: str
    status: Status
    evidence: str
    remedy: str = ""


@final
@dataclass(frozen=True, slots=True)
class Report:
    """What was found out about one model.

    Attributes:
        model: The endpoint's name for it.
        findings: One per capability, in the order of `CAPABILITIES`.
        spent: What finding out used.
        calls: Requests that were charged.
        server: The program behind the endpoint, where it can be told; else empty.
        context: Tokens that prompt and answer may have together; 0 where it is not told.
        thinks: Whether it was seen to think before it answers.
        stopped: Why nothing more was asked; empty where all was.
    """

    model: str
    findings: tuple[Finding, ...]
    spent: Cost
    calls: int
    server: str = ""
    context: int = 0
    thinks: bool = False
    stopped: str = ""

    def status(self, capability: str) -> Status:
        """How a capability stands."""
        return next((one.status for one in self.findings if one.capability == capability), "unknown")
