"""Classifiers in a Hugging Face folder, teacher or student: loading them and running them forward."""

from pipestill.teacher.classifier import (
    Classifier,
    check_length,
    load_classifier,
    new_classifier,
    quiet_transformers,
    readable_length,
    save_classifier,
    set_dropout,
)
from pipestill.teacher.forward import autocast, fastest_device, forward, predict_logits, use_threads

__all__ = [
    "Classifier",
    "autocast",
    "check_length",
    "fastest_device",
    "forward",
    "load_classifier",
    "new_classifier",
    "predict_logits",
    "quiet_transformers",
    "readable_length",
    "save_classifier",
    "set_dropout",
    "use_threads",
]
