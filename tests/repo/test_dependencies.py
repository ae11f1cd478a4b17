"""A stage's dependencies are what it reads: no more, or a change reruns too much; no less, or results go stale.

The import graph here is grimp's; pipestill.code, from which the code lists come, reads the sources its own way.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

import sync_deps
from pipestill.code.closure import loading_code, named_code
from pipestill.code.lists import code_list, is_code_list
from pipestill.defaults import with_defaults
from pipestill.exporters.params import ExportParams
from pipestill.training.student_params import StudentParams

ROOT = Path(__file__).parents[2]
EXEMPT = ("pipestill.tracking", "pipestill.progress")
"""In no code list: docs/decisions/0003, 0017."""
REGISTRATIONS = {"pipestill.exporters"}
SETTINGS = {"pipestill.losses.params", "pipestill.students.params", "pipestill.mlm.params"}
"""Modules of which code depends on single classes, and by these on the losses and students of their kinds."""
CHECKS = {".": "check", "pipelines/ablation": "ablation_check", "pipelines/mlm": "mlm_check"}
"""By pipeline the stage that writes its code lists: it depends on all code."""
IMPORTER = """
import json, os, runpy, sys
# Once for all scripts: these take seconds.
import datasets, matplotlib.figure, mlflow, onnxruntime.quantization, sklearn.feature_extraction.text
import sklearn.linear_model, torch
from transformers import AutoModelForSequenceClassification, Trainer

for path in sys.argv[1:]:
    if os.fork() == 0:
        runpy.run_path(path, run_name="imported")
        print(path, json.dumps([*sys.modules]), sep="\\t", flush=True)
        os._exit(0)
    os.wait()
"""


def pipelines() -> dict[str, dict[str, Any]]:
    """The stages of every pipeline by the folder of its dvc.yaml; `.` is the main one's."""
    found = {}
    for path in (ROOT / "dvc.yaml", *sorted(ROOT.glob("pipelines/*/dvc.yaml"))):
        stages = YAML(typ="safe", pure=True).load(path.read_text())["stages"]
        found[str(path.parent.relative_to(ROOT))] = {name: stage.get("do", stage) for name, stage in stages.items()}
    return found


PIPELINES = pipelines()
STAGES = {name: stage for stages in PIPELINES.values() for name, stage in stages.items()}


def script(stage: str) -> str:
    return str(STAGES[stage]["cmd"].split()[1])


SCRIPTS = sorted({script(stage) for stage in STAGES})


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grimp.ImportGraph]:
    """The import graph of the library and of the stage scripts, which are given a package of their own."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(ROOT / "stages", folder / "stage_scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "stage_scripts/__init__.py").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield grimp.build_graph("pipestill", "stage_scripts", cache_dir=None)


def closure(graph: grimp.ImportGraph, module: str) -> set[str]:
    """What importing a module runs, by grimp: its imports, theirs, and the packages they lie in.

    Registration lists and exempt modules are left out. Of the settings of members those classes count that are named,
    `pipestill.losses.params:Class`, with the loss or student of their kind and the imports that they use.
    """
    found: set[str] = set()
    todo = {module}
    while todo:
        name = todo.pop()
        found.add(name)
        settings, _, of_kind = name.partition(":")
        imports = graph.find_modules_directly_imported_by(settings)
        if of_kind:
            used = imports_used_by(settings, of_kind)
            imports = {name for name in imports if name in used}
            todo |= {name for name in used if ":" in name} | members_of(settings, of_kind)
        else:
            todo |= settings_named_by(settings)
        for imported in imports:
            parts = imported.split(".")
            todo |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
        todo = {name for name in todo - found - REGISTRATIONS - SETTINGS if not is_exempt(name)}
    return found - {module}


def settings_named_by(module: str) -> set[str]:
    """The classes of settings, unions left out, that the source of a module imports."""
    script = ROOT / module.replace("stage_scripts.", "stages/")
    text = (script.with_suffix(".py") if script.parent.name == "stages" else ROOT / file_of(module)).read_text()
    imports = re.findall(rf"from ({'|'.join(SETTINGS)}) import (?:\(([^)]*)\)|(.*))", text)
    classes = {f"{settings}:{name}" for settings, *names in imports for name in re.findall(r"\w+", " ".join(names))}
    return {name for name in classes if not name.endswith((":Loss", ":StudentKind"))}


def imports_used_by(settings: str, name: str) -> set[str]:
    """The modules, and classes of settings, that a class needs, by the words in its text and in what it is built on."""
    text = re.sub(r'""".*?"""', "", (ROOT / file_of(settings)).read_text(), flags=re.DOTALL)
    blocks = {found[1]: found[0] for found in re.finditer(r"^(?:class |def )?(\w+)(?:.|\n(?!\S))*", text, re.MULTILINE)}
    words, todo = set(), {name}
    while todo:
        one = todo.pop()
        new = {*re.findall(r"\w+", blocks[one])} - words
        words |= new
        todo |= new & {*blocks}
    imports = re.findall(r"^from (pipestill\S*) import (.*)$", text, re.MULTILINE)
    used = {(module, one) for module, names in imports for one in re.findall(r"\w+", names) if one in words}
    return {module for module, _ in used} | {f"{module}:{one}" for module, one in used if module in SETTINGS}


def members_of(settings: str, of_kind: str) -> set[str]:
    """The module of the loss or student that a class of settings belongs to; empty for a base class or a helper."""
    fields = getattr(getattr(importlib.import_module(settings), of_kind), "model_fields", {})
    kinds = getattr(fields["kind"].annotation, "__args__", ()) if "kind" in fields else ()
    members = {f"{settings.rpartition('.')[0]}.{name}" for name in kinds}
    return {member for member in members if (ROOT / file_of(member)).is_file()}


def is_exempt(module: str) -> bool:
    return any(module == exempt or module.startswith(f"{exempt}.") for exempt in EXEMPT)


def file_of(module: str) -> str:
    if ":" in module:
        settings, _, of_kind = module.partition(":")
        return f"{file_of(settings)}:{of_kind}"
    path = Path("src", *module.split("."))
    return (path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")).as_posix()


@pytest.fixture
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("in_the_repository")
@pytest.mark.parametrize("path", SCRIPTS)
def test_the_code_list_of_a_script_names_what_it_imports(graph: grimp.ImportGraph, path: str) -> None:
    """The members that a student's params name come on top."""
    listed = set(code_list(Path(path)))
    expected = {path, *map(file_of, closure(graph, f"stage_scripts.{Path(path).stem}"))}
    assert listed - expected == set(), "not imported"
    assert expected - listed == set(), "imported, but not listed"


