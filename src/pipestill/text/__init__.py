"""From text to token ids: the single owner of truncation, padding and batching."""
