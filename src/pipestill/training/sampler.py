"""The order of training rows: a function of lengths, batch size, seed and epoch, so that a resumed run continues it."""

from collections.abc import Iterator, Sequence

import torch

from pipestill.seeding import derive_seed
from pipestill.text.batching import length_bucketed_order


class LengthBucketedSampler(torch.utils.data.Sampler[int]):
    """Row numbers of one epoch after another; see `length_bucketed_order`.

    Attributes:
        epoch: the epoch whose order the next iteration gives, counted from 0.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.epoch = 0
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        seed = derive_seed(self._seed, "row order", self.epoch)
        yield from length_bucketed_order(self._lengths, self._batch_size, seed)
