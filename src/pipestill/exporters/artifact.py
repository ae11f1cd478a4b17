"""The artifact folder: everything an application needs to classify text, and nothing else."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from transformers import PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from pipestill.data.card import DataCard
from pipestill.exporters._base import Shape
from pipestill.exporters._graph import write_graph
from pipestill.exporters.equalise import equalise
from pipestill.exporters.further import Reference, export_further
from pipestill.exporters.gate import enforce_limits, score_int8
from pipestill.exporters.model_card import render_card
from pipestill.exporters.params import ExportParams
from pipestill.exporters.parity import Batch, measure_parity
from pipestill.exporters.quantised_share import measure_share
from pipestill.exporters.records import CardContent, ExportRecord, describe_file
from pipestill.exporters.session import compute_logits, open_session
from pipestill.exporters.shipped import Shipped
from pipestill.exporters.trace import input_names, trace
from pipestill.fingerprint import sha256_file
from pipestill.records import read_json, write_bytes, write_json
from pipestill.teacher import TorchClassifier
from pipestill.teacher.classifier import OTHER_ANSWERS
from pipestill.text.standalone import standalone
from pipestill.text.tokenizer import count_tokens

TRAINING_INPUTS = ("input_ids", "attention_mask")
"""Inputs that `text.batching.collate` gives every model in training."""
MACHINE_FIELDS = ("name_or_path", "_name_or_path", "is_local", "local_files_only")
"""Fields in which transformers writes a model's path; they do not describe the model."""

STAND_IN = "bert"
SHARED_FIELDS = ("vocab_size", "pad_token_id")
NEWEST_TOKENIZER = "TokenizersBackend"
"""The class of a tokenizer with only a tokenizer.json in transformers 5; version 4, which optimum needs, lacks it."""


class DevRows(NamedTuple):
    """Real rows: texts and their label_ids, int64 [row]."""

    texts: Sequence[str]
    label_ids: np.ndarray


def export_folder(
    name: str,
    classifier: TorchClassifier,
    source: Path,
    target: Path,
    dev: DevRows,
    calibration: Sequence[str],
    params: ExportParams,
    describe: Callable[[], CardContent],
) -> ExportRecord:
    """Export a classifier to a folder of its own.

    Args:
        name: name of the model, `teacher` or a student's.
        classifier: trained model and its tokenizer.
        source: folder it was loaded from.
        target: folder to write; emptied first.
        dev: real rows, for parity and for the int8 limits.
        calibration: texts of the train split, for the ranges of the inputs of int8 products.
        params: settings and limits.
        describe: function that collects the content of the model card.

    Returns:
        The record of the export.

    Raises:
        ExportError: the folder's tokenizer does not encode as in training, or the fp32 file or a further one does not
            compute what the model computes.
        GateError: the int8 file or a further one misses a limit.
    """
    fp32 = params.fp32.optimise(trace(classifier.model), shape_of(classifier.model))
    fp32_file, int8_file = (target / exporter.variant.file for exporter in (params.fp32, params.int8))
    _start_folder(target)
    write_config(source, target, classifier)
    write_tokenizer(source, target, classifier)
    shipped = Shipped(target)
    shipped.check(classifier, [*calibration, *dev.texts])
    pad_id = shipped.pad_id
    write_graph(fp32.model, fp32_file)
    equalised = equalise(fp32.model, shipped.encode(calibration), params.equalisation, pad_id=pad_id)
    write_graph(params.int8.convert(equalised.model), int8_file)

    rows = shipped.encode(dev.texts)
    # From here on the written files are measured, not the models in memory.
    session = open_session(fp32_file)
    expected = torch_logits(classifier.model)
    task = classifier.labels.task
    parity = measure_parity(
        task,
        expected,
        lambda batch: compute_logits(session, batch),
        rows[: params.parity.num_rows],
        max_length=classifier.max_length,
        pad_id=pad_id,
        tolerance=params.parity.tolerance,
    )
    gate = score_int8(
        fp32_file,
        int8_file,
        params.int8.with_other_range().convert(equalised.model),
        rows,
        dev.label_ids,
        task,
        pad_id=pad_id,
        batch_size=params.gate_batch_size,
    )
    files = [describe_file(target, exporter.variant.file) for exporter in (params.fp32, params.int8)]
    reference = Reference(task, expected, rows, dev.label_ids, params.parity.num_rows, classifier.max_length, pad_id)
    record = ExportRecord(
        model=name,
        source_sha256=sha256_file(source / "model.safetensors"),
        opset=next(entry.version for entry in fp32.model.opset_import if not entry.domain),
        inputs=input_names(classifier.model),
        fused_operators=fp32.fused_operators,
        first_token_only=fp32.first_token_only,
        equalised_inputs=equalised.num_inputs,
        fp32=files[0],
        int8=files[1],
        int8_size_fraction=files[1].size_bytes / files[0].size_bytes,
        parity=parity,
        quantised_share=measure_share(*(onnx.load(target / file.path) for file in files)),
        int8_gate=gate,
        more={
            exporter.variant.name: export_further(exporter, fp32.model, files[0], target, reference)
            for exporter in params.further
        },
        card=describe(),
    )
    enforce_limits(params.int8, gate, record.quantised_share, record.int8_size_fraction)
    write_bytes(target / "README.md", render_card(record).encode())
    return record


