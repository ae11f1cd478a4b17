"""Classifiers in a Hugging Face folder, teacher or student: loading and inference."""

from pipestill.teacher.classifier import (
    Classifier,
    check_length,
    load_classifier,
    quiet_transformers,
    readable_length,
    save_classifier,
    set_dropout,
    set_problem,
)
from pipestill.teacher.forward import (
    autocast,
    choose_device_precision,
    fastest_device,
    forward,
    predict_logits,
    use_threads,
)
from pipestill.teacher.from_base import new_classifier

__all__ = [
    "Classifier",
    "autocast",
    "check_length",
    "choose_device_precision",
    "fastest_device",
    "forward",
    "load_classifier",
    "new_classifier",
    "predict_logits",
    "quiet_transformers",
    "readable_length",
    "save_classifier",
    "set_dropout",
    "set_problem",
    "use_threads",
]
