"""optimum_client.py FOLDER FILE: a JSON list of texts on standard input, a list of answers on standard output.

Runs in an environment of its own: optimum-onnx wants an older transformers than the pipeline.
"""

import json
import sys

from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline

folder, file = sys.argv[1:]
model = ORTModelForSequenceClassification.from_pretrained(folder, subfolder="onnx", file_name=file)
tokenizer = AutoTokenizer.from_pretrained(folder)
classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, truncation=True, device="cpu")
print(json.dumps([classify([text])[0] for text in json.load(sys.stdin)]))
