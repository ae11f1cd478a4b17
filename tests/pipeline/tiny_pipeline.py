"""The real pipeline in a repository of its own: the files as they are here, tiny data, a tiny base, two students."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from transformers import AutoConfig, AutoModel

import sync_deps
import tiny
from pipestill.fingerprint import sha256_files, sha256_json
from tracking.repositories import Repository

ROOT = Path(__file__).parents[2]
STUDENTS = ("bert_pruned", "bert_pruned_alone")
LABELS = ("bad", "fine", "good")
STAGES = {
    "check",
    "fetch",
    "prepare",
    "transfer",
    "finetune_teacher",
    "cache_logits",
    "baseline",
    "export_teacher",
    "evaluate_teacher",
    *(f"{stage}@{student}" for stage in ("distill", "export", "evaluate") for student in STUDENTS),
    "benchmark",
    "report",
    "package",
}
RECORDER = """
import os, sys

if "DVC_STAGE" in os.environ:
    seen = set()
    log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def record(event, arguments):
        if event == "open" and not isinstance(arguments[0], int):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if path not in seen:
                seen.add(path)
                os.write(log, (os.environ["DVC_STAGE"] + "\\t" + path + "\\n").encode())

    sys.addaudithook(record)
"""
"""Every Python process of a stage writes down which files it opens."""


class TinyPipeline(Repository):
    """A repository with the pipeline in it.

    Attributes:
        tracking: `live`, or `later` where a test reads no MLflow runs of what it runs.
    """

    tracking = "later"

    def environment(self, **extra: str) -> dict[str, str]:
        paths = {"PYTHONPATH": f"{self.root / 'src'}:{self.root.parent / 'recorder'}", "OPENED": str(self.opened)}
        return super().environment(**paths, PIPESTILL_TRACKING=self.tracking, **extra)

    @property
    def opened(self) -> Path:
        return self.root.parent / "opened.tsv"

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro` and return the stages that ran."""
        return stages_in(self.run("dvc", "repro", *arguments).stdout)

    def change(self, dotted: str, value: object) -> None:
        """Set one value in params.yaml, with the mappings on the way; a part that is a number is a place in a list."""
        params = self.params()
        *sections, key = dotted.split(".")
        section: Any = params
        for name in sections:
            section = section[int(name)] if name.isdigit() else section.setdefault(name, {})
        section[key] = value
        self.write_params(params)

    def params(self) -> Any:
        return YAML(typ="safe", pure=True).load((self.root / "params.yaml").read_text())

    def write_params(self, params: object) -> None:
        write_yaml(self.root / "params.yaml", params)

    def lock(self) -> dict[str, Any]:
        stages: dict[str, Any] = YAML(typ="safe", pure=True).load((self.root / "dvc.lock").read_text())["stages"]
        return stages

    def out_files(self) -> dict[str, list[Path]]:
        """The files in each stage's outs."""
        return {
            stage: [file for out in entry["outs"] for file in files_in(self.root / out["path"])]
            for stage, entry in self.lock().items()
        }

    def content(self) -> str:
        """An address of all files but git's own."""
        files = sha256_files(self.root)
        return sha256_json({name: sha256 for name, sha256 in files.items() if not name.startswith(".git/")})

    def copy(self, folder: Path) -> "TinyPipeline":
        """A copy with outs and cache, for a test to change."""
        shutil.copytree(self.root, folder / "repository", symlinks=True)
        shutil.copytree(self.root.parent / "recorder", folder / "recorder")
        return TinyPipeline(folder / "repository")


