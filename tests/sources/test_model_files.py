"""A base's own code is never taken, never asked about and never run."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_local_and_hub import COMMIT, save_model

import tiny
from pipestill.errors import ParamsError, SourceError
from pipestill.fingerprint import sha256_files
from pipestill.params import parse_section
from pipestill.sources.catalogue import MODELS
from pipestill.sources.fetch import fetch_model
from pipestill.sources.params import HubModel, LocalModel, ModelSource
from pipestill.tasks.targets import LabelSet
from pipestill.teacher.from_base import new_classifier

SOURCE = Path(__file__).parents[2] / "src/pipestill"
LOCAL_BASE = LocalModel(kind="local", path="data/local/teacher", licence="MIT")
HUB_BASE = HubModel(kind="hub", repo="some/model", revision=COMMIT, licence="MIT")
TAKEN = ["NOTICE.txt", "config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(("source", "place"), [(LOCAL_BASE, "data/local/teacher"), (HUB_BASE, "some/model")])
def test_only_weights_config_and_tokenizer_are_taken_and_the_rest_is_named(
    source: LocalModel | HubModel, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_model(tmp_path / "teacher")
    for name in ("modeling_own.py", "adapter_config.json", "odd\nname"):
        (folder / name).write_text("{}")
    (folder / "deep").mkdir()
    fetch_model(source, tmp_path / "base", local=tmp_path, snapshot=lambda *_: folder)
    assert sorted(sha256_files(tmp_path / "base")) == TAKEN
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "left behind" in line)
    names = "'odd\\nname', adapter_config.json, deep, modeling_own.py, pytorch_model.bin"
    assert line.startswith(f"fetch: left behind in {place}: {names}. Of a base only weights in safetensors")


@pytest.mark.parametrize("source", [LOCAL_BASE, HUB_BASE])
def test_a_link_in_a_base_that_leads_elsewhere_is_refused(source: LocalModel | HubModel, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "own/teacher")
    (folder / "config.json").rename(tmp_path / "elsewhere.json")
    (folder / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(SourceError, match=r"teacher/config\.json|model/config\.json is a link that leaves"):
        fetch_model(source, tmp_path / "base", local=tmp_path / "own", snapshot=lambda *_: folder)


def test_a_package_s_code_is_refused_when_params_are_read() -> None:
    base = MODELS["minilm_l6"].model_dump(mode="json")
    with pytest.raises(ParamsError, match=r"modeling\.py is never taken of a base"):
        parse_section({"base": base | {"files": ["config.json", "modeling.py"]}}, "base", ModelSource)


ANSWERS_YES = """
import sys
from pathlib import Path
from pipestill.tasks.targets import LabelSet
from pipestill.teacher.from_base import new_classifier
from pipestill.tracking import run_main
def main():
    print(repr(sys.stdin.read()))
    new_classifier(Path(sys.argv[1]), labels=LabelSet(labels=("a", "b")), max_length=24, dropout=0.1)
run_main(main)
"""


def test_code_beside_a_base_is_not_run_even_where_somebody_answers_yes(tmp_path: Path) -> None:
    base = tiny.save_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForSequenceClassification": "own.OwnModel"}
    (base / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": own}))
    (base / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    command = [sys.executable, "-c", ANSWERS_YES, str(base)]
    done = subprocess.run(command, input="yes\n" * 9, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("''\n")
    assert "can only be loaded by running code that comes with it" in done.stderr
    assert "Do you wish" not in done.stdout + done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_known_architecture_loads_without_its_own_code_and_names_none_afterwards(
    tmp_path: Path, labels: LabelSet
) -> None:
    base = tiny.save_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoConfig": "own.OwnConfig"}}))
    (base / "own.py").write_text("raise RuntimeError\n")
    built = new_classifier(base, labels=labels, max_length=24, dropout=0.1)
    built.model.save_pretrained(tmp_path / "saved")
    assert "auto_map" not in json.loads((tmp_path / "saved/config.json").read_text())


def test_every_loading_of_a_model_forbids_its_code() -> None:
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                if node.func.attr in ("from_pretrained", "from_config") and owner.startswith("Auto"):
                    trusts = [ast.unparse(word.value) for word in node.keywords if word.arg == "trust_remote_code"]
                    found.append((path.name, trusts))
    assert len(found) > 5
    assert [place for place in found if place[1] != ["False"]] == []
