"""The augmentations of the transfer set: registration only."""

from typing import Annotated

from pydantic import Field

from pipestill.transfer.crop_ngrams import CropNgrams
from pipestill.transfer.mask_words import MaskWords
from pipestill.transfer.mix_rows import MixRows
from pipestill.transfer.unlabelled import Unlabelled

Augmentation = Annotated[MaskWords | CropNgrams | MixRows | Unlabelled, Field(discriminator="kind")]