PER_ITEM = {"distill", "export", "evaluate", "ablation_cell"}
"""Stages whose items are made of different modules."""


def list_of(pipeline: str, stage: str) -> str:
    """The code list that a stage has to depend on."""
    folder = "data/code" if pipeline == "." else f"data/{Path(pipeline).name}/code"
    return f"{folder}/{Path(script(stage)).stem}{'-${key}' if stage in PER_ITEM else ''}.json"


@pytest.mark.parametrize("pipeline", PIPELINES)
class TestCodeLists:
    def test_a_stage_depends_on_the_code_list_of_its_script_and_on_no_module(self, pipeline: str) -> None:
        for stage, definition in PIPELINES[pipeline].items():
            code = [dep for dep in definition["deps"] if is_code_list(dep) or dep.startswith(("src", "stages"))]
            expected = ["src/pipestill", "stages"] if stage == CHECKS[pipeline] else [list_of(pipeline, stage)]
            assert code == expected, stage

    def test_the_lists_that_check_writes_are_those_that_stages_depend_on(self, pipeline: str) -> None:
        params = YAML(typ="safe", pure=True).load((ROOT / pipeline / "params.yaml").read_text())
        items = {"ablation_cell": params.get("cells", {})}
        expected = {
            dep.replace("${key}", item)
            for stage in PIPELINES[pipeline]
            if stage != CHECKS[pipeline]
            for dep in [list_of(pipeline, stage)]
            for item in (items.get(stage, params.get("students", {})) if stage in PER_ITEM else [""])
        }
        outs = PIPELINES[pipeline][CHECKS[pipeline]]["outs"]
        assert sorted(filter(is_code_list, outs)) == sorted(expected)


STUDENTS = with_defaults(YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text()))["students"]


@pytest.mark.usefixtures("in_the_repository")
@pytest.mark.parametrize("name", STUDENTS)
def test_the_code_a_student_is_made_of_is_what_its_kinds_import(graph: grimp.ImportGraph, name: str) -> None:
    student = TypeAdapter(StudentParams).validate_python(STUDENTS[name])
    named = {f"pipestill.students.params:{type(student.architecture).__name__}"}
    named |= {f"pipestill.losses.params:{type(term.loss).__name__}" for term in student.objective}
    files = {file_of(module) for module in named.union(*(closure(graph, member) for member in named))}
    assert set(named_code(student)) == files
    assert set(loading_code(student)) == {file for file in files if file.startswith("src/pipestill/architectures/")}


