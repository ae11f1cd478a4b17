"""An artifact made by hand: small, and with answers that can be worked out on paper."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

LABELS = ("yes", "no", "\u597d")


def save_artifact(folder: Path) -> None:
    """An artifact whose logits are the sum of its tokens' rows: `good` says yes, `bad` says no."""
    (folder / "onnx").mkdir(parents=True)
    table = numpy_helper.from_array(np.array([[0, 0, 0], [0, 0, 0], [5, 0, 1], [0, 5, 1]], dtype=np.float32), "table")
    axes = numpy_helper.from_array(np.array([1], dtype=np.int64), "axes")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "token"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph(nodes, "g", [ids], [logits], [table, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "onnx/model_quantized.onnx"))
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    labels = {str(label_id): label for label_id, label in enumerate(LABELS)}
    (folder / "config.json").write_text(json.dumps({"id2label": labels}))
