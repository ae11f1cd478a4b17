"""Tracing a classifier to a plain ONNX graph, and the check that a base can be exported.

A trace is the list of operations on one batch. Where a model computes with the length of its input in Python, that
number becomes a constant, and the trace fits no other length; and ONNX lacks an operator for some operations. Both
faults show on an untrained model too, before hours of training.
"""

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipestill.errors import ModelError
from pipestill.teacher.forward import relative_difference
from pipestill.text.batching import collate
from pipestill.text.tokenizer import encode

OPSET = 17
"""The newest opset whose graphs the fusions recognise."""
OUTPUT = "logits"
TOLERANCE = 1e-3
"""Largest difference of a logit between model and trace, as a fraction of the largest logit; the same arithmetic."""


class _Logits(nn.Module):
    """A classifier that takes its inputs in order and returns its logits alone."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute the logits, float32 [batch, label]."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def input_names(model: nn.Module) -> tuple[str, ...]:
    """Return the inputs of an exported classifier: ids, mask, and segment ids if the model uses segments.

    Models without segments may still take segment ids: GPT-2 adds the embeddings of the tokens 0, 1, ... to the text's
    own. Training does not pass segment ids, so zeros must give the same logits.
    """
    takes_segments = "token_type_ids" in inspect.signature(model.forward).parameters
    num_segments = getattr(getattr(model, "config", None), "type_vocab_size", None) or 0
    segments = ("token_type_ids",) if takes_segments and num_segments > 1 else ()
    return ("input_ids", "attention_mask", *segments)


def write_traced(model: nn.Module, file: Path) -> None:
    """Write a classifier as a plain ONNX graph; traced without dropout in any mode, and left in eval mode.

    Raises:
        Exception: of any kind, where torch's exporter refuses the model.
    """
    names = input_names(model)
    model.eval()
    wrapper = _Logits(model, names)
    wrapper.eval()  # a new module starts in train mode, and its state decides what the exporter writes for dropout
    with _eager_attention(model), _quiet(), torch.no_grad():
        _export(wrapper, names, tuple(_example(names).values()), file)


def check_exportable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a model that the export stage would refuse with any weights.

    Raises:
        ModelError: the model cannot be traced, its trace fits one length of input only, or ONNX lacks an operator.
    """
    model.eval()
    names = ("input_ids", "attention_mask")
    wrapper = _Logits(model, names).eval()
    example = tuple(_example(names).values())
    batches = [*_batches(tokenizer)]
    with _eager_attention(model), _quiet(), torch.no_grad(), TemporaryDirectory() as folder:
        with _refusing(model, "it cannot be run on rows of a few tokens"):
            expected = [wrapper(*batch) for batch in (example, *batches)][1:]
        with _refusing(model, "it cannot be traced"):
            traced = torch.jit.trace(wrapper, example, check_trace=False)  # type: ignore[no-untyped-call]
        with _refusing(model, "a trace of it fits one length of input only"):
            differences = [
                relative_difference(traced(*batch), logits) for batch, logits in zip(batches, expected, strict=True)
            ]
        if not max(differences) <= TOLERANCE:
            found = f"a trace of it gives logits that differ by {max(differences):.1%} on inputs of other lengths"
            raise _refusal(model, found)
        with _refusing(model, "its trace cannot be written"):
            _export(traced, names, example, Path(folder) / "traced.onnx")


@contextmanager
def _refusing(model: PreTrainedModel, found: str) -> Iterator[None]:
    """Turn all exceptions of torch and the model, of a dozen classes, into a refusal."""
    try:
        yield
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise _refusal(model, f"{found} ({lines[-1] if lines else type(error).__name__})") from error


def _refusal(model: PreTrainedModel, found: str) -> ModelError:
    return ModelError(
        f"a {type(model).__name__} cannot be exported to ONNX, so it is not trained",
        found=found,
        expected="a model whose trace holds for every number of rows and tokens, with ONNX operators only",
        next_step="choose another base under fetch.base in params.yaml, such as BERT, RoBERTa, ELECTRA or ModernBERT",
    )


def _batches(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[Tensor, Tensor]]:
    """Make batches of other shapes than the example, as in the parity check: 1 and 2 tokens, and long with padding."""
    rows = encode(tokenizer, ["good " * 30, "good bad", "good"])
    for part in ([rows[2][:1]], [rows[2][:2]], rows):
        batch = collate(part, tokenizer.pad_token_id)
        yield batch["input_ids"], batch["attention_mask"]


def _export(module: nn.Module, names: tuple[str, ...], example: tuple[Tensor, ...], file: Path) -> None:
    torch.onnx.export(
        module,
        example,
        file,
        input_names=list(names),
        output_names=[OUTPUT],
        dynamic_axes={name: {0: "batch", 1: "token"} for name in names} | {OUTPUT: {0: "batch"}},
        opset_version=OPSET,
        training=torch.onnx.TrainingMode.EVAL,
        dynamo=False,
    )


def _example(names: tuple[str, ...]) -> dict[str, Tensor]:
    # Two rows of unlike length: a batch or length of one would be written as a constant.
    ids = torch.tensor([[2, 3, 4, 5, 6], [2, 3, 4, 0, 0]])
    values = {"input_ids": ids, "attention_mask": (ids != 0).long(), "token_type_ids": torch.zeros_like(ids)}
    return {name: values[name] for name in names}


@contextmanager
def _eager_attention(model: nn.Module) -> Iterator[None]:
    config: Any = model.config
    before = config._attn_implementation  # noqa: SLF001 (transformers has no public reader of it)
    config._attn_implementation = "eager"  # noqa: SLF001
    try:
        yield
    finally:
        config._attn_implementation = before  # noqa: SLF001


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns of its own deprecation and of each Python number in the trace."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