@pytest.mark.usefixtures("in_the_repository")
def test_an_export_is_made_of_the_formats_that_params_name(graph: grimp.ImportGraph) -> None:
    section = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())["export"]
    by_default = {*code_list(Path("stages/export.py")), *named_code(ExportParams.model_validate(section))}
    assert by_default == {*code_list(Path("stages/export.py"))}
    entry = {"kind": "onnx_fp16", "tolerance": 0.01, "max_size_fraction": 0.6}
    with_more = named_code(ExportParams.model_validate(section | {"more": [entry]}))
    module = "pipestill.exporters.onnx_fp16"
    assert {*with_more} - by_default == {file_of(module)}
    assert {file_of(name) for name in closure(graph, module)} <= {*with_more}


@pytest.mark.usefixtures("in_the_repository")
@pytest.mark.parametrize("path", ["stages/evaluate.py", "stages/benchmark.py"])
def test_what_scores_or_times_files_is_not_made_of_the_command_line(path: str) -> None:
    listed = code_list(Path(path))
    assert "src/pipestill/predict/classifier.py" in listed
    assert "src/pipestill/predict/command.py" not in listed


@pytest.mark.usefixtures("in_the_repository")
def test_the_teacher_is_made_of_no_arithmetic_on_features() -> None:
    losses = {path for path in code_list(Path("stages/finetune_teacher.py")) if "/losses/" in path}
    modules = {f"src/pipestill/losses/{name}.py" for name in ("__init__", "_base", "_features", "cross_entropy")}
    settings = {
        f"src/pipestill/losses/params.py:{name}" for name in ("CrossEntropySpec", "LossSpec", "Objective", "Term")
    }
    assert losses == modules | settings


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """The modules of pipestill that importing each script loads, each in a process of its own."""
    environment = os.environ | {"PYTHONPATH": "src"}
    command = [sys.executable, "-c", IMPORTER, *SCRIPTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    assert [path for path, _ in lines] == SCRIPTS, done.stderr
    return {path: {name for name in json.loads(names) if name.split(".")[0] == "pipestill"} for path, names in lines}


@pytest.mark.usefixtures("in_the_repository")
@pytest.mark.parametrize("path", SCRIPTS)
def test_importing_a_script_loads_nothing_that_its_code_list_lacks(
    graph: grimp.ImportGraph, loaded: dict[str, set[str]], path: str
) -> None:
    """The modules that importing loads, without exempt modules, registration lists, settings, and their imports."""
    names = loaded[path]
    of_exempt = set().union(*(closure(graph, name) for name in filter(is_exempt, names)))
    lists = {name for name in names if name in REGISTRATIONS or name.rpartition(".")[0] in REGISTRATIONS}
    of_lists = set().union(*(closure(graph, name) for name in lists - REGISTRATIONS))
    of_settings = set().union(*(graph.find_modules_directly_imported_by(name) for name in SETTINGS))
    packages = {name.rpartition(".")[0] for name in of_settings}
    others = names - of_exempt - lists - of_lists - SETTINGS - of_settings - packages
    assert {file_of(name) for name in others if not is_exempt(name)} - set(code_list(Path(path))) == set()


def test_a_module_imported_in_a_function_is_a_dependency_too(graph: grimp.ImportGraph) -> None:
    """Heavy libraries are imported where they are used; grimp and pipestill.code see those imports, `import` does not."""
    lazy = [
        (path.relative_to(ROOT / "src"), line.strip())
        for path in (ROOT / "src").rglob("*.py")
        for line in path.read_text().splitlines()
        if re.match(r"\s+(from|import) pipestill\b", line)
    ]
    for path, line in lazy:
        importer = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        imported = line.split()[1]
        known = graph.find_modules_directly_imported_by(importer)
        assert any(name == imported or name.startswith(f"{imported}.") for name in known), (importer, line)


@pytest.mark.parametrize("path", ["stages/check.py", "stages/ablation_check.py", "stages/mlm_check.py"])
def test_params_are_checked_without_the_heavy_libraries(path: str) -> None:
    """They take seconds to import, and `check` runs at every edit."""
    heavy = ["torch", "transformers", "datasets", "sklearn", "scipy", "pandas", "mlflow"]
    code = f"import runpy, sys; runpy.run_path({path!r}); print([name for name in {heavy} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": "src"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_list_of_members_holds_imports_and_one_line_a_kind_only() -> None:
    """Registration lists are no dependency, so nothing that does something may stand in them."""
    for package in REGISTRATIONS:
        text = (ROOT / file_of(package)).read_text()
        assert not re.search(r"^\s*(def|class|if|for|while|with|try|@)", text, flags=re.MULTILINE)


def test_dvc_yaml_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "tools/sync_deps.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


DVC = (sys.executable, "-m", "dvc")


def test_a_stage_that_is_gone_goes_from_the_lock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["git", "init", "-q"], [*DVC, "init", "-q"]):
        subprocess.run(command, check=True)
    stages = {"keep": {"matrix": {"n": ["a", "b"]}, "cmd": "echo ${item.n}"}, "lose": {"cmd": "echo c"}}
    YAML().dump({"stages": stages}, Path("dvc.yaml"))
    subprocess.run([*DVC, "repro", "-q"], check=True)
    assert sync_deps.gone_stages(Path("dvc.yaml")) == []
    stages["keep"]["matrix"] = {"n": ["b"]}
    del stages["lose"]
    YAML().dump({"stages": stages}, Path("dvc.yaml"))
    assert sync_deps.gone_stages(Path("dvc.yaml")) == ["keep@a", "lose"]
    sync_deps.forget(Path("dvc.yaml"), ["keep@a", "lose"])
    assert set(YAML(typ="safe").load(Path("dvc.lock"))["stages"]) == {"keep@b"}


