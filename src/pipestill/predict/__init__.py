"""Running an artifact, from text to labels and probabilities, with onnxruntime and tokenizers only.

    >>> from pathlib import Path
    >>> from pipestill.predict import Classifier
    >>> Classifier(Path("models/onnx/bert_l3")).predict(["a film to remember"])  # doctest: +SKIP

Nothing here needs torch, transformers or any of the training code. The command line is `pipestill.predict.command`,
which is not imported here: stages that score and time files are not made of it.
"""

from pipestill.predict.classifier import Classifier
from pipestill.predict.rows import Row, read_rows
from pipestill.predict.texts import TextError
from pipestill.tasks.answers import Prediction

__all__ = ["Classifier", "Prediction", "Row", "TextError", "read_rows"]
