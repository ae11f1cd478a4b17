"""The code of every registered model: mlflow copies this file into the model and runs it there.

No pickle: the model is this file, the rooms it imports, and an artifact folder.
"""

import json
import logging
from pathlib import Path

import mlflow
from mlflow.exceptions import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, MlflowException
from pydantic import BaseModel

from pipestill.errors import PredictError
from pipestill.predict import Classifier, TextError
from pipestill.predict.texts import has_lone_surrogate, is_blank

_logger = logging.getLogger(__name__)

MOST_TEXTS = 10_000
MOST_BYTES = 8 << 20
"""Limit of one request's texts together, in UTF-8."""
MOST_TEXTS_AT_ONCE = 64
"""Limit of batch_size: a batch of long texts takes its memory at once, and the client chooses it."""


class ServedPrediction(BaseModel):
    """The prediction for one text: the most probable label, its probability, and every label's, most probable first."""

    label: str
    score: float
    probabilities: dict[str, float]


class UnansweredRequestError(MlflowException):
    """A request that is not answered; the client reads its reason alone.

    mlflow's server puts all texts of the request into the message of an error, and a stack trace beside it.

    Args:
        reason: reason, in one line.
        error_code: one of mlflow's: the request's fault (status 400), or the model's (status 500).
    """

    def __init__(self, reason: str, error_code: int = INVALID_PARAMETER_VALUE) -> None:
        super().__init__(reason, error_code=error_code)
        self._reason = reason

    def serialize_as_json(self) -> str:
        """Return the body of the server's answer."""
        return json.dumps({"error_code": self.error_code, "message": self._reason})


class ServedClassifier(mlflow.pyfunc.PythonModel):
    """The served model, from texts to labels and probabilities; mlflow reads its signature off `predict`."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Open the artifact folder; the model's config names the ONNX file."""
        self._classifier = Classifier(Path(context.artifacts["classifier"]), file=context.model_config["file"])

    def predict(self, model_input: list[str], params: dict[str, int] | None = None) -> list[ServedPrediction]:
        """Classify texts; see `Classifier.predict` for `batch_size` among the params.

        Raises:
            UnansweredRequestError: batch_size, a text or the number or size of the texts is not accepted, or the model
                cannot compute them.
        """
        batch_size = (params or {}).get("batch_size", 1)
        if not 1 <= batch_size <= MOST_TEXTS_AT_ONCE:
            raise UnansweredRequestError(f"batch_size is {batch_size}; it must be from 1 to {MOST_TEXTS_AT_ONCE}")
        _check(model_input)
        try:
            found = self._classifier.predict(model_input, batch_size=batch_size)
        except TextError as error:
            raise UnansweredRequestError(f"{error.what}: {error.found}") from error
        except PredictError as error:
            _logger.exception("a request could not be answered")
            raise UnansweredRequestError("the model cannot answer; the log names the reason", INTERNAL_ERROR) from error
        return [ServedPrediction(**prediction._asdict()) for prediction in found]


def _check(texts: list[str]) -> None:
    if len(texts) > MOST_TEXTS:
        raise UnansweredRequestError(f"{len(texts)} texts in one request; at most {MOST_TEXTS} are accepted")
    num_bytes = sum(len(text.encode("utf-8", errors="surrogatepass")) for text in texts)
    if num_bytes > MOST_BYTES:
        raise UnansweredRequestError(
            f"the texts take {num_bytes} bytes; at most {MOST_BYTES} are accepted in one request"
        )
    for position, text in enumerate(texts):
        if has_lone_surrogate(text):
            raise UnansweredRequestError(f"the text at position {position} holds half of a surrogate pair")
        if is_blank(text):
            raise UnansweredRequestError(f"the text at position {position} is blank")


mlflow.models.set_model(ServedClassifier())
