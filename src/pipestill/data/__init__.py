"""Rows: read, cleaned, freed of duplicates, split and described."""
