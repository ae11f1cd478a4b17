"""Metrics: what logits are worth. Pure numpy; no file is opened and no clock is read here."""
