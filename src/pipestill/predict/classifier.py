"""A classifier in an artifact folder: config.json, tokenizer.json and an ONNX file."""

import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from pipestill.errors import PredictError
from pipestill.json_text import parse_json
from pipestill.predict.texts import TextError, checked
from pipestill.tasks import TASKS, Task, answers, task_for
from pipestill.tasks.answers import Prediction
from pipestill.variants import FP32, INT8

_SHOWN = 10


class Classifier:
    """A text classifier read from an artifact folder.

    Texts are truncated to the length the model was trained with; that length and the padding are part of
    tokenizer.json.

    Args:
        folder: artifact folder, a path or a string.
        file: ONNX file in the folder: the int8 one, or `onnx/model.onnx` for 32-bit floats.
        threads: threads that compute one batch.

    Raises:
        PredictError: the folder is missing, it lacks a file, or a file in it cannot be used.
    """

    def __init__(self, folder: str | os.PathLike[str], *, file: str = INT8.file, threads: int = 1) -> None:
        self.folder = _existing_folder(folder)
        config = _read_config(self.folder / "config.json")
        self.labels: tuple[str, ...] = tuple(config["id2label"].values())
        self.task = _task_of(config, self.folder / "config.json")
        self.tokenizer: Tokenizer = _read_tokenizer(self.folder / "tokenizer.json")
        self._session = _open_session(self.folder / file, _at_least_one("threads", threads))
        self._inputs = tuple(value.name for value in self._session.get_inputs())

    def encode(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Tokenise texts into one batch, padded to its longest text.

        Returns:
            The inputs of the model, such as input_ids and attention_mask, each int64 [batch, token].
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

    def logits(self, texts: Iterable[str], *, batch_size: int | None = None) -> np.ndarray:
        """Compute the logits of any number of texts.

        Args:
            texts: texts to classify.
            batch_size: texts computed at once; all of them where None. Activations of the int8 file are scaled over the
                whole batch: only at 1 are a text's logits independent of the texts beside it.

        Returns:
            float32 [batch, label], in the order of the texts.

        Raises:
            PredictError: a text is not a string (the message holds its position), or batch_size is below 1.
        """
        listed = list(checked(texts))
        size = len(listed) if batch_size is None else _at_least_one("batch_size", batch_size)
        if not listed:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        return np.concatenate([self.run(self.encode(listed[at : at + size])) for at in range(0, len(listed), size)])

    def predict(self, texts: Iterable[str], *, top_k: int | None = None, batch_size: int = 1) -> list[Prediction]:
        """Classify any number of texts.

        Args:
            texts: texts to classify: a list, a generator, a column of a table, an array of one dimension.
            top_k: number of labels to return probabilities of; all where None.
            batch_size: texts computed at once, see `logits`.

        Returns:
            One prediction per text, in the order of the texts.

        Raises:
            PredictError: a text is not a string: a `TextError`, which has its position and the predictions for the
                texts before it. Or top_k or batch_size is below 1.
        """
        predictions: list[Prediction] = []
        try:
            predictions.extend(self.stream(texts, top_k=top_k, batch_size=batch_size))
        except TextError as error:
            error.predictions = predictions
            raise
        return predictions

    def stream(self, texts: Iterable[str], *, top_k: int | None = None, batch_size: int = 1) -> Iterator[Prediction]:
        """Classify texts as they come; memory is bounded by the batch.

        Args:
            texts: texts to classify; `batch_size` of them are read before their predictions are yielded.
            top_k: number of labels to return probabilities of; all where None.
            batch_size: texts computed at once, see `logits`.

        Returns:
            One prediction per text, in the order of the texts. Where a text is not a string, or the texts end in an
            error, the predictions for those before it come first.

        Raises:
            PredictError: see `predict`.
        """
        size = _at_least_one("batch_size", batch_size)
        return self._predict_batches(checked(texts), None if top_k is None else _at_least_one("top_k", top_k), size)

    def _predict_batches(self, texts: Iterator[str], top_k: int | None, size: int) -> Iterator[Prediction]:
        ended = False
        while not ended:
            batch: list[str] = []
            failure: Exception | None = None
            try:
                while len(batch) < size:
                    batch.append(next(texts))
            except StopIteration:
                ended = True
            except Exception as error:  # noqa: BLE001 (of the caller's texts: raised behind the answers)
                failure = error
            if batch:
                yield from self._predict_batch(batch, top_k)
            if failure is not None:
                raise failure

    def _predict_batch(self, texts: Sequence[str], top_k: int | None) -> list[Prediction]:
        return answers.predictions(self.task, self.run(self.encode(texts)), self.labels, top_k)


def _at_least_one(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise PredictError(
            f"{name} must be at least 1", found=f"{name} {value!r}", expected="a whole number, 1 or more"
        )
    return number


def _existing_folder(folder: str | os.PathLike[str]) -> Path:
    if not isinstance(folder, str | os.PathLike) or isinstance(os.fspath(folder), bytes):
        raise PredictError("the artifact folder is not a path", found=repr(folder), expected="a path or a string")
    path = Path(folder)
    held = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else None
    if held and (path / "config.json").is_file():
        return path
    if held is None:
        found = "a file" if path.exists() else "no such folder"
    else:
        found = f"a folder that holds {', '.join(held[:_SHOWN])}" if held else "an empty folder"
    raise PredictError(
        f"{path} is not an artifact folder",
        found=found,
        expected="a folder with config.json, tokenizer.json and onnx/, as the stages `export` and `package` write it",
        next_step="run `make repro`, or `dvc pull` it; without a champion (reports/ names the reason) "
        "give a folder below models/onnx",
    )


def _read_config(path: Path) -> dict[str, Any]:
    """Read a config, its labels as strings in label_id order."""
    try:
        config: dict[str, Any] = parse_json(path.read_bytes())
        names = config["id2label"]
        return config | {"id2label": {label_id: str(names[str(label_id)]) for label_id in range(len(names))}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PredictError(
            f"{path} does not name labels",
            found=repr(error),
            expected='a JSON object with "id2label": {"0": ..., "1": ...}',
            next_step="give the folder that the export stage wrote",
        ) from error


def _task_of(config: dict[str, Any], path: Path) -> Task:
    problem_type = config.get("problem_type")
    try:
        return task_for(problem_type)
    except KeyError as error:
        raise PredictError(
            f"{path} declares a task that this version does not answer",
            found=f"problem_type {problem_type!r}",
            expected=f"one of {', '.join(task.problem_type for task in TASKS.values())}",
            next_step="install the version of pipestill that wrote the folder",
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
            next_step=f"give a file of the folder with --file, such as {FP32.file}",
        ) from error
