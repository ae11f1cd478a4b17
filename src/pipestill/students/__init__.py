"""The student architectures. To add one: a file beside this, its import and its place here, an entry in params.yaml."""

from typing import Annotated

from pydantic import Field

from pipestill.students.albert import AlbertSpec
from pipestill.students.bert_layers import BertLayersSpec
from pipestill.students.bert_narrow import BertNarrowSpec
from pipestill.students.bert_thin import BertThinSpec
from pipestill.students.bilstm import BilstmSpec
from pipestill.students.distilbert import DistilbertSpec
from pipestill.students.gru_transformer import GruTransformerSpec
from pipestill.students.static import StaticSpec

StudentKind = Annotated[
    AlbertSpec
    | BertLayersSpec
    | BertNarrowSpec
    | BertThinSpec
    | BilstmSpec
    | DistilbertSpec
    | GruTransformerSpec
    | StaticSpec,
    Field(discriminator="kind"),
]
"""Every student architecture, told apart by `kind`."""
