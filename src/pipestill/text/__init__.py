"""Encoding of texts to token ids: the one place for truncation, padding and batching."""
