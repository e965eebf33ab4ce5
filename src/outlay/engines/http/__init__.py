"""Any endpoint that speaks the OpenAI chat API: the engine, what it says and hears, and how fast it may ask."""

from outlay.engines.http.engine import Http
from outlay.engines.http.post import PATIENCE, Patience

__all__ = ["PATIENCE", "Http", "Patience"]
