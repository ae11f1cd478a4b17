"""The model card: what a user of the folder must know, in the form that model hubs read."""

import json
from collections.abc import Mapping

from pipestill.data.card import DataCard
from pipestill.exporters.records import ExportRecord
from pipestill.records import Record
from pipestill.teacher import Classifier

MAX_LABELS_SHOWN = 20


class CardFacts(Record):
    """What the card says beside the export record.

    Attributes:
        data_name: name of the data set.
        data_origin: where it comes from.
        data_licence: its licence, in words.
        num_rows: rows by split.
        base_notice: where the teacher's base weights come from and their licence, as fetched.
        max_length: tokens at which texts are truncated.
        labels: by label_id.
        recipe: settings the model was trained with, as params.yaml has them.
    """

    data_name: str
    data_origin: str
    data_licence: str
    num_rows: dict[str, int]
    base_notice: str
    max_length: int
    labels: tuple[str, ...]
    recipe: dict[str, object]


def describe_model(classifier: Classifier, data: DataCard, recipe: Mapping[str, object]) -> CardFacts:
    """Collect what the card says of a classifier, its data and its base."""
    return CardFacts(
        data_name=data.name,
        data_origin=data.origin,
        data_licence=data.licence,
        num_rows={split: card.num_rows for split, card in data.splits.items()},
        base_notice=classifier.notice.strip(),
        max_length=classifier.max_length,
        labels=classifier.labels.labels,
        recipe=dict(recipe),
    )


def render_card(record: ExportRecord, facts: CardFacts) -> str:
    """Write the card as Markdown with a YAML header."""
    return "\n".join([*_header(facts), *_model(record, facts), *_usage(), *_data(facts), *_recipe(record, facts), ""])


def _header(facts: CardFacts) -> list[str]:
    # JSON strings are YAML strings, whatever characters they hold.
    return [
        "---",
        "pipeline_tag: text-classification",
        "library_name: onnx",
        "license: other",
        f"license_name: {json.dumps(f'see below; data: {facts.data_licence}')}",
        "tags: [onnx, onnxruntime, int8, text-classification, pipestill, transformers.js]",
        "---",
        "",
    ]


def _model(record: ExportRecord, facts: CardFacts) -> list[str]:
    gate = record.int8_gate
    shown = ", ".join(f"`{label}`" for label in facts.labels[:MAX_LABELS_SHOWN])
    more = f" and {len(facts.labels) - MAX_LABELS_SHOWN} more" if len(facts.labels) > MAX_LABELS_SHOWN else ""
    return [
        f"# {record.model}: {facts.data_name}",
        "",
        f"A text classifier with {len(facts.labels)} labels: {shown}{more}.",
        "",
        "| file | size (bytes) | dev accuracy | sha256 |",
        "|---|---:|---:|---|",
        f"| {record.fp32.path} | {record.fp32.size_bytes} | {gate.fp32_accuracy:.4f} | {record.fp32.sha256} |",
        f"| {record.int8.path} | {record.int8.size_bytes} | {gate.accuracy:.4f} | {record.int8.sha256} |",
        "",
        (
            f"Dev accuracy is over {gate.num_rows} rows, which also chose the epoch. The 32-bit file gives PyTorch's "
            f"logits within {record.parity.max_abs_difference:.1e} (limit {record.parity.tolerance:.1e}) and the "
            f"same label on each of {record.parity.num_rows} rows; the int8 file gives the 32-bit file's label on "
            f"{gate.agreement_fraction:.2%} of the dev rows."
        ),
        "",
    ]


def _usage() -> list[str]:
    return [
        "## Use",
        "",
        "```",
        "pipestill predict FOLDER < texts.txt",
        "```",
        "",
        (
            "or, with onnxruntime and tokenizers alone, `pipestill.predict.Classifier(folder).predict(texts)`. The "
            "layout is that of transformers.js (`dtype: 'q8'`) and optimum."
        ),
        "",
        "## Limits",
        "",
        "- It was trained on the data below; on other kinds of text its probabilities mean little.",
        (
            "- Its figures are for text cleaned as the pipeline's data/prepared/card.md says (HTML entities, control "
            "characters, Unicode, white space). Nothing cleans the text that you give it."
        ),
        "- It always answers with one of its labels: a text about nothing of the kind gets one too.",
        (
            "- The int8 file scales its activations over a batch, so logits move slightly with batch and padding; at "
            "batch 1 the answer depends on the text alone. On CPUs without VNNI instructions its sums can saturate."
        ),
    ]


def _data(facts: CardFacts) -> list[str]:
    rows = ", ".join(f"{split} {count}" for split, count in facts.num_rows.items())
    return [
        f"- Texts longer than {facts.max_length} tokens are cut.",
        "",
        "## Data",
        "",
        f"{facts.data_name} ({facts.data_origin}), rows: {rows}. Licence: {facts.data_licence}.",
        "",
        *(line for line in facts.base_notice.splitlines()),
        "",
    ]


def _recipe(record: ExportRecord, facts: CardFacts) -> list[str]:
    fused = ", ".join(f"{count} {name}" for name, count in record.fused_operators.items()) or "nothing"
    recipe = json.dumps(facts.recipe, indent=2, ensure_ascii=False)
    return [
        "## Recipe",
        "",
        (
            f"Exported from weights {record.source_sha256}; opset {record.opset}; fused: {fused}; quantised share of "
            f"weight bytes: {record.quantised_share.quantised_fraction:.2%}."
        ),
        "",
        "```json",
        recipe,
        "```",
    ]
