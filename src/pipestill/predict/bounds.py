"""Limits of `pipestill predict`: beyond each, one input or option fills the memory or never ends."""

MOST_LINE_BYTES = 16 << 20
"""Longest line of an input, and longest record of a csv, in bytes of the input."""
MOST_RECORD_LINES = 100_000
"""Most lines of one record of a csv."""
MOST_ROWS_AT_ONCE = 4096
MOST_THREADS = 256
"""Each is started when a file is opened: a thousand take a minute, a million never end."""
MOST_TOKENS = 1 << 17
"""Longest input that a tokenizer.json may cut or pad to."""
MOST_JSON_BYTES = 1 << 28
"""Largest config.json and tokenizer.json."""
