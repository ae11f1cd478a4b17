"""Reporting: the comparison table, the figures, and the choice of a champion, made from all records."""
