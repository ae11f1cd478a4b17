"""The data card as Markdown, and its short form for the terminal."""

from pipestill.data.card import REASONS, REPAIRS, DataCard
from pipestill.data.findings import basics, spelled, warnings
from pipestill.data.look_alikes import visible
from pipestill.markdown import escaped

NUM_FIRST = 3
"""Number of findings that the card opens with."""


def card_markdown(card: DataCard) -> str:
    """Write the card as Markdown; it opens with the three most important findings."""
    first = [*warnings(card), *basics(card)][:NUM_FIRST]
    lines = [
        f"# Data card: {escaped(card.name)}",
        "",
        *(f"{place}. {escaped(line)}" for place, line in enumerate(first, start=1)),
    ]
    lines += ["", f"From {escaped(card.origin)} ({card.kind}). Licence: {escaped(card.licence)}.", ""]
    lines += ["| split | rows | labels | mean chars | median | 95% | longest |", "|---|--:|--:|--:|--:|--:|--:|"]
    for name, split in card.splits.items():
        length = split.length_chars
        numbers = [split.num_rows, len(split.num_rows_by_label)]
        numbers += [round(length[key]) for key in ("mean", "p50", "p95", "max")] if length else [0, 0, 0, 0]
        lines.append("| " + " | ".join([name, *(f"{number:,}" for number in numbers)]) + " |")
    lines += ["", "## Labels", "", "| label | train | dev | test |", "|---|--:|--:|--:|"]
    for label in card.splits["train"].num_rows_by_label:
        counts = [card.splits[name].num_rows_by_label.get(label, 0) for name in ("train", "dev", "test")]
        lines.append(f"| {escaped(visible(label))} | " + " | ".join(f"{count:,}" for count in counts) + " |")
    lines += ["", "## Rows read, dropped and repaired", ""]
    lines += [f"- read as {role}: {count:,}" for role, count in card.num_rows_read.items()]
    for place, reasons in card.num_dropped.items():
        lines += [f"- dropped from {place}: {count:,} ({REASONS[reason]})" for reason, count in reasons.items()]
    lines += [f"- repaired: {count:,} ({REPAIRS[repair]})" for repair, count in card.num_repaired.items()]
    if card.rare_labels:
        lines.append(f"- rare labels, kept whole in train: {escaped(', '.join(map(visible, card.rare_labels)))}")
    lines += [f"- no dev row has the label {escaped(visible(label))}" for label in card.labels_without_dev_rows]
    lines += [f"- no test row has the label {escaped(visible(label))}" for label in card.labels_without_test_rows]
    lines += [
        f"- look alike, and are labels of their own: {escaped(spelled(group))}" for group in card.look_alike_labels
    ]
    lines += [f"- {escaped(note)}" for note in card.notes]
    if card.num_contradictory_texts:
        lines += ["", f"## Contradictions: {card.num_contradictory_texts:,} text(s) with several labels, such as", ""]
        lines += [
            f"- {escaped(', '.join(map(visible, item.labels)))}: {escaped(item.text)}" for item in card.contradictions
        ]
    return "\n".join(lines) + "\n"