def write_yaml(path: Path, content: object) -> None:
    """Write one value a line: what ruamel writes into `[hidden:1]` DVC's parser does not read."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    with path.open("w") as file:
        yaml.dump(content, file)


def files_in(path: Path) -> list[Path]:
    """A file itself, or all files below a folder."""
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def stages_in(output: str) -> list[str]:
    """The stages that an output of `dvc repro` says were run."""
    return re.findall(r"^Running stage '([^']+)'", output, flags=re.MULTILINE)


def new_pipeline(folder: Path) -> TinyPipeline:
    """The files that git knows, as they are now, with tiny data and settings; nothing has run."""
    root = folder / "repository"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and Path(name).name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (folder / "recorder").mkdir()
    (folder / "recorder/sitecustomize.py").write_text(RECORDER)
    pipeline = TinyPipeline(root)
    write_rows(root / "data/local")
    save_base(root / "data/local/base")
    pipeline.write_params(scaled_down(pipeline.params()))
    path = root / "dvc.yaml"
    path.write_text(sync_deps.synced(path.read_text(), list(STUDENTS), []))
    pipeline.run("git", "init", "-q")
    pipeline.commit("before the first run")
    return pipeline


def write_rows(folder: Path) -> None:
    """120 rows with 3 labels, each told by a word of the text, and 20 without a label."""
    draw = random.Random(0)
    texts: dict[str, str] = {}
    while len(texts) < 140:
        label = LABELS[len(texts) % 3]
        filler = draw.choices([word for word in tiny.WORDS if word not in LABELS], k=4 + len(texts) % 9)
        texts.setdefault(" ".join([*filler[:2], label, *filler[2:]]), label)
    rows = [f"{text},{label}" for text, label in texts.items()]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows[:120], ""]))
    (folder / "more.csv").write_text("\n".join(["text,label", *(f"{row.split(',')[0]}," for row in rows[120:]), ""]))


def save_base(folder: Path) -> None:
    """A BERT of six layers with random weights, wide enough that 8 bits make it smaller."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "bert",
        vocab_size=len(tiny.SPECIAL) + len(tiny.WORDS),
        hidden_size=64,
        num_hidden_layers=6,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=tiny.POSITIONS,
    )
    AutoModel.from_config(config).save_pretrained(folder)
    tiny.save_tokenizer(folder)


def scaled_down(params: Any) -> Any:
    """The settings of params.yaml where they fit, and small numbers where a tiny model needs them."""
    files = {"all": ["data/local/rows.csv"], "unlabelled": ["data/local/more.csv"]}
    columns = {"format": "csv", "text_column": "text", "label_column": "label"}
    params["fetch"] = {
        "dataset": {"kind": "local", "name": "tiny", "licence": "internal", "files": files} | columns,
        "base": {"kind": "local", "path": "data/local/base", "licence": "internal"},
    }
    params["prepare"]["split"] |= {"dev_fraction": 0.25, "test_fraction": 0.25}
    params["transfer"]["augmentations"] += [
        {"kind": "mask_words", "copies": 1, "fraction": 0.15},
        {"kind": "mix_rows", "copies": 1},
    ]
    params["students"] = {name: params["students"][name] for name in STUDENTS}
    for student in params["students"].values():
        student["architecture"] |= {"intermediate_size": 64} if student["architecture"]["kind"] == "bert_pruned" else {}
    for model in (params["finetune_teacher"], params["student_defaults"]):
        model["max_length"] = 24
        model["training"] |= {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "checkpoint_steps": 10}
    params["cache_logits"] |= {"batch_size": 16, "shard_rows": 64}
    params["baseline"] |= {"min_rows": 1, "inverse_regularisation": [1.0]}
    measure_little(params)
    return params


def measure_little(params: Any) -> None:
    """Gates that a tiny model's int8 file passes, few replicates and few timed rows."""
    params["export"]["int8"] |= {
        "min_quantised_fraction": 0.0,
        "max_size_fraction": 1.0,
        "max_quality_drop_fraction": 1.0,
    }
    params["evaluate"]["bootstrap"]["replicates"] = 100
    params["benchmark"] |= {"num_rows": 4, "warmup_runs": 1, "rounds": 2, "throughput_batches": 1}


def slim_python(folder: Path) -> tuple[str, ...]:
    """A command for Python with nothing installed but what pyproject.toml lists for an application."""
    site = Path(torch.__file__).parents[1]
    folder.mkdir()
    for package in ("numpy", "onnxruntime", "tokenizers"):
        for path in site.glob(f"{package}*"):
            (folder / path.name).symlink_to(path)
    path = json.dumps([str(ROOT / "src"), str(folder)])
    start = f"import sys; sys.path[:0] = {path}; from pipestill.predict.command import main; sys.exit(main())"
    return (sys.executable, "-S", "-I", "-c", start)
