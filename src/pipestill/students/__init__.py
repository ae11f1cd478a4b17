"""The student architectures. To add one: a file beside this, a line in each list here, an entry in params.yaml."""

from pipestill.students.bert_layers import BertLayersSpec

StudentKind = BertLayersSpec
