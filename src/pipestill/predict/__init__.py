"""Running an artifact, from text to labels and probabilities, with onnxruntime and tokenizers only.

    >>> from pathlib import Path
    >>> from pipestill.predict import Classifier
    >>> Classifier(Path("models/onnx/bert_l3")).predict(["a film to remember"])  # doctest: +SKIP

Nothing here needs torch, transformers or any of the training code. The command line is `pipestill.predict.command`,
which is not imported here: stages that score and time files are not made of it. It imports this package and has to
answer Ctrl-C and `--help` at once, so a name is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipestill.predict.classifier import Classifier
    from pipestill.predict.rows import Row, read_rows
    from pipestill.predict.texts import TextError
    from pipestill.tasks.answers import Prediction

_MODULES = {
    "Classifier": "pipestill.predict.classifier",
    "Prediction": "pipestill.tasks.answers",
    "Row": "pipestill.predict.rows",
    "TextError": "pipestill.predict.texts",
    "read_rows": "pipestill.predict.rows",
}

__all__ = ["Classifier", "Prediction", "Row", "TextError", "read_rows"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
