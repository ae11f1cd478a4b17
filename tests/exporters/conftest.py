from pathlib import Path

import numpy as np
import pytest
import torch
from exporter_models import FAMILIES, MAX_LENGTH, SPECIAL, WORDS, bert, int8
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pipestill.exporters.artifact import DevRows, export_folder
from pipestill.exporters.onnx_fp32 import OnnxFp32
from pipestill.exporters.params import Equalisation, ExportParams, ParityParams
from pipestill.exporters.records import CardContent, ExportRecord
from pipestill.teacher import load_classifier


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tiny_bert() -> PreTrainedModel:
    torch.manual_seed(0)
    return bert().eval()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    bert().save_pretrained(folder)
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=MAX_LENGTH,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts() -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 24))) for _ in range(40)]


@pytest.fixture(scope="session")
def dev(texts: list[str]) -> DevRows:
    return DevRows(texts, np.zeros(len(texts), dtype=np.int64))


@pytest.fixture(scope="session")
def params() -> ExportParams:
    return ExportParams(
        fp32=OnnxFp32(kind="onnx_fp32", fuse=True),
        equalisation=Equalisation(num_rows=16, usual_quantile=0.98, min_outlier_ratio=3.0),
        int8=int8(),
        parity=ParityParams(tolerance=1e-4, num_rows=40),
        gate_batch_size=8,
    )


@pytest.fixture(scope="session")
def card_content() -> CardContent:
    return CardContent(
        data_name="tiny films",
        data_origin="a test",
        data_licence="CC0 1.0",
        num_rows={"train": 30, "dev": 40, "test": 10},
        base_notice="From: nowhere\nLicence of the weights: CC0 1.0",
        max_length=MAX_LENGTH,
        cut_fraction=0.01,
        task="classes",
        labels=("negative", "neutral", "positive"),
        recipe={"seed": 1},
    )


@pytest.fixture(scope="session")
def exported(
    model_folder: Path,
    dev: DevRows,
    params: ExportParams,
    card_content: CardContent,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, ExportRecord]:
    """An exported folder, into which something was left before, and its record; not to be changed."""
    target = tmp_path_factory.mktemp("exported")
    (target / "onnx").mkdir()
    (target / "onnx" / "left_over.onnx").write_bytes(b"old")
    classifier = load_classifier(model_folder)
    return target, export_folder(
        "bert_l2", classifier, model_folder, target, dev, dev.texts, params, lambda: card_content
    )
