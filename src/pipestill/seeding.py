"""Seeds: one number in params.yaml, one independent stream for each use."""

import hashlib
import os
import random

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """Derive the seed of a named stream, so that two uses of one seed do not share random numbers.

    Args:
        seed: random seed of the section in params.yaml.
        names: names of the stream, such as an augmentation's kind and a content id.

    Returns:
        A seed in [0, 2**32), the same on every machine.
    """
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=4).digest(), "big")


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and, where it is installed, torch; make torch refuse non-deterministic kernels."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (libraries below us draw from the global generator)
    try:
        import torch
    except ModuleNotFoundError:
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's products are not deterministic
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
