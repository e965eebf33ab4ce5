"""Any endpoint that speaks the OpenAI chat API: the engine, what it says and hears, and how fast it may ask."""

from outlay.engines.http.engine import PATIENCE, Http, Patience

__all__ = ["PATIENCE", "Http", "Patience"]
