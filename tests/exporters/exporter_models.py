"""Tiny models of every family, with random weights large enough that labels differ."""

import platform
from collections.abc import Callable
from functools import cache
from typing import get_args

import torch
import transformers
from onnx import ModelProto
from transformers import PreTrainedModel

from pipestill.environment import read_environment
from pipestill.exporters import ExportFormat
from pipestill.exporters._base import Exporter, FurtherExporter, Shape
from pipestill.exporters.int8_dynamic import Int8Dynamic
from pipestill.exporters.onnx_fp32 import Fp32Graph, OnnxFp32
from pipestill.exporters.trace import trace

WORDS = ["good", "bad", "film", "plot", "the", "a", "was", "dull", "bright", "\u597d"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
MAX_LENGTH = 16
VOCABULARY = 600
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 160,
    "num_labels": 3,
    "id2label": {0: "negative", 1: "neutral", 2: "positive"},
    "label2id": {"negative": 0, "neutral": 1, "positive": 2},
    "initializer_range": 0.5,
}


def bert() -> PreTrainedModel:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES))


def roberta() -> PreTrainedModel:
    config = transformers.RobertaConfig(**SIZES, type_vocab_size=1, pad_token_id=0)
    return transformers.RobertaForSequenceClassification(config)


def distilbert() -> PreTrainedModel:
    return transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(
            vocab_size=VOCABULARY,
            dim=32,
            n_layers=2,
            n_heads=4,
            hidden_dim=64,
            max_position_embeddings=160,
            num_labels=3,
            initializer_range=0.5,
        )
    )


def albert() -> PreTrainedModel:
    return transformers.AlbertForSequenceClassification(transformers.AlbertConfig(**SIZES, embedding_size=16))


def electra() -> PreTrainedModel:
    return transformers.ElectraForSequenceClassification(transformers.ElectraConfig(**SIZES, embedding_size=16))


FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "bert": bert,
    "roberta": roberta,
    "distilbert": distilbert,
    "albert": albert,
    "electra": electra,
}


def saturates() -> bool:
    """Whether this CPU adds the products of two pairs of bytes in 16 bits: x86 without VNNI."""
    flags = read_environment().cpu_flags
    return platform.machine() in {"x86_64", "AMD64"} and not any("vnni" in flag or "int8" in flag for flag in flags)


def int8(**changes: object) -> Int8Dynamic:
    settings: dict[str, object] = {
        "kind": "int8_dynamic",
        "per_channel": True,
        "reduce_range": True,
        "min_quantised_fraction": 0.5,
        "max_size_fraction": 1.0,
        "max_quality_drop_fraction": 1.0,
    }
    return Int8Dynamic.model_validate(settings | changes)


EXPORTERS: tuple[type[Exporter], ...] = get_args(get_args(ExportFormat)[0])
"""Every registered export format."""
FURTHER = tuple(exporter for exporter in EXPORTERS if issubclass(exporter, FurtherExporter))
"""Those that `export.more` may name."""


def kind_of(exporter: type[Exporter]) -> str:
    (kind,) = get_args(exporter.model_fields["kind"].annotation)
    return str(kind)


def further(exporter: type[FurtherExporter], **changes: object) -> FurtherExporter:
    """A further format with wide limits."""
    settings: dict[str, object] = {"kind": kind_of(exporter), "tolerance": 1.0, "max_size_fraction": 1.0}
    return exporter.model_validate(settings | changes)


def optimise(model: PreTrainedModel, *, fuse: bool = True) -> Fp32Graph:
    shape = Shape(model.config.num_attention_heads, model.config.hidden_size)
    return OnnxFp32(kind="onnx_fp32", fuse=fuse).optimise(trace(model), shape)


@cache
def model_of(family: str) -> PreTrainedModel:
    """One model of a family; not to be changed."""
    torch.manual_seed(0)
    return FAMILIES[family]().eval()


@cache
def graph_of(family: str, *, fuse: bool = True) -> Fp32Graph:
    """The fp32 graph of `model_of`; not to be changed."""
    return optimise(model_of(family), fuse=fuse)


@cache
def graph_in(exporter: type[Exporter], family: str) -> ModelProto:
    """The graph of `model_of` in a format; not to be changed."""
    if issubclass(exporter, FurtherExporter):
        return further(exporter).convert(graph_of(family).model)
    return int8_graph_of(family) if exporter is Int8Dynamic else graph_of(family).model


@cache
def int8_graph_of(family: str, *, reduce_range: bool = True) -> ModelProto:
    """The int8 graph of `model_of`; not to be changed."""
    return int8(reduce_range=reduce_range).convert(graph_of(family).model)
