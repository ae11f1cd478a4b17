"""The linear baseline: what words alone achieve, against which teacher and students have to justify themselves."""

from pipestill.baseline.linear import LinearScores, fit_and_score
from pipestill.baseline.params import BaselineParams

__all__ = ["BaselineParams", "LinearScores", "fit_and_score"]
