"""The tokenizer and labels of an artifact folder, read as an application reads them.

Parity and the int8 limits are measured on token ids of the folder's own tokenizer.json, which the shipped model will
read. They are first compared with the ids of training.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from pipestill.errors import ExportError
from pipestill.exporters.trace import input_names
from pipestill.records import read_json
from pipestill.teacher import TorchClassifier
from pipestill.text.standalone import differences, encode_alone, shorten, shorten_ids


class Shipped:
    """The tokenizer and label names in an artifact folder.

    Args:
        folder: artifact folder with tokenizer.json and config.json.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        file = folder / "tokenizer.json"
        self._tokenizer = Tokenizer.from_file(str(file))
        self.pad_id = int(read_json(file)["padding"]["pad_id"])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into token ids, truncated, not padded."""
        return encode_alone(self._tokenizer, texts)

    def check(self, classifier: TorchClassifier, texts: Sequence[str]) -> None:
        """Check that the folder encodes texts and names labels as in training.

        Args:
            classifier: trained model and its tokenizer.
            texts: real texts; some that reveal differences are added.

        Raises:
            ExportError: the token ids of a text, its segments or the labels differ.
        """
        self._check_ids(classifier, texts)
        self._check_segments(classifier, texts)
        names = read_json(self._folder / "config.json")["id2label"]
        labels = tuple(names[str(label_id)] for label_id in range(len(names)))
        if labels != classifier.labels.labels:
            raise ExportError(
                "config.json of the artifact has other labels than the trained model",
                found=labels,
                expected=classifier.labels.labels,
                next_step="run `dvc repro` to train and export again",
            )

    def _check_ids(self, classifier: TorchClassifier, texts: Sequence[str]) -> None:
        tokenizer = classifier.tokenizer
        found = differences(tokenizer, self._tokenizer, texts)
        if not found:
            return
        first = found[0]
        raise ExportError(
            "tokenizer.json of the artifact does not encode texts as training did",
            found=f"{len(found)} texts with other token ids, such as {shorten(first.text)}: {shorten_ids(first.found)}",
            expected=f"{shorten_ids(first.expected)}, as by {type(tokenizer).__name__} with max_length "
            f"{classifier.max_length}, cut on the {tokenizer.truncation_side}",
            next_step="remove settings that tokenizer.json cannot hold from the base's tokenizer_config.json, such as "
            "split_special_tokens, and run `dvc repro` to train anew",
        )

    def _check_segments(self, classifier: TorchClassifier, texts: Sequence[str]) -> None:
        if "token_type_ids" not in input_names(classifier.model):
            return
        for text in texts:
            segments = self._tokenizer.encode(text).type_ids
            if any(segments):
                raise ExportError(
                    "tokenizer.json of the artifact puts tokens into a second segment, unlike training",
                    found=f"token_type_ids of {shorten_ids(segments)} for {shorten(text)}",
                    expected="0 for every token of a single text",
                    next_step="set the type ids of `single` in the base's tokenizer.json (post_processor) to 0",
                )
