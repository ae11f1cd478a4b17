"""Opening the files of an artifact folder: each is checked before the first text is read."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime
from tokenizers import Tokenizer

from pipestill.errors import PredictError
from pipestill.json_text import parse_json
from pipestill.predict.bounds import MOST_JSON_BYTES, MOST_TOKENS
from pipestill.predict.texts import has_lone_surrogate
from pipestill.tasks import TASKS, Task, task_for
from pipestill.variants import FP32

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Inputs that a tokenizer can fill."""
OUTPUT = "logits"
_SHOWN = 10


def existing_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the path of an artifact folder.

    Raises:
        PredictError: it is not a path, or not a folder with a config.json.
    """
    if not isinstance(folder, str | os.PathLike) or isinstance(os.fspath(folder), bytes):
        raise PredictError("the artifact folder is not a path", found=repr(folder), expected="a path or a string")
    path = Path(folder)
    try:
        held = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
        if "config.json" in held:
            return path
        found = "an empty folder" if path.is_dir() else "a file" if path.exists() else "no such folder"
    except OSError as error:
        held, found = [], str(error)
    if held:
        found = f"a folder that holds {', '.join(held[:_SHOWN])}"
    raise PredictError(
        f"{path} is not an artifact folder",
        found=found,
        expected="a folder with config.json, tokenizer.json and onnx/, as the stages `export` and `package` write it",
        next_step="run `make repro`, or `dvc pull` it; without a champion (reports/ names the reason) "
        "give a folder below models/onnx",
    )


def read_config(path: Path) -> dict[str, Any]:
    """Read a config, its labels as strings in label_id order.

    Raises:
        PredictError: it is not JSON, or its labels are not numbered from 0 on, each with a name of its own.
    """
    try:
        config: dict[str, Any] = parse_json(_regular(path, MOST_JSON_BYTES).read_bytes())
        return config | {"id2label": _labels(config["id2label"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PredictError(
            f"{path} does not name labels",
            found=repr(error),
            expected='a JSON object with "id2label": {"0": ..., "1": ...}, numbered from 0, each name once',
            next_step="give the folder that the export stage wrote",
        ) from error


def task_of(config: Mapping[str, Any], path: Path) -> Task:
    """Return the task that a config declares.

    Raises:
        PredictError: the task is unknown.
    """
    problem_type = config.get("problem_type")
    try:
        return task_for(problem_type)
    except (KeyError, TypeError) as error:
        raise PredictError(
            f"{path} declares a task that this version does not answer",
            found=f"problem_type {problem_type!r}",
            expected=f"one of {', '.join(task.problem_type for task in TASKS.values())}",
            next_step="install the version of pipestill that wrote the folder",
        ) from error


def read_tokenizer(path: Path) -> tuple[Tokenizer, bool]:
    """Read a tokenizer.json.

    Returns:
        The tokenizer, and whether truncation keeps a text's first tokens.

    Raises:
        PredictError: it cannot be read, or lacks bounded truncation and padding.
    """
    with tokenizers_errors(f"the tokenizer {path} cannot be read"):
        tokenizer = Tokenizer.from_file(str(_regular(path, MOST_JSON_BYTES)))
    truncation, padding = tokenizer.truncation, tokenizer.padding
    if truncation is None or padding is None:
        raise PredictError(
            f"the tokenizer {path} does not say where to truncate or how to pad",
            expected="truncation and padding in tokenizer.json, as the export stage writes them",
        )
    lengths = {
        "truncation.max_length": truncation["max_length"],
        "padding.length": padding["length"],
        "padding.pad_to_multiple_of": padding["pad_to_multiple_of"],
    }
    too_long = [f"{name} {length}" for name, length in lengths.items() if (length or 0) > MOST_TOKENS]
    if too_long:
        raise PredictError(
            f"the tokenizer {path} makes inputs that are too long",
            found=", ".join(too_long),
            expected=f"at most {MOST_TOKENS} tokens",
            next_step="give the folder that the export stage wrote",
        )
    return tokenizer, truncation["direction"] == "right"


def open_session(path: Path, threads: int, num_labels: int) -> Any:  # noqa: ANN401 (onnxruntime has no types)
    """Open an ONNX file.

    Args:
        path: ONNX file, an absolute path or one from the working folder.
        threads: threads that compute one batch.
        num_labels: labels that the config names.

    Raises:
        PredictError: the file cannot be opened, has other inputs or outputs, or another number of labels.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, with their text
    try:
        session = onnxruntime.InferenceSession(str(_regular(path)), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen classes without a common base
        raise PredictError(
            f"the model {path} cannot be opened",
            found=first_line(error),
            next_step=f"give a file of the folder with --file, such as {FP32.file}",
        ) from error
    inputs = [value.name for value in session.get_inputs()]
    outputs = {value.name: value.shape for value in session.get_outputs()}
    if INPUTS[0] not in inputs or not {*inputs} <= {*INPUTS} or OUTPUT not in outputs:
        raise PredictError(
            f"the model {path} is not a text classifier",
            found=f"inputs {', '.join(inputs)}; outputs {', '.join(outputs)}",
            expected=f"inputs among {', '.join(INPUTS)}; an output {OUTPUT}",
            next_step="give a file that the export stage wrote",
        )
    last = outputs[OUTPUT][-1] if outputs[OUTPUT] else None
    if isinstance(last, int) and last != num_labels:
        raise other_labels(path, last, num_labels)
    return session


def other_labels(path: Path, found: int, num_labels: int) -> PredictError:
    """Make the error for a model that gives more or fewer logits than the config has labels."""
    return PredictError(
        f"the model {path} and config.json do not belong together",
        found=f"{found} logits a text, {num_labels} labels in config.json",
        expected="a logit for each label",
        next_step="give the folder that the export stage wrote",
    )


@contextmanager
def tokenizers_errors(what: str) -> Iterator[None]:
    """Turn any error of the library tokenizers into a PredictError.

    It raises bare Exceptions, and a panic of its Rust code as a PanicException, which is not an Exception.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise PredictError(
            what, found=first_line(error), next_step="give the folder that the export stage wrote"
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its class where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _labels(names: Mapping[str, object]) -> dict[int, str]:
    labels = [names[str(label_id)] for label_id in range(len(names))]
    if not labels or not all(isinstance(label, str) and not has_lone_surrogate(label) for label in labels):
        raise ValueError(f"names that are not strings of whole characters: {labels[:_SHOWN]!a}")
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise ValueError(f"names that occur more than once: {twice[:_SHOWN]}")
    return {label_id: str(label) for label_id, label in enumerate(labels)}


def _regular(path: Path, most_bytes: int | None = None) -> Path:
    """Return the path of a regular file: opening a pipe or a device may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"not a regular file: {path}")
    if most_bytes is not None and status.st_size > most_bytes:
        raise OSError(f"{status.st_size} bytes, where at most {most_bytes} are read")
    return path
