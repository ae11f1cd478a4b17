"""Classifiers in a Hugging Face folder, teacher or student: loading them and running them forward."""

from pipestill.teacher.classifier import (
    Classifier,
    load_classifier,
    new_classifier,
    quiet_transformers,
    save_classifier,
    set_dropout,
)
from pipestill.teacher.forward import Precision, predict_logits

__all__ = [
    "Classifier",
    "Precision",
    "load_classifier",
    "new_classifier",
    "predict_logits",
    "quiet_transformers",
    "save_classifier",
    "set_dropout",
]
