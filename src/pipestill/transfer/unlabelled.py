"""unlabelled: a share of the unlabelled texts, unchanged, chosen by the hash of each row.

Source: distillation needs no labels (Hinton et al. 2015, arXiv 1503.02531: the transfer set "could consist
entirely of unlabeled data").
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipestill.transfer._base import AugmentationSpec, NewRow, TransferInputs


class Unlabelled(AugmentationSpec):
    """Each unlabelled row with probability `fraction`."""

    kind: Literal["unlabelled"]
    fraction: Annotated[float, Field(gt=0, le=1)]

    def new_rows(self, given: TransferInputs) -> Iterator[NewRow]:
        """Choose unlabelled rows; see `AugmentationSpec.new_rows`."""
        for row in given.unlabelled:
            if self.stream(given.seed, row.content_id, 0).random() < self.fraction:
                yield NewRow(row.text, ())
