"""Classifiers in a Hugging Face folder, teacher or student: loading and inference.

New ones are made by `teacher.from_base`, which only trainings need.
"""

from pipestill.teacher.classifier import (
    TorchClassifier,
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
    compute_outputs,
    fastest_device,
    forward,
    predict_logits,
    use_threads,
)

__all__ = [
    "TorchClassifier",
    "autocast",
    "check_length",
    "choose_device_precision",
    "compute_outputs",
    "fastest_device",
    "forward",
    "load_classifier",
    "predict_logits",
    "quiet_transformers",
    "readable_length",
    "save_classifier",
    "set_dropout",
    "set_problem",
    "use_threads",
]
