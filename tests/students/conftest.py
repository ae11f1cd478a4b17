"""Rows that students are built on."""

import pytest
import torch

from pipestill.students._base import Batch
from pipestill.teacher import TorchClassifier
from pipestill.text.batching import collate


@pytest.fixture
def batches(teacher: TorchClassifier) -> list[Batch]:
    """Forty rows of 3 to 14 tokens."""
    draw = torch.Generator().manual_seed(0)
    rows = [
        [2, *torch.randint(5, len(teacher.tokenizer), (1 + row % 12,), generator=draw).tolist(), 3] for row in range(40)
    ]
    return [collate(rows[start : start + 8], 0) for start in range(0, 40, 8)]
