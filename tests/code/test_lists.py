"""Code lists: which files they name, where they lie, and what changed since they were written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipestill.code.closure import closure, imports
from pipestill.code.digest import module_digest
from pipestill.code.lists import (
    changed_files,
    changed_since,
    code_list,
    is_code,
    is_code_list,
    read_code_lists,
    write_code_lists,
)
from pipestill.code.stale import stale_stages
from pipestill.errors import ParamsError

PARAMS = """
from typing import Literal
from pipestill.e import Base
from pipestill.f import Number, other
class OneSpec(Base):
    kind: Literal["one"]
class TwoSpec(Base):
    kind: Literal["two"]
    number: Number
Loss = OneSpec | TwoSpec
"""
SOURCES = {
    "src/pipestill/__init__.py": "",
    "src/pipestill/a.py": "from pipestill import b\n",
    "src/pipestill/b.py": "import pipestill.exporters.three\ndef f():\n    import pipestill.losses.one\n",
    "src/pipestill/c.py": "from pipestill import progress, tracking\n",
    "src/pipestill/d.py": "from pipestill.losses.params import Loss, TwoSpec\n",
    "src/pipestill/e.py": "",
    "src/pipestill/f.py": "",
    "src/pipestill/progress.py": "import pipestill.b\n",
    "src/pipestill/tracking/__init__.py": "import pipestill.b\n",
    "src/pipestill/exporters/__init__.py": "from pipestill.exporters import three, four\n",
    "src/pipestill/exporters/three.py": "",
    "src/pipestill/losses/__init__.py": "",
    "src/pipestill/losses/params.py": PARAMS,
    "src/pipestill/losses/one.py": "x = 1\n",
    "src/pipestill/losses/two.py": "x = 2\n",
    "stages/train.py": "import pipestill.a\n",
    "stages/show.py": "import pipestill.c\n",
}
PIPELINE: dict[str, Any] = {
    "stages": {
        "check": {"outs": ["data/ok.json", "data/code/show.json", "data/code/train-s.json", "data/code/train-t.json"]},
        "train": {"foreach": "${students}", "do": {"deps": ["data/code/train-${key}.json", "data/rows"]}},
        "show": {"deps": ["data/code/show.json"]},
        "once": {},
    }
}
MEMBERS = {"train": {"s": ["src/pipestill/losses/one.py"], "t": ["src/pipestill/losses/two.py"]}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of few modules with a pipeline on it; the process stands in its root."""
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "dvc.yaml").write_text(json.dumps(PIPELINE))
    (tmp_path / "params.yaml").write_text("students: {s: {}, t: {}}")
    monkeypatch.chdir(tmp_path)
    forget()
    return tmp_path


def forget() -> None:
    """Each process reads a file once; here the files change."""
    for function in (closure, imports, module_digest):
        function.cache_clear()


def test_a_list_names_the_script_and_all_that_it_imports_with_digests(project: Path) -> None:
    listed = code_list(Path("stages/train.py"))
    assert list(listed) == [
        *(
            f"src/pipestill/{name}.py"
            for name in ("__init__", "a", "b", "exporters/three", "losses/__init__", "losses/one")
        ),
        "stages/train.py",
    ]
    assert all(len(digest) == 64 for digest in listed.values())


def test_what_only_shows_or_records_is_in_no_list_nor_is_what_it_imports(project: Path) -> None:
    assert set(code_list(Path("stages/show.py"))) == {
        "src/pipestill/__init__.py",
        "src/pipestill/c.py",
        "stages/show.py",
    }


def test_code_depends_on_the_settings_that_it_names_and_by_them_on_their_loss_but_on_no_union(project: Path) -> None:
    settings = Path("src/pipestill/losses/params.py:TwoSpec")
    named = {settings.as_posix(), *(f"src/pipestill/{name}.py" for name in ("e", "f", "losses/two"))}
    packages = {"src/pipestill/__init__.py", "src/pipestill/losses/__init__.py"}
    assert closure(Path("src/pipestill/d.py")) == named | packages
    digest = module_digest(settings)
    edits = [
        ("    number: Number\n", "    number: int\n", True),
        ('"one"', '"uno"', False),
        ("Number, other", "Number, others", False),
        ("OneSpec | ", "", False),
    ]
    for old, new, changes in edits:
        Path("src/pipestill/losses/params.py").write_text(PARAMS.replace(old, new))
        forget()
        assert (module_digest(settings) != digest) == changes, new
    assert changed_since({settings.as_posix(): digest, "src/pipestill/losses/params.py:GoneSpec": "1"}) == [
        "src/pipestill/losses/params.py:GoneSpec"
    ]


