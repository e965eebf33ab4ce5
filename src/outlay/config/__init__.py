"""What a user sets: the budget as it is written, models with their prices, and the file that holds both."""

from outlay.config.amounts import FORMS, amount_of, dollars, parse_budget, share_of, show_amount, show_cost
from outlay.config.file import load, settings_of
from outlay.config.settings import (
    Endpoint,
    Model,
    Settings,
    arms_for,
    checked,
    is_address,
    model_name,
    pocket_arms,
)

__all__ = [
    "FORMS",
    "amount_of",
    "dollars",
    "parse_budget",
    "share_of",
    "show_amount",
    "show_cost",
    "load",
    "settings_of",
    "Endpoint",
    "Model",
    "Settings",
    "arms_for",
    "checked",
    "is_address",
    "model_name",
    "pocket_arms",
]