def shape_of(model: PreTrainedModel) -> Shape:
    """Return the sizes of a model that fusions need; they cannot use a width without heads."""
    heads = getattr(model.config, "num_attention_heads", 0)
    return Shape(heads, model.config.hidden_size if heads else 0)


def describe_model(
    classifier: TorchClassifier, data: DataCard, recipe: Mapping[str, object], dev_texts: Sequence[str]
) -> CardContent:
    """Collect what the card tells of a classifier, its data and its base."""
    lengths = np.array(count_tokens(classifier.tokenizer, dev_texts))
    return CardContent(
        data_name=data.name,
        data_origin=data.origin,
        data_licence=data.licence,
        num_rows={split: card.num_rows for split, card in data.splits.items()},
        base_notice=classifier.notice.strip(),
        max_length=classifier.max_length,
        cut_fraction=float((lengths > classifier.max_length).mean()),
        task=classifier.labels.task.kind,
        labels=classifier.labels.labels,
        recipe=dict(recipe),
    )


def torch_logits(model: torch.nn.Module) -> Callable[[Batch], np.ndarray]:
    """Return a function that computes a PyTorch classifier's logits of one batch, float32 [batch, label].

    The model gets the inputs of training only: an additional input of the exported file must not change the logits.
    """
    model.eval()

    def compute(batch: Batch) -> np.ndarray:
        with torch.inference_mode():
            logits = model(**{name: torch.from_numpy(batch[name]) for name in TRAINING_INPUTS}).logits
        return np.asarray(logits.float().numpy())

    return compute


def write_config(source: Path, target: Path, classifier: TorchClassifier) -> None:
    """Write config.json with the labels in label_id order, for clients that know only stock architectures."""
    config = _without(read_json(source / "config.json"), (*MACHINE_FIELDS, *OTHER_ANSWERS))
    config["pad_token_id"] = int(classifier.tokenizer.pad_token_id)
    config = readable_config(config)
    labels = classifier.labels.labels
    config["problem_type"] = classifier.labels.task.problem_type
    config["id2label"] = {str(label_id): label for label_id, label in enumerate(labels)}
    config["label2id"] = {label: label_id for label_id, label in enumerate(labels)}
    write_json(target / "config.json", config)


def readable_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration that transformers.js and optimum can read.

    They refuse an unknown `model_type`, though they need only the labels to run an ONNX file. An architecture of our
    own is therefore declared as the stock one with the same inputs; its settings go below `pipestill`.
    """
    if config["model_type"] in CONFIG_MAPPING_NAMES:
        return config
    shared: dict[str, Any] = {key: config[key] for key in SHARED_FIELDS if key in config}
    return {"model_type": STAND_IN, "architectures": ["BertForSequenceClassification"], **shared, "pipestill": config}


def write_tokenizer(source: Path, target: Path, classifier: TorchClassifier) -> None:
    """Write the tokenizer of training as tokenizer.json, truncation and padding in it, and tokenizer_config.json."""
    tokenizer = classifier.tokenizer
    write_bytes(target / "tokenizer.json", f"{standalone(tokenizer).to_str(pretty=False)}\n".encode())
    settings = _without(read_json(source / "tokenizer_config.json"), MACHINE_FIELDS)
    if settings.get("tokenizer_class") == NEWEST_TOKENIZER:
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings |= {"model_max_length": classifier.max_length, "padding_side": "right"}
    write_json(target / "tokenizer_config.json", settings | {"truncation_side": tokenizer.truncation_side})


def _without(settings: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in names}


def _start_folder(target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
