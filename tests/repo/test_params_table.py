"""What a change of params.yaml reruns: a table by hand, held against what DVC makes of dvc.yaml."""

import copy
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipestill.defaults import with_defaults
from pipestill.student_files import settings_file

ROOT = Path(__file__).parents[2]
PARAMS: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # pygtrie, which DVC's index uses

DISTILLED = ("bert_pruned", "bilstm")
STUDENTS = (*DISTILLED, "bert_pruned_alone")


def of(stage: str, students: tuple[str, ...] = STUDENTS) -> set[str]:
    return {f"{stage}@{student}" for student in students}


LEAVES = {"benchmark", "report", "package"}
SCORES = {"evaluate_teacher", "baseline", *of("evaluate")}
"""`baseline` is set beside the teacher's predictions, so it follows them."""
FROM_LOGITS = {"cache_logits", *of("distill", DISTILLED), *of("export", DISTILLED), *of("evaluate", DISTILLED)} | LEAVES
FROM_TEACHER = {"finetune_teacher", "export_teacher"} | SCORES | FROM_LOGITS
FROM_PREPARED = {"prepare", "transfer", *of("distill"), *of("export")} | FROM_TEACHER

OF_STUDENT = {name: {f"distill@{name}", f"export@{name}", f"evaluate@{name}"} | LEAVES for name in STUDENTS}

TABLE: dict[str, set[str]] = {
    "fetch.*": {"fetch"} | FROM_PREPARED,
    "prepare.*": FROM_PREPARED,
    "transfer.*": {"transfer"} | FROM_LOGITS,
    "finetune_teacher.*": FROM_TEACHER,
    "cache_logits.*": FROM_LOGITS,
    **{f"students.{student}.*": OF_STUDENT[student] for student in STUDENTS},
    "student_defaults.*": set().union(*OF_STUDENT.values()),
    "student_defaults.training.dropout": OF_STUDENT["bert_pruned"]
    | OF_STUDENT["bilstm"],  # bert_pruned_alone has its own
    "export.*": {"export_teacher", *of("export")} | SCORES | LEAVES,
    "baseline.*": {"baseline", "report", "package"},
    "evaluate.*": SCORES | {"report", "package"},
    "benchmark.*": LEAVES,
    "report.*": {"report", "package"},
    "register.*": set(),
}
"""The stages that rerun when a value changes, beside `check`, which reads all of params.yaml and always does."""

NAMES_ONLY = {("benchmark", "students"), ("report", "students")}
"""Sections of which a script reads the keys: the same names stand in its stage's dependencies."""


OF_ANOTHER_ARGUMENT = {
    ("export", "finetune_teacher"),
    ("fetch", "more_bases"),
    ("finetune_teacher", "more_teachers"),
}
"""Sections that a script reads when another stage runs it with another argument."""


def leaves(section: object, prefix: str = "") -> Iterator[str]:
    """Every value of params.yaml by its dotted name; a list is one value, as it is to DVC."""
    if isinstance(section, dict):
        for key, value in section.items():
            yield from leaves(value, f"{prefix}{key}.")
    else:
        yield prefix.removesuffix(".")


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repo]:
    """A repository with nothing but the two files that say what depends on what."""
    folder = tmp_path_factory.mktemp("definitions")
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).write_text((ROOT / name).read_text())
    with Repo.init(str(folder), no_scm=True) as repo:
        yield repo


def names(stages: Any) -> dict[str, Any]:
    return {stage.addressing.split(":")[-1]: stage for stage in stages}


def params_of(stage: Any) -> list[str] | None:
    """The sections a stage's params name; None for a stage with none; an empty name stands for all of them."""
    found = [dep.params or [""] for dep in stage.deps if isinstance(dep, ParamsDependency)]
    return [name for params in found for name in params] or None


def is_read(leaf: str, params: list[str] | None) -> bool:
    return any(name in {"", leaf} or leaf.startswith(f"{name}.") for name in params or [])


def rewritten(leaf: str) -> set[str]:
    """The files of students' settings that `check` writes anew when a leaf gets another value."""
    changed: Any = copy.deepcopy(PARAMS)
    *path, last = leaf.split(".")
    reduce(getitem, path, changed)[last] = "another value"
    before, after = (with_defaults(params)["students"] for params in (PARAMS, changed))
    return {settings_file(name).as_posix() for name in before if before[name] != after[name]}


def reached(repo: Repo, leaf: str) -> set[str]:
    """The stages whose params hold a leaf, or a file that `check` then writes anew, and those after them."""
    stages = names(repo.index.stages)
    files = rewritten(leaf)
    found = {
        name
        for name, stage in stages.items()
        if is_read(leaf, params_of(stage)) or files & {dep.def_path for dep in stage.deps}
    }
    later = nx.reverse_view(repo.index.graph)
    return found | set(names(stage for name in found - {"check"} for stage in nx.descendants(later, stages[name])))


@pytest.mark.parametrize("leaf", [*leaves(PARAMS)])
def test_a_change_of_a_value_reruns_exactly_the_stages_of_the_table(repo: Repo, leaf: str) -> None:
    rows = [stages for pattern, stages in TABLE.items() if fnmatchcase(leaf, pattern)]
    rows = [TABLE[leaf]] if leaf in TABLE else rows  # a name goes before a pattern
    assert len(rows) == 1, f"{leaf} has {len(rows)} rows in the table"
    assert reached(repo, leaf) == {"check"} | rows[0]


def test_every_row_of_the_table_is_about_some_value() -> None:
    for pattern in TABLE:
        assert any(fnmatchcase(leaf, pattern) for leaf in leaves(PARAMS)), pattern


def test_every_stage_but_check_package_and_distill_has_params_of_its_own(repo: Repo) -> None:
    """`package` copies what others made and has nothing to set; `distill` depends on the settings that `check` writes."""
    for name, stage in names(repo.index.stages).items():
        params = params_of(stage)
        if name == "package" or name.startswith("distill@"):
            assert params is None
            continue
        assert params == [""] if name == "check" else params and "" not in params, name


def test_what_a_student_is_made_of_exists(repo: Repo) -> None:
    """Paths that params name: the artifacts it learns from; and the code, which `check` lists."""
    outs = {out.def_path for stage in repo.index.stages for out in stage.outs}
    for name, stage in names(repo.index.stages).items():
        if name.startswith("distill@"):
            for dep in stage.deps:
                if not isinstance(dep, ParamsDependency):
                    assert dep.def_path in outs or (ROOT / dep.def_path).is_file(), (name, dep.def_path)


def test_a_script_reads_no_section_that_its_stage_does_not_declare(repo: Repo) -> None:
    """A value read on the side, such as for a model card, makes an out that is stale after a change of it."""
    undeclared = set()
    for name, stage in names(repo.index.stages).items():
        script = Path(stage.cmd.split()[1])
        quoted = set(re.findall(r'(?:load_section\(f?|\[|\.get\()"(\w+)', (ROOT / script).read_text())) & set(PARAMS)
        declared = {param.split(".")[0] for param in params_of(stage) or []}
        quoted -= {section for stage, section in OF_ANOTHER_ARGUMENT if stage == name.partition("@")[0]}
        if "" not in declared:
            undeclared |= {(name, section) for section in quoted - declared}
    assert undeclared - NAMES_ONLY == set()
