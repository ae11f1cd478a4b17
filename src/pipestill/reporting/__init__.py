"""Reporting: all records side by side, as a table, as figures, and as the choice of a champion."""