class TestSyncDeps:
    @pytest.fixture(autouse=True)
    def _in_the_repository(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(ROOT)

    text = (ROOT / "dvc.yaml").read_text()
    students = tuple(YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())["students"])

    def synced(self, text: str, students: tuple[str, ...] = students) -> str:
        return sync_deps.synced(text, list(students), [])

    def test_a_missing_artifact_is_put_back(self) -> None:
        line = f"    - models/onnx/{self.students[-1]}\n"
        assert self.text.count(line) == 2
        assert self.synced(self.text.replace(line, "")) == self.text

    def test_what_is_written_by_hand_stays(self) -> None:
        line = "    - data/raw\n"
        more = f"{line}    - data/of-my-own.txt # read by hand\n"
        assert self.synced(self.text.replace(line, more, 1)) == self.text.replace(line, more, 1)

    def test_a_new_student_is_listed_where_all_results_are_read(self) -> None:
        before, after = self.text.splitlines(), self.synced(self.text, (*self.students, "tiny")).splitlines()
        assert [line for line in after if line not in before] == [
            "    - data/students/tiny.json",
            "    - data/code/distill-tiny.json",
            "    - data/code/export-tiny.json",
            "    - data/code/evaluate-tiny.json",
            "    - models/onnx/tiny",
            "    - metrics/evaluate/tiny.json",
            "    - metrics/predictions/tiny.parquet",
            "    - metrics/training/tiny.json",
            "    - metrics/evaluate/tiny.json",
            "    - metrics/export/tiny.json",
            "    - models/onnx/tiny",
        ]

    def test_a_student_that_is_gone_is_listed_no_more(self) -> None:
        gone, *rest = self.students
        assert not re.search(rf"[/-]{gone}(\.|$)", self.synced(self.text, tuple(rest)))
        assert self.synced(self.synced(self.text, tuple(rest)), self.students) == self.text

    def test_doing_it_twice_changes_nothing(self) -> None:
        once = self.synced(self.text, (*self.students, "tiny"))
        assert self.synced(once, (*self.students, "tiny")) == once


@pytest.mark.parametrize("stage", STAGES)
class TestEveryStage:
    def test_its_command_says_all_there_is_to_know(self, stage: str) -> None:
        """The text of a command is part of a stage's key; what it would take from elsewhere is not."""
        words = STAGES[stage]["cmd"].split()
        assert words[0] == "python", "a launcher"
        assert re.fullmatch(r"stages/\w+\.py", words[1])
        assert all(re.fullmatch(r"\w+|\$\{key\}", word) for word in words[2:]), "a path, a variable or an option"

    def test_it_depends_on_no_run_record(self, stage: str) -> None:
        assert [dep for dep in STAGES[stage]["deps"] if dep.startswith("runs")] == []

    def test_its_run_record_is_an_out_of_its_own(self, stage: str) -> None:
        name = stage + ("-${key}" if "${key}" in STAGES[stage]["cmd"] else "")
        assert [out for out in STAGES[stage]["outs"] if str(out).startswith("runs")] == [f"runs/{name}.json"]

    def test_its_outs_are_cached_and_pushed_and_do_not_persist(self, stage: str) -> None:
        """An out that is not cached is never pushed; one that persists switches the run-cache off."""
        assert all(isinstance(out, str) for out in STAGES[stage]["outs"]), "an out with settings"
        assert {"metrics", "plots", "always_changed", "frozen"} & {*STAGES[stage]} == set()


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_stage_script_is_at_most_60_lines(path: str) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 60


def test_every_script_has_a_stage() -> None:
    assert sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").glob("*.py")) == SCRIPTS


def test_modules_are_at_most_300_lines() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > 300} == {}