def test_every_list_among_the_outs_is_written_with_the_members_of_its_item(project: Path) -> None:
    write_code_lists(PIPELINE, "check", MEMBERS)
    written = {path.name: set(json.loads(path.read_text())) for path in Path("data/code").iterdir()}
    assert set(written) == {"show.json", "train-s.json", "train-t.json"}
    assert written["train-t.json"] - written["train-s.json"] == {"src/pipestill/losses/two.py"}
    assert written["train-s.json"] == set(code_list(Path("stages/train.py")))
    assert read_code_lists(["data/rows", "data/code/show.json"]) == code_list(Path("stages/show.py"))


def test_files_that_params_name_for_all_items_are_in_the_list_of_each_and_of_the_whole(project: Path) -> None:
    write_code_lists(PIPELINE, "check", MEMBERS | {"show": {"": ["src/pipestill/losses/one.py"]}})
    assert "src/pipestill/losses/one.py" in read_code_lists(["data/code/show.json"])
    write_code_lists(PIPELINE, "check", {"train": MEMBERS["train"] | {"": ["src/pipestill/c.py"]}})
    for item in ("s", "t"):
        listed = read_code_lists([f"data/code/train-{item}.json"])
        assert {"src/pipestill/c.py", *MEMBERS["train"][item]} <= set(listed)


def test_a_list_for_an_item_that_params_lack_is_refused_with_the_command_that_mends_it(project: Path) -> None:
    with pytest.raises(ParamsError, match=r"(?s)train-t.json.*no t in params.yaml.*make deps"):
        write_code_lists(PIPELINE, "check", {"train": {"s": []}})


def test_the_stages_whose_code_changed_are_named_before_check_runs(project: Path) -> None:
    assert stale_stages(Path("dvc.yaml")) == {}, "no list was written yet"
    write_code_lists(PIPELINE, "check", MEMBERS)
    assert stale_stages(Path("dvc.yaml")) == {}
    Path("src/pipestill/losses/two.py").write_text("x = 3\n")
    Path("src/pipestill/b.py").unlink()
    Path("src/pipestill/c.py").write_text(f"# a comment\n{SOURCES['src/pipestill/c.py']}")
    forget()
    gone, changed = "src/pipestill/b.py", "src/pipestill/losses/two.py"
    assert stale_stages(Path("dvc.yaml")) == {"train@s": [gone], "train@t": [gone, changed]}


def test_the_command_says_the_same(project: Path) -> None:
    write_code_lists(PIPELINE, "check", MEMBERS)
    command = [sys.executable, "-m", "pipestill.code"]
    source = str(Path(__file__).parents[2] / "src")

    def said() -> str:
        done = subprocess.run(command, env={"PYTHONPATH": source}, capture_output=True, text=True, check=True)
        return done.stdout

    assert said() == "no stage's code changed since its code list was written\n"
    Path("src/pipestill/losses/two.py").write_text("x = 3\n")
    assert said() == "train@t: code: losses/two.py\n"


def test_lists_differ_in_what_was_added_changed_or_is_gone() -> None:
    assert changed_files({"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1", "d": "1"}) == ["a", "b", "d"]
    assert changed_since({}) == []


@pytest.mark.parametrize(
    ("path", "a_list", "code"),
    [
        ("data/code/prepare.json", True, True),
        ("data/ablation/code/ablation_cell-a-b.json", True, True),
        ("data/prepared/card.json", False, False),
        ("metrics/code/x.json", False, False),
        ("src/pipestill", False, True),
        ("stages", False, True),
        ("src/pipestill/data/prepare.py", False, True),
        ("models/base", False, False),
    ],
)
def test_what_is_a_code_list_and_what_is_code(path: str, a_list: bool, code: bool) -> None:
    assert (is_code_list(path), is_code(path)) == (a_list, code)
