"""Figures: each function turns records into a matplotlib Figure; `style.save_figure` writes it."""
