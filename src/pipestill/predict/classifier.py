"""A classifier in an artifact folder: config.json, tokenizer.json and an ONNX file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from pipestill.errors import PredictError

QUANTISED = "onnx/model_quantized.onnx"


class Prediction(NamedTuple):
    """The answer for one text.

    Attributes:
        label: the most probable label.
        score: its probability, 0 to 1.
        probabilities: by label, most probable first; all of them, or the `top_k` first.
    """

    label: str
    score: float
    probabilities: dict[str, float]


class Classifier:
    """A text classifier read from an artifact folder.

    Texts are truncated to the length the model was trained with; that length and the padding are part of
    tokenizer.json.

    Args:
        folder: the artifact folder.
        file: the ONNX file in it: the int8 one, or `onnx/model.onnx` for 32-bit floats.
        threads: threads that compute one batch.

    Raises:
        PredictError: the folder lacks a file, or a file in it cannot be used.
    """

    def __init__(self, folder: Path, *, file: str = QUANTISED, threads: int = 1) -> None:
        self.folder = folder
        self.labels: tuple[str, ...] = _read_labels(folder / "config.json")
        self.tokenizer: Tokenizer = _read_tokenizer(folder / "tokenizer.json")
        self._session = _open_session(folder / file, threads)
        self._inputs = tuple(value.name for value in self._session.get_inputs())

    def encode(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Tokenise texts into one batch, padded to its longest text.

        Returns:
            What the model takes, such as input_ids and attention_mask, each int64 [batch, token].
        """
        encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        columns = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        return {name: np.array(columns[name], dtype=np.int64) for name in self._inputs}

    def run(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Compute the logits of one encoded batch, float32 [batch, label]."""
        logits: np.ndarray = self._session.run(["logits"], batch)[0]
        return logits

    def logits(self, texts: Sequence[str], *, batch_size: int | None = None) -> np.ndarray:
        """Compute the logits of any number of texts.

        Args:
            texts: the texts.
            batch_size: texts computed at once; all of them where None. Activations of the int8 file are scaled over
                the whole batch: only at 1 does the answer for a text not depend on the texts beside it.

        Returns:
            float32 [batch, label], in the order of the texts.

        Raises:
            PredictError: batch_size is below 1.
        """
        if not texts:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        size = len(texts) if batch_size is None else _check_batch_size(batch_size)
        return np.concatenate([self.run(self.encode(texts[at : at + size])) for at in range(0, len(texts), size)])

    def predict(self, texts: Sequence[str], *, top_k: int | None = None, batch_size: int = 1) -> list[Prediction]:
        """Classify any number of texts.

        Args:
            texts: the texts.
            top_k: how many labels to return probabilities of; all where None.
            batch_size: see `logits`.

        Returns:
            One prediction a text, in the order of the texts.

        Raises:
            PredictError: batch_size is below 1.
        """
        return list(self.stream(texts, top_k=top_k, batch_size=batch_size))

    def stream(self, texts: Iterable[str], *, top_k: int | None = None, batch_size: int = 1) -> Iterator[Prediction]:
        """Classify texts as they come; memory is bounded by the batch, whatever their number.

        Args:
            texts: the texts; `batch_size` of them are read before their predictions are given.
            top_k: how many labels to return probabilities of; all where None.
            batch_size: see `logits`.

        Yields:
            One prediction a text, in the order of the texts.

        Raises:
            PredictError: batch_size is below 1.
        """
        _check_batch_size(batch_size)
        remaining = iter(texts)
        while batch := list(islice(remaining, batch_size)):
            yield from self._predict_batch(batch, top_k)

    def _predict_batch(self, texts: Sequence[str], top_k: int | None) -> list[Prediction]:
        logits = self.run(self.encode(texts)).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        return [self._prediction(row, top_k) for row in probabilities]

    def _prediction(self, probabilities: np.ndarray, top_k: int | None) -> Prediction:
        order = np.argsort(-probabilities, kind="stable")[:top_k]
        by_label = {self.labels[label_id]: float(probabilities[label_id]) for label_id in order}
        label, score = next(iter(by_label.items()))
        return Prediction(label=label, score=score, probabilities=by_label)


def _check_batch_size(batch_size: int) -> int:
    if batch_size < 1:
        raise PredictError("no text fits into a batch", found=f"batch_size {batch_size}", expected="1 or more")
    return batch_size


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["id2label"]
        return tuple(str(names[str(label_id)]) for label_id in range(len(names)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PredictError(
            f"{path} names no labels",
            found=repr(error),
            expected='a JSON object with "id2label": {"0": ..., "1": ...}',
            next_step="give the folder that the export stage wrote",
        ) from error


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise PredictError(f"the tokenizer {path} cannot be read", found=error) from error
    if tokenizer.truncation is None or tokenizer.padding is None:
        raise PredictError(
            f"the tokenizer {path} does not say where to truncate or how to pad",
            expected="truncation and padding in tokenizer.json, as the export stage writes them",
        )
    return tokenizer


def _open_session(path: Path, threads: int) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen classes without a common base
        raise PredictError(
            f"the model {path} cannot be opened",
            found=str(error).splitlines()[0],
            next_step="give a file of the folder with --file, such as onnx/model.onnx",
        ) from error
