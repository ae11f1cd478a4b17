"""Rows of a data set: reading, cleaning, deduplication, splits and the data card."""
