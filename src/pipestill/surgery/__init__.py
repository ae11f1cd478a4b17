"""Selecting parts of trained weights for a student: layers, feed-forward units, principal directions."""
