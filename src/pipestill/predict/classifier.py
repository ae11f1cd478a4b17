"""A classifier in an artifact folder: config.json, tokenizer.json and an ONNX file."""

import operator
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from pipestill.errors import PredictError
from pipestill.predict.bounds import MOST_THREADS
from pipestill.predict.folder import (
    OUTPUT,
    existing_folder,
    first_line,
    open_session,
    other_labels,
    read_config,
    read_tokenizer,
    task_of,
    tokenizers_errors,
)
from pipestill.predict.texts import TextError, checked
from pipestill.tasks import answers
from pipestill.tasks.answers import Prediction
from pipestill.truncation import Shortener
from pipestill.variants import INT8


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
        num_threads = _at_least_one("threads", threads)
        if num_threads > MOST_THREADS:
            raise PredictError(f"threads must be at most {MOST_THREADS}", found=f"threads {threads}")
        self.folder = existing_folder(folder)
        config = read_config(self.folder / "config.json")
        self.labels: tuple[str, ...] = tuple(config["id2label"].values())
        self.task = task_of(config, self.folder / "config.json")
        self.tokenizer: Tokenizer
        self.tokenizer, keeps_first = read_tokenizer(self.folder / "tokenizer.json")
        self._file = self.folder / file
        self._session = open_session(self._file, num_threads, len(self.labels))
        self._inputs = tuple(value.name for value in self._session.get_inputs())
        # Truncation leaves the rest of a text in `overflowing`.
        self.shorten = Shortener(
            self.tokenizer,
            lambda text: bool(self._tokenise([text])[0].overflowing),
            keeps_first=keeps_first,
        )

    def encode(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Tokenise texts into one batch, padded to its longest text.

        Returns:
            The inputs of the model, such as input_ids and attention_mask, each int64 [batch, token].
        """
        encodings = self._tokenise([self.shorten(text) for text in texts])
        columns = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        return {name: np.array(columns[name], dtype=np.int64) for name in self._inputs}

    def run(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """Compute the logits of one encoded batch, float32 [batch, label].

        Raises:
            PredictError: the model cannot compute the batch, or not one row of as many logits as labels for each text.
        """
        try:
            logits: np.ndarray = self._session.run([OUTPUT], batch)[0]
        except Exception as error:  # onnxruntime raises a dozen classes without a common base
            raise PredictError(
                f"the model {self._file} cannot compute these texts",
                found=first_line(error),
                expected="a model and a tokenizer.json that belong together",
                next_step="give the folder that the export stage wrote",
            ) from error
        num_texts = len(batch["input_ids"])
        if logits.ndim == 2 and logits.shape[0] == num_texts and logits.shape[1] != len(self.labels):  # noqa: PLR2004
            raise other_labels(self._file, logits.shape[1], len(self.labels))
        if logits.shape != (num_texts, len(self.labels)):
            raise PredictError(
                f"the model {self._file} does not answer text by text",
                found=f"logits of shape {list(logits.shape)} for {num_texts} texts and {len(self.labels)} labels",
                expected=f"{[num_texts, len(self.labels)]}",
                next_step="give a file that the export stage wrote",
            )
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
            PredictError: a text is not a string, or its logits are not finite numbers: a `TextError`, which has its
                position and the predictions for the texts before it. Or top_k or batch_size is below 1, or the model
                cannot compute the texts.
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

    def classify(self, texts: Sequence[str], *, top_k: int | None = None) -> list[Prediction | None]:
        """Classify one batch; a text whose logits are not finite numbers gets None."""
        if not texts:
            return []
        logits = self.run(self.encode(texts))
        finite = np.isfinite(logits).all(axis=1)
        found = iter(answers.predictions(self.task, logits[finite], self.labels, top_k) if finite.any() else [])
        return [next(found) if usable else None for usable in finite]

    def _tokenise(self, texts: Sequence[str]) -> list[Encoding]:
        with tokenizers_errors(f"the tokenizer {self.folder / 'tokenizer.json'} cannot encode these texts"):
            encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        return encodings

    def _predict_batches(self, texts: Iterator[str], top_k: int | None, size: int) -> Iterator[Prediction]:
        ended = False
        position = 0
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
            for place, prediction in enumerate(self.classify(batch, top_k=top_k), start=position):
                if prediction is None:
                    raise TextError(
                        place,
                        "logits that are not finite numbers",
                        "a finite number for each label",
                        "export the model again",
                    )
                yield prediction
            position += len(batch)
            if failure is not None:
                raise failure


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
