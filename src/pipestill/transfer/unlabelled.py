"""unlabelled: text without a label, as it is; a share of it, chosen by the hash of each row.

Source: distillation needs no labels (Hinton et al. 2015, arXiv 1503.02531: the transfer set "could consist
entirely of unlabeled data").
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from pipestill.transfer._base import AugmentationSpec, NewRow, Row


class Unlabelled(AugmentationSpec):
    """Each unlabelled row with probability `fraction`."""

    kind: Literal["unlabelled"]
    fraction: Annotated[float, Field(gt=0, le=1)]

    def new_rows(self, train: Sequence[Row], unlabelled: Sequence[Row], seed: int) -> Iterator[NewRow]:  # noqa: ARG002
        """See `AugmentationSpec.new_rows`."""
        for row in unlabelled:
            if self.stream(seed, row.content_id, 0).random() < self.fraction:
                yield NewRow(row.text, ())
