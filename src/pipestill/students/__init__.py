"""The student architectures. To add one: a file beside this, its import and its place here, an entry in params.yaml."""

from typing import Annotated

from pydantic import Field

from pipestill.students.albert import AlbertSpec
from pipestill.students.bert_layers import BertLayersSpec
from pipestill.students.distilbert import DistilbertSpec

StudentKind = Annotated[AlbertSpec | BertLayersSpec | DistilbertSpec, Field(discriminator="kind")]
"""Every student architecture, told apart by `kind`."""
