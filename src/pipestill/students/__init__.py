"""The student architectures. To add one: a file beside this, its import and its place here, an entry in params.yaml."""

from pipestill.students.bert_layers import BertLayersSpec

StudentKind = BertLayersSpec
