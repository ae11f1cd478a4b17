"""What the tests of foreign clients share: a small artifact, texts, what pipestill answers, and where clients live."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from exporters.exporter_models import FURTHER, SIZES, further, int8
from pipestill.exporters.artifact import DevRows, export_folder
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.params import Equalisation, ExportParams, ParityParams
from pipestill.exporters.records import CardContent
from pipestill.predict import Classifier
from pipestill.teacher import load_classifier

ROOT = Path(__file__).parents[2]
HOMES = ROOT / ".scratch/services"
"""Installed clients, kept from run to run."""

MAX_LENGTH = 64
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("good", "bad", "film", "plot", "the", "was", "it", "dull", "\u597d", "\u7535")
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'"
TEXTS = (
    "a good film",
    "Bad, BAD plot!",
    "  was   it\tdull?\n",
    "\u597d film \u597d\u7535\u5f71",
    "\u00c7\u00e0, na\u00efve cafe\u0301 \u2014 it\u2019s",
    "\U0001f600 good \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0645\u0631\u062d\u0628\u0627 film",
    "x" * 120,
    "the [SEP] film",
)
CUT = "good film, bad plot; " * 20
"""Longer than the model reads."""

Answers = list[dict[str, float]]


def save_wordpiece_bert(folder: Path) -> None:
    """A BERT with random weights and a tokenizer of the kind that real ones have."""
    pieces = [*SPECIAL, *WORDS, *CHARACTERS, *(f"##{character}" for character in CHARACTERS)]
    tokenizer = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokens = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_LENGTH, **tokens).save_pretrained(folder)
    torch.manual_seed(0)
    BertForSequenceClassification(BertConfig(**SIZES)).save_pretrained(folder)


def export_artifact(source: Path, target: Path, *, model_type: str) -> None:
    """Export a model as the pipeline does, in every format, with `model_type` in its config."""
    save_wordpiece_bert(source)
    classifier = load_classifier(source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
    params = ExportParams(
        fp32=OnnxFp32(kind="onnx_fp32", fuse=True),
        equalisation=Equalisation(num_rows=4, usual_quantile=0.98, min_outlier_ratio=3.0),
        int8=int8(),
        more=tuple(further(exporter) for exporter in FURTHER),
        parity=ParityParams(tolerance=1e-4, num_rows=4),
        gate_batch_size=4,
    )
    card_content = CardContent(
        data_name="tiny",
        data_origin="a test",
        data_licence="CC0 1.0",
        num_rows={},
        base_notice="",
        max_length=MAX_LENGTH,
        cut_fraction=0.01,
        task=classifier.labels.task.kind,
        labels=classifier.labels.labels,
        recipe={},
    )
    dev = DevRows(TEXTS, np.zeros(len(TEXTS), dtype=np.int64))
    export_folder("tiny", classifier, source, target, dev, TEXTS, params, lambda: card_content)


def ours(folder: Path, file: str, texts: Sequence[str]) -> Answers:
    """What pipestill.predict answers."""
    return [prediction.probabilities for prediction in Classifier(folder, file=file).predict(texts)]


def theirs(output: str) -> Answers:
    """What a client answered, as label and score."""
    return [{answer["label"]: answer["score"] for answer in answers} for answers in json.loads(output)]


def largest_difference(first: Answers, second: Answers) -> float:
    """The largest difference of a probability; the labels, and which is the most probable, must be the same."""
    for one, other in zip(first, second, strict=True):
        assert set(one) == set(other)
        assert max(one, key=lambda label: one[label]) == max(other, key=lambda label: other[label])
    return max(abs(one[label] - other[label]) for one, other in zip(first, second, strict=True) for label in one)


def home(name: str, install: Callable[[Path], None]) -> Path:
    """The folder of an installed client; installed once, however many workers ask."""
    folder = HOMES / name
    HOMES.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "ready").exists():
            folder.mkdir(exist_ok=True)
            install(folder)
            (folder / "ready").touch()
    return folder


def run(command: Sequence[str | Path], folder: Path, texts: Sequence[str] = (), **environment: str) -> str:
    """Run a client in a folder with texts on standard input; returns what it wrote."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
        env=environment or None,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def python_environment(folder: Path, *requirements: str) -> None:
    """An environment of its own with some distributions, through pip as it is configured."""
    run([sys.executable, "-m", "venv", folder / "venv"], folder)
    run([folder / "venv/bin/python", "-m", "pip", "install", "--quiet", *requirements], folder)
