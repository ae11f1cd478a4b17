"""The model card of an artifact folder, in the form that model hubs read."""

import json
from collections.abc import Sequence

from pipestill.exporters.records import CardContent, ExportRecord
from pipestill.markdown import escaped
from pipestill.variants import variant_named

MAX_LABELS_SHOWN = 20


def render_card(
    record: ExportRecord,
    *,
    quality: Sequence[str] = (),
    results: Sequence[object] = (),
    header: Sequence[str] = (),
    notice: Sequence[str] = (),
) -> str:
    """Write the card as Markdown with a YAML header.

    Args:
        record: record of the export.
        quality: lines about the quality on test; empty before an evaluation.
        results: test figures for model hubs, the value of `results` in their `model-index`.
        header: additional lines of the YAML header.
        notice: first lines of the card's text.
    """
    card = record.card
    parts = (
        _header(record, results, header),
        notice,
        _model(record),
        quality,
        _usage(record),
        _data(card),
        _recipe(record),
    )
    return "\n".join([line for part in parts for line in part] + [""])


def _header(record: ExportRecord, results: Sequence[object], more: Sequence[str]) -> list[str]:
    index = json.dumps([{"name": record.model, "results": list(results)}], ensure_ascii=False)
    # JSON strings are YAML strings, whatever characters they hold.
    return [
        "---",
        "pipeline_tag: text-classification",
        "library_name: onnx",
        "license: other",
        f"license_name: {json.dumps(f'see below; data: {record.card.data_licence}')}",
        "tags: [onnx, onnxruntime, int8, text-classification, pipestill, transformers.js]",
        *([f"model-index: {index}"] if results else []),
        *more,
        "---",
        "",
    ]


def _model(record: ExportRecord) -> list[str]:
    gate, card = record.int8_gate, record.card
    shown = ", ".join(escaped(label) for label in card.labels[:MAX_LABELS_SHOWN])
    more = f" and {len(card.labels) - MAX_LABELS_SHOWN} more" if len(card.labels) > MAX_LABELS_SHOWN else ""
    return [
        f"# {record.model}: {escaped(card.data_name)}",
        "",
        f"A text classifier with {len(card.labels)} labels: {shown}{more}.",
        "",
        f"| file | size (bytes) | {record.task.primary.title} on dev | sha256 |",
        "|---|---:|---:|---|",
        f"| {record.fp32.path} | {record.fp32.size_bytes} | {gate.fp32_quality:.4f} | {record.fp32.sha256} |",
        f"| {record.int8.path} | {record.int8.size_bytes} | {gate.quality:.4f} | {record.int8.sha256} |",
        *(
            f"| {more.file.path} | {more.file.size_bytes} | {more.quality:.4f} | {more.file.sha256} |"
            for more in record.more.values()
        ),
        "",
        (
            f"Dev has {gate.num_rows} rows, which also chose the epoch. The 32-bit file gives PyTorch's "
            f"logits within {record.parity.max_abs_difference:.1e} (limit {record.parity.tolerance:.1e}) and the "
            f"same label on each of {record.parity.num_rows} rows; the int8 file gives the 32-bit file's label on "
            f"{gate.agreement_fraction:.2%} of the dev rows."
        ),
        *(
            f"{more.file.path} gives PyTorch's logits within {more.parity.max_abs_difference:.1e} (limit "
            f"{more.parity.tolerance:.1e}) and its label on {more.parity.agreement_fraction:.2%} of them."
            for more in record.more.values()
        ),
        "",
    ]


def _usage(record: ExportRecord) -> list[str]:
    further = [(more.file.path, variant_named(name).dtype) for name, more in record.more.items()]
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
        *(
            f"{path} runs with `pipestill predict FOLDER --file {path}`, `file={path!r}` or `dtype: {dtype!r}`."
            for path, dtype in further
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
            "batch 1 the answer depends on the text alone. Made with `reduce_range: false`, its sums "
            "can saturate on CPUs without VNNI instructions."
        ),
    ]


def _data(card: CardContent) -> list[str]:
    rows = ", ".join(f"{split} {count}" for split, count in card.num_rows.items())
    name, origin, licence = map(escaped, (card.data_name, card.data_origin, card.data_licence))
    return [
        f"- Texts longer than {card.max_length} tokens are cut: {card.cut_fraction:.1%} of the dev texts.",
        "",
        "## Data",
        "",
        f"{name} ({origin}), rows: {rows}. Licence: {licence}.",
        "",
        *(line for line in card.base_notice.splitlines()),
        "",
    ]


def _recipe(record: ExportRecord) -> list[str]:
    fused = ", ".join(f"{count} {name}" for name, count in record.fused_operators.items()) or "nothing"
    recipe = json.dumps(record.card.recipe, indent=2, ensure_ascii=False)
    share = record.quantised_share
    stays = ", ".join(f"{size} bytes of {name}" for name, size in share.float_bytes_by_operator.items()) or "nothing"
    return [
        "## Recipe",
        "",
        (
            f"Exported from weights {record.source_sha256}; opset {record.opset}; fused: {fused}. In the int8 file "
            f"{share.quantised_fraction:.2%} of the weight bytes that have an int8 operator are quantised, and "
            f"{share.total_quantised_fraction:.2%} of all; what stays float: {stays}. Products whose inputs are "
            f"equalised: {record.equalised_inputs}."
        ),
        "",
        "```json",
        recipe,
        "```",
    ]
