"""The linear baseline: TF-IDF and logistic regression, as the floor for teacher and students."""

from pipestill.baseline.linear import LinearScores, fit_and_score
from pipestill.baseline.params import BaselineParams

__all__ = ["BaselineParams", "LinearScores", "fit_and_score"]
