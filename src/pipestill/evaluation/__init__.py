"""Evaluation: scoring models on rows that they did not learn from, and keeping logits and record."""
