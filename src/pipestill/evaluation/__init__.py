"""Evaluation: scoring models on held-out rows, and keeping logits and record."""
