"""What all tests share: shapes checked in public tensor functions, tiny models, a small data set."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models; xdist runs a process on each core

from jaxtyping import install_import_hook

_HOOK = install_import_hook(
    [
        "pipestill.losses",
        "pipestill.logit_cache",
        "pipestill.metrics",
        "pipestill.mlm.soft_targets",
        "pipestill.teacher",
        "pipestill.text",
    ],
    "beartype.beartype",
)

import pytest
import tiny

from pipestill.tasks.targets import LabelSet
from pipestill.teacher import TorchClassifier, load_classifier, save_classifier
from pipestill.teacher.from_base import new_classifier


LONG_S = 900.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take a quarter of an hour comes first: no worker shall wait for the other's last minutes.

    Of the others those that ask for the shared pipeline come last: by then a worker has built it.
    """
    items.sort(key=lambda item: (-_long_s(item), "built" in item.fixturenames))


def _long_s(item: pytest.Item) -> float:
    """How long a test that says so may take; 0 for one that takes less than LONG_S."""
    marker = item.get_closest_marker("timeout")
    allowed_s = float(marker.args[0]) if marker else 0.0
    return allowed_s if allowed_s >= LONG_S else 0.0


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny pretrained BERT."""
    return tiny.save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def labels() -> LabelSet:
    return LabelSet(labels=("bad", "fine", "good"))


@pytest.fixture(scope="session")
def teacher_folder(base: Path, labels: LabelSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny classifier: random weights, three labels."""
    import torch

    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(1)
    classifier = new_classifier(base, labels=labels, max_length=24, dropout=0.1)
    torch.nn.init.normal_(classifier.model.classifier.weight, std=1.0)
    save_classifier(classifier, folder)
    return folder


@pytest.fixture
def teacher(teacher_folder: Path) -> TorchClassifier:
    return load_classifier(teacher_folder)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Forty distinct texts of 1 to 12 words."""
    import random

    words = random.Random(0)
    return sorted({" ".join(words.choices(tiny.WORDS, k=1 + index % 12)) for index in range(48)})[:40]
