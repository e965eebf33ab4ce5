"""Every prompt text that is sent to a model, with its source."""
