"""Metrics computed from logits, in pure numpy, without files and clocks."""
