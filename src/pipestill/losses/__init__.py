"""The losses. To add one: a file beside this, its import and its place in the union here, an entry in params.yaml."""

from typing import Annotated

from pydantic import Field

from pipestill.losses.cross_entropy import CrossEntropySpec
from pipestill.losses.logit_mse import LogitMseSpec
from pipestill.losses.soft_target_kl import SoftTargetKlSpec

Loss = Annotated[CrossEntropySpec | LogitMseSpec | SoftTargetKlSpec, Field(discriminator="kind")]
