"""The code of every registered model: mlflow copies this file into the model and runs it there.

No pickle: the model is this file, the rooms it imports, and an artifact folder.
"""

from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from pydantic import BaseModel

from pipestill.predict import Classifier


class Answer(BaseModel):
    """The answer for one text: the most probable label, its probability, and every label's, most probable first."""

    label: str
    score: float
    probabilities: dict[str, float]


class ServedClassifier(mlflow.pyfunc.PythonModel):
    """Text in, labels and probabilities out; mlflow reads the model's signature off `predict`."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Open the artifact folder; which of its files is the model stands in the model's config."""
        self._classifier = Classifier(Path(context.artifacts["classifier"]), file=context.model_config["file"])

    def predict(self, model_input: list[str], params: dict[str, int] | None = None) -> list[Answer]:
        """Classify texts; see `Classifier.predict` for what `batch_size` among the params does."""
        batch_size = (params or {}).get("batch_size", 1)
        if batch_size < 1:
            raise MlflowException.invalid_parameter_value(f"batch_size is {batch_size}; it must be at least 1")
        return [Answer(**found._asdict()) for found in self._classifier.predict(model_input, batch_size=batch_size)]


mlflow.models.set_model(ServedClassifier())
