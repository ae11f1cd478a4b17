"""A training that takes no time: its quality on dev depends on one param, and its record is its only out."""

import json

from repositories import Repository

from pipestill.reporting.params import Constraints

TRAIN = """
import json, pathlib, sys
from ruamel.yaml import YAML

rate = YAML(typ="safe").load(pathlib.Path("params.yaml"))["second"]["lr"]
best = {"epoch": 1, "step": 1, "train_loss": 0.1, "dev": {"accuracy": 1 - abs(rate - 0.3), "macro_f1": rate, "nll_nats": 0.5}}
record = {"model": "small", "num_rows": 1, "num_parameters": 1, "num_trained_parameters": 1}
record |= {"selection_metric": "accuracy", "best_epoch": 1, "epochs": [best], "steps": [], "choices": []}
out = pathlib.Path("metrics/training/small.json")
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(json.dumps(record))
"""
DVC_YAML = """
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [second.lr]
    outs: [metrics/training/small.json]
"""


def write_training(repository: Repository) -> None:
    """Put the stage into a repository; the best rate is 0.3, and it starts at 0.1."""
    (repository.root / "train.py").write_text(TRAIN)
    (repository.root / "dvc.yaml").write_text(DVC_YAML)
    set_rate(repository, 0.1)
    with (repository.root / ".gitignore").open("a") as file:
        file.write("/metrics\n")
    repository.run("dvc", "repro", "-q")
    repository.commit()


def set_rate(repository: Repository, rate: float) -> None:
    report = {"metric": "accuracy", "variants": ["onnx_int8"]}
    limits = dict.fromkeys(Constraints.model_fields, 0.0)
    params = {"second": {"lr": rate}, "report": report | {"constraints": limits}}
    (repository.root / "params.yaml").write_text(json.dumps(params))
