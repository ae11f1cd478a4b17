"""The sections `cache_logits` and `ensembles.<name>` of params.yaml."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from pipestill.params import Section
from pipestill.precision import PrecisionSetting
from pipestill.shards import StorageDtype
from pipestill.sites import Site, Tokens


def _as_sites(value: Any) -> Any:  # noqa: ANN401 (any YAML value)
    return tuple(value) if isinstance(value, list) else value


def _are_sites(sites: tuple[str, ...]) -> tuple[str, ...]:
    for site in sites:
        Site.parse(site)
    return tuple(sorted(set(sites)))


class FeaturesParams(Section):
    """The teacher's features to keep beside its logits.

    Attributes:
        sites: sites such as `hidden:6` or `query:3`; an empty list keeps logits only.
        tokens: the first token of each row, or all, which multiplies the size by the tokens per row.
        max_bytes: a larger set of features is refused before anything is written.
    """

    sites: Annotated[tuple[str, ...], BeforeValidator(_as_sites), AfterValidator(_are_sites)]
    tokens: Tokens
    max_bytes: int = Field(ge=1)

    @property
    def none(self) -> "FeaturesParams":
        """Return settings that keep no features."""
        return self.model_copy(update={"sites": ()})


class CacheLogitsParams(Section):
    """Settings of the teacher's run over the transfer set, and of the storage of its logits.

    Attributes:
        batch_size: rows in one forward pass.
        precision: arithmetic of the teacher's matrix products.
        shard_rows: rows in one shard; a killed run resumes at the next shard.
        storage_dtype: float16 keeps logits of the usual size to three digits in half the bytes.
        features: features to keep beside the logits.
    """

    batch_size: int = Field(ge=1)
    precision: PrecisionSetting
    shard_rows: int = Field(ge=1)
    storage_dtype: StorageDtype
    features: FeaturesParams


class EnsembleParams(Section):
    """The members of an ensemble.

    Attributes:
        teachers: weight of each member, above 0, by its name: `teacher`, or a name of `more_teachers`.
    """

    teachers: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=2)
