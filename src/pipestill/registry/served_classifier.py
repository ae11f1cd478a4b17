"""The code of every registered model: mlflow copies this file into the model and runs it there.

No pickle: the model is this file, the rooms it imports, and an artifact folder.
"""

from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from pydantic import BaseModel

from pipestill.predict import Classifier


class ServedPrediction(BaseModel):
    """The prediction for one text: the most probable label, its probability, and every label's, most probable first."""

    label: str
    score: float
    probabilities: dict[str, float]


class ServedClassifier(mlflow.pyfunc.PythonModel):
    """The served model, from texts to labels and probabilities; mlflow reads its signature off `predict`."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Open the artifact folder; the model's config names the ONNX file."""
        self._classifier = Classifier(Path(context.artifacts["classifier"]), file=context.model_config["file"])

    def predict(self, model_input: list[str], params: dict[str, int] | None = None) -> list[ServedPrediction]:
        """Classify texts; see `Classifier.predict` for `batch_size` among the params."""
        batch_size = (params or {}).get("batch_size", 1)
        if batch_size < 1:
            raise MlflowException.invalid_parameter_value(f"batch_size is {batch_size}; it must be at least 1")
        return [
            ServedPrediction(**found._asdict())
            for found in self._classifier.predict(model_input, batch_size=batch_size)
        ]


mlflow.models.set_model(ServedClassifier())
