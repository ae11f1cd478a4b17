"""Data of one's own with 77 labels, as intent data sets have them, by the rules of params.yaml as they stand."""

from itertools import product
from pathlib import Path

import pytest

from pipestill.data.params import PrepareParams
from pipestill.data.prepare import prepare
from pipestill.data.tables import PREPARED, TEST, TRAIN, read_columns
from pipestill.params import load_section, parse_section
from pipestill.raw import RAW
from pipestill.sources.fetch import fetch_dataset
from pipestill.sources.params import FetchParams
from pipestill.tasks.targets import read_labels

ROOT = Path(__file__).parents[2]
VERBS = ("activate", "cancel", "change", "find", "order", "replace", "report")
THINGS = (
    "card",
    "PIN",
    "transfer",
    "top-up",
    "refund",
    "exchange rate",
    "cheque",
    "direct debit",
    "fee",
    "e-mail",
    "👛",
)
PHRASES = (
    "How do I {verb} my {thing}?",
    "I want to {verb} the {thing}, please",
    "can't {verb} {thing}",
    'it says "{verb} your {thing}" - why?',
    "Where in the app can one {verb} a {thing}",
    "Help!! {thing}: {verb} it now",
    "is there a charge to {verb} another {thing}?",
    "my wife would like to {verb} her {thing}",
    "{verb} {thing} from abroad",
    "Yesterday I tried to {verb} the {thing}; nothing happened.",
)


def test_77_labels_come_through_fetch_and_prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels = {f"{verb}_{thing}": (verb, thing) for verb, thing in product(VERBS, THINGS)}
    rows = [
        (phrase.format(verb=verb, thing=thing), label) for label, (verb, thing) in labels.items() for phrase in PHRASES
    ]
    quoted = ['"{}","{}"'.format(text.replace('"', '""'), label) for text, label in rows]
    Path("data/local").mkdir(parents=True)
    Path("data/local/intents.csv").write_text("\n".join(["text,label", *quoted, ""]), encoding="utf-8")
    dataset = {
        "kind": "local",
        "name": "intents",
        "licence": "internal",
        "format": "csv",
        "text_column": "text",
        "label_column": "label",
        "files": {"all": ["data/local/intents.csv"]},
    }
    base = {"kind": "named", "name": "minilm_l6"}
    params = parse_section({"fetch": {"dataset": dataset, "base": base}}, "fetch", FetchParams)

    manifest = fetch_dataset(params.dataset, RAW)
    rules = load_section("prepare", PrepareParams, ROOT / "params.yaml")
    card = prepare(manifest, RAW, PREPARED, rules, tmp_path / "scratch")

    assert len(labels) == 77
    assert read_labels(PREPARED / "labels.json").labels == tuple(sorted(labels))
    assert sum(card.splits[name].num_rows for name in ("train", "dev", "test")) == len(rows) == 770
    assert set(read_columns(TRAIN).label_ids.tolist()) == set(range(77))
    names = read_labels(PREPARED / "labels.json")
    test = read_columns(TEST)
    assert len(test.texts) > 40
    truth = dict(rows)
    assert all(truth[text] == names.labels[label] for text, label in zip(test.texts, test.label_ids, strict=True))
